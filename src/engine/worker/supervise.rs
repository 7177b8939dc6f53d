//! A part of the worker that panics, or ends although nobody has asked it to, is begun again, counted and logged: a worker
//! without timers or takeover would look alive and be of no use.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;

use super::shared::Shared;
use crate::engine::core::execution::panic_message;

/// How long to wait before a part is begun again.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs a part for as long as the worker runs.
pub(super) async fn keep_running<F: Future<Output = ()>>(
    shared: Arc<Shared>,
    name: &'static str,
    part: fn(Arc<Shared>) -> F,
) {
    let died = || shared.engine.meters().tasks_died.increment(1);
    let part = || part(shared.clone());
    keep(name, part, died, || shared.stopped.is_cancelled()).await;
}

async fn keep<F: Future<Output = ()>>(
    name: &str,
    part: impl Fn() -> F,
    died: impl Fn(),
    is_stopped: impl Fn() -> bool,
) {
    loop {
        let ended = AssertUnwindSafe(async { part().await }).catch_unwind().await;
        if is_stopped() {
            return;
        }
        let panic = ended.err().map_or_else(|| "it ended".to_owned(), |panic| panic_message(panic.as_ref()));
        tracing::error!(part = name, panic, "a part of the worker has died; it is begun again");
        died();
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_that_panics_or_ends_is_begun_again() {
        let (begun, died) = (AtomicU32::new(0), AtomicU32::new(0));
        let part = || async {
            match begun.fetch_add(1, Ordering::SeqCst) {
                0 => panic!("on purpose"),
                1 => {}
                _ => std::future::pending().await,
            }
        };
        let count = || {
            died.fetch_add(1, Ordering::SeqCst);
        };
        let kept = keep("test", part, count, || false);
        assert!(tokio::time::timeout(Duration::from_secs(5), kept).await.is_err(), "it goes on");
        assert_eq!((begun.load(Ordering::SeqCst), died.load(Ordering::SeqCst)), (3, 2));
    }
}
