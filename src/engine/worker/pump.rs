//! What every worker does beside its runs: timers, takeover, hints, inboxes, holds. Each is a loop over one bounded
//! statement without memory, so that all workers may do it at once. A turn that fails is followed by the next.

use std::{sync::Arc, time::Duration};

use sqlx::{PgConnection, postgres::PgListener};
use tokio::time::sleep;

use super::shared::Shared;
use crate::engine::{
    error::Error,
    store::{HOLDS_HINT, claim, holds, lanes, timers},
};

/// How often timers are checked: the most that a timer is late on an idle machine.
const TIMERS_EVERY: Duration = Duration::from_millis(100);
/// Timers in one statement.
const TIMERS_AT_ONCE: i64 = 500;
/// How often inboxes are read, of runs that have been here for at least that long.
const INBOXES_EVERY: Duration = Duration::from_secs(1);
/// How long a worker may not know of a hold at most, while it can read the table.
const HOLDS_EVERY: Duration = Duration::from_secs(1);
/// Runs that a release brings back in one statement.
const RELEASED_AT_ONCE: i64 = 1_000;

pub(super) async fn fire_timers(shared: Arc<Shared>) {
    loop {
        let fired =
            async { timers::fire(shared.schema(), &mut *shared.engine.pool().acquire().await?, TIMERS_AT_ONCE).await };
        match fired.await {
            Ok(late) => {
                let meters = shared.engine.meters();
                meters.timers_fired.increment(late.len() as u64);
                late.iter().for_each(|late| meters.timer_lateness.record(*late));
                if !late.is_empty() {
                    shared.claim_soon();
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
        let taken =
            async { lanes::take_over(shared.schema(), &mut *shared.engine.pool().acquire().await?, after).await };
        match taken.await {
            Ok(taken) if taken.lanes > 0 || taken.runs > 0 => {
                tracing::warn!(lanes = taken.lanes, runs = taken.runs, "took over from lost workers");
                shared.engine.meters().takeovers.increment(taken.runs.unsigned_abs());
                shared.claim_soon();
                shared.engine.hint();
            }
            Ok(_) => {}
            Err(error) => failed("takeover", &error).await,
        }
        // Spread out, so that many workers don't all check at the same moment.
        sleep((after / 5).mul_f64(0.5 + rand::random::<f64>())).await;
    }
}

pub(super) async fn listen(shared: Arc<Shared>) {
    loop {
        let listening = async {
            let mut listener = PgListener::connect_with(shared.engine.pool()).await?;
            listener.listen(&shared.schema().channel()).await?;
            shared.claim_soon();
            shared.holds.changed.notify_one();
            while let Some(hint) = listener.try_recv().await? {
                if hint.payload() == HOLDS_HINT {
                    shared.holds.changed.notify_one();
                }
                shared.claim_soon();
            }
            Ok::<_, sqlx::Error>(())
        };
        if let Err(error) = listening.await {
            failed("listening for hints", &error.into()).await;
        }
    }
}

pub(super) async fn read_inboxes(shared: Arc<Shared>) {
    loop {
        sleep(INBOXES_EVERY).await;
        let active = shared.active.longer_than(INBOXES_EVERY);
        if active.is_empty() {
            continue;
        }
        let looked =
            async { claim::inboxes(shared.schema(), &mut *shared.engine.pool().acquire().await?, &active).await };
        match looked.await {
            Ok(inboxes) => inboxes.into_iter().for_each(|(run, inbox)| shared.active.poke_if_changed(run, inbox)),
            Err(error) => failed("inboxes", &error).await,
        }
    }
}

/// While the table can't be read, the last reading counts.
///
/// A release brings the activity's runs back, but this worker may have put one aside after it, not knowing of the release: so
/// it brings them back as well, at once and a turn later, for a commit that was in flight.
pub(super) async fn read_holds(shared: Arc<Shared>) {
    let mut turns = 0;
    loop {
        let _ = tokio::time::timeout(HOLDS_EVERY, shared.holds.changed.notified()).await;
        let looked = async {
            let mut conn = shared.engine.pool().acquire().await?;
            if shared.holds.set(holds::held_back(shared.schema(), &mut conn).await?) {
                turns = 2;
            }
            if turns > 0 {
                turns -= u32::from(bring_back(&shared, &mut conn).await?);
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = looked.await {
            failed("holds", &error).await;
        }
    }
}

/// Brings back runs that were put aside for a hold that is over. True: that was all of them.
async fn bring_back(shared: &Shared, conn: &mut PgConnection) -> Result<bool, Error> {
    let back = holds::bring_back_released(shared.schema(), conn, RELEASED_AT_ONCE).await?;
    if back > 0 {
        shared.engine.hint();
    }
    let all = back < RELEASED_AT_ONCE as u64;
    if !all {
        shared.holds.changed.notify_one();
    }
    Ok(all)
}

async fn failed(what: &str, error: &Error) {
    tracing::warn!(%error, "{what}: this turn failed; another follows");
    sleep(Duration::from_millis(500)).await;
}
