//! Runs whose step's own transaction was refused once. Only the second refusal in a row costs the run: the first may have come
//! of trouble that the step has swallowed.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::engine::core::model::RunId;

/// Beyond that many they are forgotten: some go on at other workers, and would stay here for ever.
const AT_MOST: usize = 10_000;

/// Runs that were refused once.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<HashSet<RunId>>);

impl Refused {
    /// Notes a refusal, and says whether it is the second.
    pub(crate) fn is_second(&self, run: RunId) -> bool {
        let mut runs = self.lock();
        if runs.remove(&run) {
            return true;
        }
        if runs.len() >= AT_MOST {
            runs.clear();
        }
        runs.insert(run);
        false
    }

    /// It went well.
    pub(crate) fn forget(&self, run: RunId) {
        let mut runs = self.lock();
        if !runs.is_empty() {
            runs.remove(&run);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<RunId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
