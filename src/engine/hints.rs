//! Hints inside a process and between processes: "something may be due", "this run has ended". A lost hint costs time, never
//! work: everybody who waits for one also polls.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::PgPool;
use tokio::sync::Notify;

use super::{
    core::model::RunId,
    store::{self, schema::Schema},
};

/// At most one NOTIFY in this time per process: each takes a lock that all notifying commits share.
const NOTIFY_AT_MOST_EVERY: Duration = Duration::from_millis(20);

/// A hint that takes longer than this has no use.
const SENT_WITHIN: Duration = Duration::from_secs(5);

/// What one process knows of due work and of ended runs.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    /// Runs may be due: a lane should claim.
    pub(crate) due: Notify,
    outgoing: Notify,
    sending: AtomicBool,
    waiters: Mutex<HashMap<RunId, Arc<Notify>>>,
}

impl Hints {
    /// Runs have become due: wakes the lanes of this process, and soon the other processes.
    pub(crate) fn send_due(self: &Arc<Self>, schema: &Arc<Schema>, pool: &PgPool) {
        self.due.notify_one();
        if !self.sending.swap(true, Ordering::Relaxed) {
            tokio::spawn(send(Arc::downgrade(self), schema.clone(), pool.clone()));
        }
        self.outgoing.notify_one();
    }

    /// Something that is notified when the run ends in this process.
    pub(crate) fn watch(self: &Arc<Self>, run: RunId) -> Watch {
        let ended = self.lock().entry(run).or_default().clone();
        Watch { hints: self.clone(), run, ended }
    }

    /// Wakes those who wait for these runs: they have ended, or wait.
    pub(crate) fn wake_waiters(&self, runs: impl IntoIterator<Item = RunId>) {
        let waiters = self.lock();
        if waiters.is_empty() {
            return;
        }
        runs.into_iter().filter_map(|run| waiters.get(&run)).for_each(|waiter| waiter.notify_waiters());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Arc<Notify>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for a run's end. Dropping it removes its entry.
pub(crate) struct Watch {
    hints: Arc<Hints>,
    pub(crate) run: RunId,
    pub(crate) ended: Arc<Notify>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut waiters = self.hints.lock();
        // The table's and ours: nobody else waits.
        if waiters.get(&self.run).is_some_and(|waiter| Arc::strong_count(waiter) <= 2) {
            waiters.remove(&self.run);
        }
    }
}

/// Sends the hints of a process, coalesced, until its engine is dropped.
async fn send(hints: std::sync::Weak<Hints>, schema: Arc<Schema>, pool: PgPool) {
    loop {
        let Some(strong) = hints.upgrade() else { return };
        let waiting = tokio::time::timeout(Duration::from_secs(5), strong.outgoing.notified()).await;
        drop(strong);
        if waiting.is_ok() {
            // One that has no answer in time is dropped with its connection.
            match tokio::time::timeout(SENT_WITHIN, store::send_hint(&schema, &pool)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a hint was not sent; polling will do"),
                Err(_) => tracing::debug!("a hint was not sent in time; polling will do"),
            }
            tokio::time::sleep(NOTIFY_AT_MOST_EVERY).await;
        }
    }
}
