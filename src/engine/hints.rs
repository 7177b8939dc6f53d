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
use uuid::Uuid;

use super::{
    core::model::RunId,
    read_models::RunResult,
    store::{self, schema::Schema},
};

/// At most one NOTIFY in this time per process: each takes a lock that all notifying commits share.
const NOTIFY_AT_MOST_EVERY: Duration = Duration::from_millis(20);

/// A hint that takes longer than this has no use.
const SENT_WITHIN: Duration = Duration::from_secs(5);

/// What one process knows of due work and of ended runs.
#[derive(Debug)]
pub(crate) struct Hints {
    /// What its hints to others carry.
    name: String,
    /// Runs may be due: a lane should claim.
    pub(crate) due: Notify,
    /// Events have got their numbers.
    pub(crate) numbered: Notify,
    outgoing: Notify,
    sending: AtomicBool,
    waiters: Mutex<HashMap<RunId, Arc<Waiter>>>,
}

/// Those who wait for a run's end.
#[derive(Debug, Default)]
struct Waiter {
    /// The run has ended, or something has happened to it.
    stirred: Notify,
    /// How it has ended, where that was told with the last stir.
    result: Mutex<Option<RunResult>>,
}

impl Waiter {
    fn stir(&self, result: Option<RunResult>) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = result;
        self.stirred.notify_waiters();
    }
}

impl Default for Hints {
    fn default() -> Self {
        Self {
            name: Uuid::new_v4().simple().to_string(),
            due: Notify::new(),
            numbered: Notify::new(),
            outgoing: Notify::new(),
            sending: AtomicBool::new(false),
            waiters: Mutex::default(),
        }
    }
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

    /// Whether this process has sent a hint that came over the database.
    pub(crate) fn has_sent(&self, payload: &str) -> bool {
        payload == self.name
    }

    /// Something that is notified when the run ends in this process.
    pub(crate) fn watch(self: &Arc<Self>, run: RunId) -> Watch {
        let waiter = self.lock().entry(run).or_default().clone();
        Watch { hints: self.clone(), run, waiter }
    }

    /// Whether somebody here waits for the run's end.
    pub(crate) fn is_awaited(&self, run: RunId) -> bool {
        self.lock().contains_key(&run)
    }

    /// Wakes those who wait for this run: it has ended, with this result where it is given, or waits, or is not what it was.
    pub(crate) fn wake_waiters(&self, run: RunId, result: Option<RunResult>) {
        if let Some(waiter) = self.lock().get(&run) {
            waiter.stir(result);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Arc<Waiter>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for a run's end. Dropping it removes its entry.
pub(crate) struct Watch {
    hints: Arc<Hints>,
    pub(crate) run: RunId,
    waiter: Arc<Waiter>,
}

impl Watch {
    /// Notified when the run ends.
    pub(crate) fn stirred(&self) -> &Notify {
        &self.waiter.stirred
    }

    /// How the run has ended, where that was told.
    pub(crate) fn result(&self) -> Option<RunResult> {
        self.waiter.result.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
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
        let name = strong.name.clone();
        drop(strong);
        if waiting.is_ok() {
            // One that has no answer in time is dropped with its connection.
            match tokio::time::timeout(SENT_WITHIN, store::send_hint(&schema, &pool, &name)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a hint was not sent; polling will do"),
                Err(_) => tracing::debug!("a hint was not sent in time; polling will do"),
            }
            tokio::time::sleep(NOTIFY_AT_MOST_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::read_models::RunStatus;

    fn ended(run: RunId) -> RunResult {
        let (status, ended) = (RunStatus::Completed, true);
        RunResult { id: run, status, ended, output: None, failure: None, secret_fields: Vec::new() }
    }

    #[tokio::test]
    async fn who_waits_is_told_the_result_until_the_next_stir() {
        let (hints, run) = (Arc::new(Hints::default()), RunId::now_v7());
        hints.wake_waiters(run, Some(ended(run)));
        assert!(!hints.is_awaited(run));
        let watch = hints.watch(run);
        assert!(watch.result().is_none(), "nobody waited for that");
        let mut stirred = Box::pin(watch.stirred().notified());
        stirred.as_mut().enable();
        hints.wake_waiters(run, Some(ended(run)));
        stirred.await;
        assert_eq!(watch.result().map(|known| known.id), Some(run));
        hints.wake_waiters(run, None);
        assert!(watch.result().is_none(), "an operator has begun it again, perhaps");
        drop(watch);
        assert!(!hints.is_awaited(run));
    }

    #[test]
    fn a_process_knows_its_own_hints() {
        let (ours, theirs) = (Hints::default(), Hints::default());
        assert!(ours.has_sent(&ours.name));
        assert!(!ours.has_sent(&theirs.name));
        assert!(!ours.has_sent(""), "an older release's");
    }
}
