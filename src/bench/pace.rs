//! Starts plain runs at a fixed pace, however fast they are executed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::scenario::Scenario;
use crate::engine::{Engine, Error};

/// Starts in a second: as many commits of starts.
const BATCHES_A_SECOND: u32 = 20;

/// Starts so many a second for `span`, and gives their number, which `started` has meanwhile. Where starting itself takes longer, the pace is not kept.
pub(super) async fn start<S: Scenario>(
    engine: Engine,
    scenario: Arc<S>,
    per_second: u32,
    span: Duration,
    started: Arc<AtomicUsize>,
) -> Result<usize, Error> {
    let began = Instant::now();
    for n in 0.. {
        let due = Duration::from_secs(1) / BATCHES_A_SECOND * n;
        if due >= span {
            break;
        }
        tokio::time::sleep_until((began + due).into()).await;
        let batch: Vec<_> = (0..per_second / BATCHES_A_SECOND).map(|_| scenario.next_run()).collect();
        for run in engine.start_batch(batch).await? {
            run?;
            started.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(started.load(Ordering::Relaxed))
}
