//! Runs that were put aside for a held activity come back after its release, and when something else of them is due. So do
//! runs that wait in a queue that nobody serves.
//!
//! A release brings them back itself. But a worker that had not read of the release yet may put one aside after it, and
//! what else is due of a run (a timer, a deadline, another step's retry, a signal that came as it was put aside) does not
//! wait for the release. So both are done repeatedly here.

use std::time::{Duration, Instant};

use crate::engine::{api::Engine, error::Error, store::holds};

/// How long a run may stay aside after the release of what it waits for.
const RELEASED_EVERY: Duration = Duration::from_secs(1);
/// How late the other things of a run that was put aside may be.
const DUE_EVERY: Duration = Duration::from_secs(2);
/// Runs in one statement.
const AT_ONCE: i64 = 1_000;

/// Brings back runs whose activity was released.
pub(super) async fn tick(engine: &Engine) -> Result<Duration, Error> {
    let back = holds::bring_back_released(engine.schema(), &mut *engine.acquire().await?, AT_ONCE).await?;
    Ok(again(engine, back, RELEASED_EVERY))
}

/// Brings back runs of which something else is due.
pub(super) async fn look_after(engine: &Engine) -> Result<Duration, Error> {
    let back = holds::bring_back_due(engine.schema(), &mut *engine.acquire().await?, AT_ONCE).await?;
    Ok(again(engine, back, DUE_EVERY))
}

/// Brings runs whose deadline is over, or of which a timer or signal is due, out of queues that nobody serves. A turn that
/// took long is not made again soon.
pub(super) async fn look_after_unserved(engine: &Engine) -> Result<Duration, Error> {
    let began = Instant::now();
    let back = holds::bring_back_unserved(engine.schema(), &mut *engine.acquire().await?, AT_ONCE).await?;
    Ok(again(engine, back, DUE_EVERY.max(began.elapsed().saturating_mul(20))))
}

fn again(engine: &Engine, back: u64, pause: Duration) -> Duration {
    if back > 0 {
        engine.hint();
    }
    if back == AT_ONCE as u64 { Duration::ZERO } else { pause }
}
