//! Delivers events to a sink: as long as this process holds the sink's lease, in order, each batch again until it is through.
//!
//! Progress is recorded after a delivery, fenced by the lease's token: who dies between the two, or has lost the lease, leaves
//! a batch that comes again with the same ids. A sink that fails delays only itself.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use uuid::Uuid;

use crate::engine::{
    api::Engine,
    core::execution::panic_message,
    error::Error,
    outbox::{AnySink, DELIVERED_AT_MOST, DELIVERED_WITHIN, SinkCode, SinkError, Start},
    read_models::Event,
    store::{Lent, outbox, transaction::begin_bounded},
};

/// How long a sink is its relay's without a word of it: longer than a delivery may take, with what is written after it.
const LEASE: Duration = Duration::from_secs(20);
/// How often a relay without the lease asks for it.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How late an event may be that another process has numbered.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A lease is renewed after so many looks that found nothing.
const RENEWED_AFTER: u32 = 8;
/// The pause after a first failure; it doubles with each …
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// No statement of a relay takes longer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// What is kept of an error.
const LONGEST_ERROR: usize = 500;

/// How a batch went.
enum Delivered {
    /// It is through up to this number, and on record.
    To(i64),
    /// Another process has the sink.
    Lost,
    /// It comes again.
    Failed(SinkError),
}

/// One sink, as long as this task lives. `token` is this process's.
pub(super) async fn relay(engine: Engine, sink: AnySink, token: Uuid) {
    let relay = Relay { engine, sink, token };
    let mut reported = false;
    loop {
        match relay.hold().await {
            Ok(pause) => {
                reported = false;
                tokio::time::sleep(pause).await;
            }
            Err(error) => {
                if !reported {
                    tracing::warn!(%error, sink = &*relay.sink.name, "events wait for the database");
                }
                reported = true;
                tokio::time::sleep(ASK_EVERY).await;
            }
        }
    }
}

/// Gives back this process's leases, so that others need not wait until they end.
pub(super) async fn give_up(engine: &Engine, token: Uuid) {
    if engine.shared_sinks().is_empty() {
        return;
    }
    let giving = async { outbox::give_up(engine.schema(), &mut *engine.acquire().await?, token).await };
    if !matches!(bounded(giving).await, Ok(())) {
        tracing::debug!("leases of sinks were not given back; they end by themselves");
    }
}

async fn bounded<T>(asking: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answered = tokio::time::timeout(ANSWERED_WITHIN, asking).await;
    answered.unwrap_or_else(|_| Err(Error::Unavailable(sqlx::Error::PoolTimedOut)))
}

struct Relay {
    engine: Engine,
    sink: AnySink,
    token: Uuid,
}

impl Relay {
    /// Takes the lease if it can be had, and delivers until it is lost or a delivery fails. Gives how long to wait then.
    async fn hold(&self) -> Result<Duration, Error> {
        let Some((mut sequence, mut failures)) = bounded(self.lease()).await? else { return Ok(ASK_EVERY) };
        let mut idle = 0_u32;
        loop {
            // After a failure one by itself: what is never taken is then the sink's next, and holds up none before it.
            let limit = if failures > 0 { 1 } else { DELIVERED_AT_MOST };
            let events = bounded(self.read(sequence, limit)).await?;
            let Some(last) = events.last().map(|event| event.sequence) else {
                idle = idle.saturating_add(1);
                if idle.is_multiple_of(RENEWED_AFTER) {
                    let Some((at, _)) = bounded(self.lease()).await? else { return Ok(ASK_EVERY) };
                    sequence = at;
                }
                self.engine.wait_for_events(LOOK_EVERY).await;
                continue;
            };
            idle = 0;
            match self.deliver(sequence, last, &events).await? {
                Delivered::To(last) => (sequence, failures) = (last, 0),
                Delivered::Lost => return Ok(ASK_EVERY),
                Delivered::Failed(error) => return self.record_failure(error, &events, sequence, failures).await,
            }
        }
    }

    async fn lease(&self) -> Result<Option<(i64, i32)>, Error> {
        let mut conn = Lent::of(self.engine.pool()).await?;
        let (schema, name) = (self.engine.schema(), &*self.sink.name);
        let mut leased = outbox::lease(schema, &mut conn, name, self.token, LEASE).await?;
        if leased.is_none() && outbox::register(schema, &mut conn, name, self.sink.start == Start::Oldest).await? {
            leased = outbox::lease(schema, &mut conn, name, self.token, LEASE).await?;
        }
        conn.give_back();
        Ok(leased)
    }

    async fn read(&self, sequence: i64, limit: i64) -> Result<Vec<Event>, Error> {
        let mut conn = Lent::of(self.engine.pool()).await?;
        let (events, _) = outbox::read_after(self.engine.schema(), &mut conn, sequence, (None, None), limit).await?;
        conn.give_back();
        Ok(events)
    }

    /// Delivers a batch and records it.
    async fn deliver(&self, before: i64, last: i64, events: &[Event]) -> Result<Delivered, Error> {
        match &self.sink.code {
            SinkCode::Outside(code) => {
                let last = match caught(code.deliver(events)).await {
                    Ok(()) => last,
                    Err(error) if error.unfinished => delivered_to(&error, events, before),
                    Err(error) => return Ok(Delivered::Failed(error)),
                };
                let advanced = bounded(async {
                    let mut conn = Lent::of(self.engine.pool()).await?;
                    let (schema, name) = (self.engine.schema(), &*self.sink.name);
                    let advanced = outbox::advance(schema, &mut conn, name, self.token, last, LEASE).await?;
                    conn.give_back();
                    Ok(advanced)
                });
                Ok(if advanced.await? { Delivered::To(last) } else { Delivered::Lost })
            }
            SinkCode::Local(code) => {
                let mut tx = begin_bounded(self.engine.pool(), DELIVERED_WITHIN).await?;
                let (schema, name) = (self.engine.schema(), &*self.sink.name);
                if outbox::lock_cursor(schema, &mut tx, name, self.token).await? != Some(before) {
                    return Ok(Delivered::Lost);
                }
                if let Err(error) = caught(code.deliver(&mut tx, events)).await {
                    return Ok(Delivered::Failed(error));
                }
                outbox::advance(schema, &mut tx, name, self.token, last, LEASE).await?;
                tx.commit().await?;
                Ok(Delivered::To(last))
            }
        }
    }

    /// Records a failed delivery. Gives how long to wait before the next.
    async fn record_failure(
        &self,
        error: SinkError,
        events: &[Event],
        before: i64,
        failures: i32,
    ) -> Result<Duration, Error> {
        let name = &*self.sink.name;
        let sequence = delivered_to(&error, events, before);
        // What has got something is not down.
        let failures = if sequence > before { 0 } else { failures };
        let pause = pause_after(failures);
        if failures == 0 {
            tracing::warn!(sink = name, error = error.message, "a delivery of events failed; it is tried again");
        }
        let message: String = error.message.chars().take(LONGEST_ERROR).collect();
        bounded(async {
            let mut conn = self.engine.acquire().await?;
            outbox::fail(self.engine.schema(), &mut conn, (name, self.token), sequence, &message, pause).await
        })
        .await?;
        Ok(pause)
    }
}

/// The number of the last event that was delivered.
fn delivered_to(error: &SinkError, events: &[Event], before: i64) -> i64 {
    let last = error.delivered.checked_sub(1).and_then(|at| events.get(at));
    last.map_or(before, |event| event.sequence)
}

/// A delivery with its time limit; a panic in it is a failure like others.
async fn caught(delivering: impl Future<Output = Result<(), SinkError>>) -> Result<(), SinkError> {
    let bounded = tokio::time::timeout(DELIVERED_WITHIN, delivering);
    match AssertUnwindSafe(bounded).catch_unwind().await {
        Ok(Ok(delivered)) => delivered,
        Ok(Err(_)) => Err(SinkError::new(format!("it was not delivered within {} s", DELIVERED_WITHIN.as_secs()))),
        Err(panic) => Err(SinkError::new(format!("the sink panicked: {}", panic_message(panic.as_ref())))),
    }
}

fn pause_after(failures: i32) -> Duration {
    let doublings = failures.clamp(0, 16).unsigned_abs();
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_minute() {
        let pauses: Vec<u128> = [0, 1, 2, 7, 8, i32::MAX].map(|failures| pause_after(failures).as_millis()).into();
        assert_eq!(pauses, [250, 500, 1_000, 32_000, 60_000, 60_000]);
    }
}
