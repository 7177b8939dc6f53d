//! Whether the workers of this process get anywhere: when a lane was last answered by the database. Its age is shown in the log,
//! as a metric, and by the health of the process.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A database that has said no so lately is known to be away: starting the process again would not help.
const SAID_NO_LATELY: Duration = Duration::from_secs(30);

/// When a lane of this process was last answered. Shared by all workers of an engine.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    workers: usize,
    answered: Option<Instant>,
    refused: Option<Instant>,
    /// Longer than this without an answer is an episode.
    patience: Duration,
}

/// A worker at work; it is over when this is dropped.
pub(crate) struct AtWork<'a>(&'a Pulse);

impl Pulse {
    /// A worker begins its work; longer than `patience` without an answer, and something is wrong with it.
    pub(crate) fn begin(&self, patience: Duration) -> AtWork<'_> {
        let mut state = self.lock();
        state.workers += 1;
        state.patience = patience;
        state.answered = Some(Instant::now());
        AtWork(self)
    }

    /// The workers that are at work.
    pub(crate) fn workers(&self) -> usize {
        self.lock().workers
    }

    /// The database has answered a lane.
    pub(crate) fn answered(&self) {
        self.lock().answered = Some(Instant::now());
    }

    /// The database, or what stands before it, has said no: it is away, and known to be.
    pub(crate) fn refused(&self) {
        self.lock().refused = Some(Instant::now());
    }

    /// How long the lanes of this process have had no answer; none where no worker is at work.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        let state = self.lock();
        state.answered.filter(|_| state.workers > 0).map(|at| at.elapsed())
    }

    /// The same where that is too long.
    pub(crate) fn stalled_for(&self) -> Option<Duration> {
        let patience = self.lock().patience;
        self.silent_for().filter(|silent| *silent > patience)
    }

    /// Whether the database was known to be away a moment ago.
    pub(crate) fn is_database_away(&self) -> bool {
        self.lock().refused.is_some_and(|at| at.elapsed() < SAID_NO_LATELY)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.lock().workers -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_while_a_worker_is_at_work() {
        let pulse = Pulse::default();
        assert_eq!(pulse.silent_for(), None);
        let at_work = pulse.begin(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        assert!(pulse.stalled_for().is_some());
        drop(at_work);
        assert_eq!(pulse.stalled_for(), None);
    }

    #[test]
    fn a_database_that_says_no_is_known_to_be_away() {
        let pulse = Pulse::default();
        assert!(!pulse.is_database_away());
        pulse.refused();
        assert!(pulse.is_database_away());
    }
}
