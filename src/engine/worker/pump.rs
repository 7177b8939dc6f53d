//! What every worker does beside its runs: timers, takeover, hints, inboxes. Each is a loop of one bounded statement with
//! no memory, so that any worker may do it at any time, also all at once; a failed turn is simply followed by the next.

use std::{sync::Arc, time::Duration};

use sqlx::postgres::PgListener;
use tokio::time::sleep;

use super::Shared;
use crate::engine::{
    error::Error,
    store::{HINT_CHANNEL, HOLDS_HINT, claim, holds, lanes, timers},
};

/// How often timers are looked at: what a timer is late by at most, on an idle machine.
const TIMERS_EVERY: Duration = Duration::from_millis(100);
/// Timers in one statement.
const TIMERS_AT_ONCE: i64 = 500;
/// How often the inboxes of runs that have been held for that long are looked at.
const INBOXES_EVERY: Duration = Duration::from_secs(1);
/// How long a worker may not know of a hold at most, while it can read the table.
const HOLDS_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn fire_timers(shared: Arc<Shared>) {
    loop {
        let fired = async { timers::fire(&mut *shared.engine.pool().acquire().await?, TIMERS_AT_ONCE).await };
        match fired.await {
            Ok(late) => {
                let meters = shared.engine.meters();
                meters.timers_fired.increment(late.len() as u64);
                late.iter().for_each(|late| meters.timer_lateness.record(*late));
                if !late.is_empty() {
                    shared.look_for_due();
                    shared.engine.hint();
                }
                if late.len() as i64 == TIMERS_AT_ONCE {
                    continue;
                }
            }
            Err(error) => failed("timers", &error).await,
        }
        sleep(TIMERS_EVERY).await;
    }
}

pub(super) async fn take_over(shared: Arc<Shared>) {
    let after = shared.config.takeover_after;
    loop {
        let taken = async { lanes::take_over(&mut *shared.engine.pool().acquire().await?, after).await };
        match taken.await {
            Ok(taken) if taken.lanes > 0 || taken.runs > 0 => {
                tracing::warn!(lanes = taken.lanes, runs = taken.runs, "took over from lost workers");
                shared.engine.meters().takeovers.increment(taken.runs.unsigned_abs());
                shared.look_for_due();
                shared.engine.hint();
            }
            Ok(_) => {}
            Err(error) => failed("takeover", &error).await,
        }
        // Spread out, so that many workers don't all look at the same moment.
        sleep((after / 5).mul_f64(0.5 + rand::random::<f64>())).await;
    }
}

pub(super) async fn listen(shared: Arc<Shared>) {
    loop {
        let listening = async {
            let mut listener = PgListener::connect_with(shared.engine.pool()).await?;
            listener.listen(HINT_CHANNEL).await?;
            shared.look_for_due();
            shared.holds.changed.notify_one();
            while let Some(hint) = listener.try_recv().await? {
                if hint.payload() == HOLDS_HINT {
                    shared.holds.changed.notify_one();
                }
                shared.look_for_due();
            }
            Ok::<_, sqlx::Error>(())
        };
        if let Err(error) = listening.await {
            failed("listening for hints", &error.into()).await;
        }
    }
}

pub(super) async fn look_into_inboxes(shared: Arc<Shared>) {
    loop {
        sleep(INBOXES_EVERY).await;
        let held = shared.held.longer_than(INBOXES_EVERY);
        if held.is_empty() {
            continue;
        }
        let looked = async { claim::inboxes(&mut *shared.engine.pool().acquire().await?, &held).await };
        match looked.await {
            Ok(inboxes) => inboxes.into_iter().for_each(|(run, inbox)| shared.held.poke_if_changed(run, inbox)),
            Err(error) => failed("inboxes", &error).await,
        }
    }
}

/// While the table can't be read, what was last seen of it stays true.
pub(super) async fn look_at_holds(shared: Arc<Shared>) {
    loop {
        let _ = tokio::time::timeout(HOLDS_EVERY, shared.holds.changed.notified()).await;
        let looked = async { holds::held_back(&mut *shared.engine.pool().acquire().await?).await };
        match looked.await {
            Ok(held) => shared.holds.set(held),
            Err(error) => failed("holds", &error).await,
        }
    }
}

async fn failed(what: &str, error: &Error) {
    tracing::warn!(%error, "{what}: this turn failed; another follows");
    sleep(Duration::from_millis(500)).await;
}
