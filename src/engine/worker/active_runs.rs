//! The runs that this worker works on: to poke one whose inbox has changed, to know when a drain is done, and to give back
//! runs of a claim whose answer was lost.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::engine::core::{ids::RunMap, model::RunId};

/// A run in this worker's hands, as its lane and the pumps see it.
#[derive(Debug)]
pub(crate) struct ActiveRun {
    pub(crate) lane: i32,
    since: Instant,
    /// The inbox counter that its decisions know.
    seen: AtomicI32,
    /// Its inbox has changed.
    pub(crate) poke: Notify,
}

impl ActiveRun {
    pub(crate) fn set_seen(&self, inbox: i32) {
        self.seen.store(inbox, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
pub(crate) struct ActiveRuns {
    runs: Mutex<RunMap<Arc<ActiveRun>>>,
    empty: Notify,
}

impl ActiveRuns {
    pub(crate) fn add(&self, run: RunId, lane: i32, inbox: i32) -> Arc<ActiveRun> {
        let active =
            Arc::new(ActiveRun { lane, since: Instant::now(), seen: AtomicI32::new(inbox), poke: Notify::new() });
        self.lock().insert(run, active.clone());
        active
    }

    /// Removes a run, unless another lane of this worker has taken it in the meantime.
    pub(crate) fn remove(&self, run: RunId, active: &Arc<ActiveRun>) {
        let mut runs = self.lock();
        if runs.get(&run).is_some_and(|known| Arc::ptr_eq(known, active)) {
            runs.remove(&run);
        }
        if runs.is_empty() {
            self.empty.notify_waiters();
        }
    }

    /// The runs of a lane.
    pub(crate) fn of_lane(&self, lane: i32) -> Vec<RunId> {
        self.lock().iter().filter(|(_, active)| active.lane == lane).map(|(run, _)| *run).collect()
    }

    /// The runs that have been here for longer than `span`.
    pub(crate) fn longer_than(&self, span: Duration) -> Vec<RunId> {
        self.lock().iter().filter(|(_, active)| active.since.elapsed() > span).map(|(run, _)| *run).collect()
    }

    /// Pokes the run if its inbox is not the one that its decisions know.
    pub(crate) fn poke_if_changed(&self, run: RunId, inbox: i32) {
        let active = self.lock().get(&run).cloned();
        if let Some(active) = active.filter(|active| active.seen.load(Ordering::Relaxed) != inbox) {
            active.poke.notify_one();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Done when there is none.
    pub(crate) async fn wait_until_empty(&self) {
        loop {
            let empty = self.empty.notified();
            tokio::pin!(empty);
            empty.as_mut().enable();
            if self.lock().is_empty() {
                return;
            }
            empty.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, RunMap<Arc<ActiveRun>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
