//! What every worker does beside its runs: timers, takeover, hints, inboxes, holds. Each is a loop over one bounded
//! statement without memory, so that all workers may do it at once. A turn that fails is followed by the next; one without an
//! answer in time counts as failed, and its connection is closed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{PgConnection, postgres::PgListener};
use tokio::time::{sleep, timeout};

use super::{
    limits::{is_silence, within},
    lookups::{Look, Waiting},
    shared::Shared,
    watch::Watch,
};
use crate::engine::{
    core::model::RunId,
    error::Error,
    store::{self, HOLDS_HINT, Lent, claim, holds, lanes, timers},
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
/// A connection that waits for hints is asked for a sign of life after so long without one.
const LISTEN_FOR: Duration = Duration::from_secs(30);
/// How often it is looked whether the lanes have answers.
const PULSE_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn fire_timers(shared: Arc<Shared>) {
    loop {
        let fired = async {
            let mut conn = Lent::of(shared.engine.pool()).await?;
            let late = timers::fire(shared.schema(), &mut conn, TIMERS_AT_ONCE).await?;
            conn.give_back();
            Ok(late)
        };
        match within(shared.config.answer_within(), fired).await {
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
            Err(error) => failed(&shared, "timers", &error).await,
        }
        sleep(TIMERS_EVERY).await;
    }
}

pub(super) async fn take_over(shared: Arc<Shared>) {
    let after = shared.config.takeover_after;
    let mut watch = Watch::new(after);
    loop {
        let silent = watch.may_judge().then_some(after);
        let taken = async {
            let mut conn = Lent::of(shared.engine.pool()).await?;
            let taken = lanes::take_over(shared.schema(), &mut conn, silent).await?;
            conn.give_back();
            Ok(taken)
        };
        let taken = within(shared.config.answer_within(), taken).await;
        if taken.is_ok() {
            watch.answered(Instant::now());
        }
        match taken {
            Ok(taken) if taken.lanes > 0 || taken.runs > 0 => {
                tracing::warn!(lanes = taken.lanes, runs = taken.runs, "took over from lost workers");
                shared.engine.meters().takeovers.increment(taken.runs.unsigned_abs());
                shared.claim_soon();
                shared.engine.hint();
            }
            Ok(_) => {}
            Err(error) => failed(&shared, "takeover", &error).await,
        }
        // Spread out, so that many workers don't all check at the same moment.
        sleep((after / 5).mul_f64(0.5 + rand::random::<f64>())).await;
    }
}

pub(super) async fn listen(shared: Arc<Shared>) {
    loop {
        let listening = async {
            let connecting = async {
                let mut listener = PgListener::connect_with(shared.engine.pool()).await?;
                listener.listen(&shared.schema().channel()).await?;
                Ok(listener)
            };
            let mut listener = within(shared.config.answer_within(), connecting).await?;
            shared.claim_soon();
            shared.holds.changed.notify_one();
            loop {
                match timeout(LISTEN_FOR, listener.try_recv()).await {
                    Ok(Ok(Some(hint))) if hint.payload() == HOLDS_HINT => shared.holds.changed.notify_one(),
                    Ok(Ok(Some(hint))) if shared.knows(hint.payload()) => continue,
                    Ok(Ok(Some(_))) => {}
                    Ok(Ok(None)) => return Ok(()),
                    Ok(Err(error)) => return Err(error.into()),
                    Err(_) => {
                        within(shared.config.answer_within(), store::ping(&mut listener)).await?;
                        continue;
                    }
                }
                shared.claim_soon();
            }
        };
        if let Err(error) = listening.await {
            failed(&shared, "listening for hints", &error).await;
        }
    }
}

/// Looks up what runs need between two decisions, for many at once. A look that fails leaves its runs without an answer, which
/// they hear.
pub(super) async fn look_up(shared: Arc<Shared>) {
    loop {
        let mut look = shared.lookups.next().await;
        if let Err(error) = within(shared.config.answer_within(), answer(&shared, &mut look)).await {
            failed(&shared, "lookups", &error).await;
        }
    }
}

async fn answer(shared: &Shared, look: &mut Look) -> Result<(), Error> {
    fn runs<T>(waiting: &Waiting<T>) -> Vec<RunId> {
        waiting.iter().map(|(run, _)| *run).collect()
    }
    let mut conn = Lent::of(shared.engine.pool()).await?;
    if !look.dues.is_empty() {
        let (now, mut found) = claim::load_dues(shared.schema(), &mut conn, &runs(&look.dues)).await?;
        shared.clock.set(now);
        for (run, answer) in look.dues.drain(..) {
            // Who was dropped meanwhile needs none.
            let _ = answer.send((now, found.remove(&run).unwrap_or_default()));
        }
    }
    if !look.inboxes.is_empty() {
        let mut found = claim::load_inboxes(shared.schema(), &mut conn, &runs(&look.inboxes)).await?;
        for (run, answer) in look.inboxes.drain(..) {
            let _ = found.remove(&run).map(|inbox| answer.send(inbox));
        }
    }
    conn.give_back();
    Ok(())
}

pub(super) async fn read_inboxes(shared: Arc<Shared>) {
    loop {
        sleep(INBOXES_EVERY).await;
        let active = shared.active.longer_than(INBOXES_EVERY);
        if active.is_empty() {
            continue;
        }
        let looked = async {
            let mut conn = Lent::of(shared.engine.pool()).await?;
            let inboxes = claim::load_inbox_sizes(shared.schema(), &mut conn, &active).await?;
            conn.give_back();
            Ok(inboxes)
        };
        match within(shared.config.answer_within(), looked).await {
            Ok(inboxes) => inboxes.into_iter().for_each(|(run, inbox)| shared.active.poke_if_changed(run, inbox)),
            Err(error) => failed(&shared, "inboxes", &error).await,
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
            let mut conn = Lent::of(shared.engine.pool()).await?;
            if shared.holds.set(holds::held_back(shared.schema(), &mut conn).await?) {
                turns = 2;
            }
            if turns > 0 {
                turns -= u32::from(bring_back(&shared, &mut conn).await?);
            }
            conn.give_back();
            Ok(())
        };
        if let Err(error) = within(shared.config.answer_within(), looked).await {
            failed(&shared, "holds", &error).await;
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

/// Says when the lanes have had no answer for too long, once, and when that is over.
pub(super) async fn watch_pulse(shared: Arc<Shared>) {
    let (pulse, mut stalled) = (shared.engine.pulse().clone(), false);
    loop {
        sleep(PULSE_EVERY).await;
        let silent = pulse.silent_for().unwrap_or_default();
        shared.engine.meters().silent.set(silent.as_secs_f64());
        let (was_stalled, database_is_away) = (stalled, pulse.is_database_away());
        stalled = pulse.stalled_for().is_some();
        match (was_stalled, stalled) {
            (false, true) => tracing::error!(
                seconds = silent.as_secs(),
                database_is_away,
                "the worker makes no progress: its lanes have no answer from the database"
            ),
            (true, false) => tracing::info!("the worker makes progress again"),
            _ => {}
        }
    }
}

async fn failed(shared: &Shared, what: &str, error: &Error) {
    if is_silence(error) {
        // What is idle beside a connection without an answer is hardly better: new ones find another way, if there is one.
        store::close_idle(shared.engine.pool());
    }
    tracing::warn!(%error, "{what}: this turn failed; another follows");
    sleep(Duration::from_millis(500)).await;
}
