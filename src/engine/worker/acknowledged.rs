//! What the database has acknowledged to a lane last: its latest heartbeat, from flushes, and the latest of its steps that
//! committed in transactions of their own. A database that doesn't know of them when the lane connects again has forgotten
//! commits: it was restored, or is a standby that was behind. Then what this process has in memory goes beyond the record, and
//! the lane must not go on.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::DateTime;

use crate::engine::{
    core::model::{RunId, Step, Time},
    store::lanes::StepKey,
};

/// Steps that are remembered: they commit side by side, and the last to be acknowledged may not be the last to have committed.
const STEPS: usize = 16;
/// A step that was acknowledged so long before a heartbeat was committed before it: the heartbeat speaks for it.
const COVERED_AFTER: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    /// In microseconds since 1970, as the database keeps them; 0 for none.
    beat: AtomicI64,
    steps: Mutex<VecDeque<(StepKey, Instant)>>,
}

impl Acknowledged {
    pub(crate) fn note(&self, beat: Time) {
        self.beat.fetch_max(beat.timestamp_micros(), Ordering::Relaxed);
        self.steps().retain(|(_, at)| at.elapsed() < COVERED_AFTER);
    }

    /// Steps of one commit: one of them speaks for all.
    pub(crate) fn note_steps(&self, run: RunId, steps: &[Step]) {
        let Some(step) = steps.iter().find(|step| step.outcome.is_some()) else { return };
        let mut noted = self.steps();
        if noted.len() >= STEPS {
            noted.pop_front();
        }
        noted.push_back(((run, step.seq, step.direction), Instant::now()));
    }

    pub(crate) fn last(&self) -> (Option<Time>, Vec<StepKey>) {
        let beat =
            DateTime::from_timestamp_micros(self.beat.load(Ordering::Relaxed)).filter(|at| at.timestamp_micros() > 0);
        (beat, self.steps().iter().map(|(step, _)| *step).collect())
    }

    fn steps(&self) -> MutexGuard<'_, VecDeque<(StepKey, Instant)>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
