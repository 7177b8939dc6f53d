//! The suspects that this worker holds: runs that several lost workers have held. See `core::poison` for how many at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::engine::core::{model::RunId, poison::suspects_beside};

/// All suspects that this worker holds, with their losses.
#[derive(Debug, Default)]
pub(super) struct Suspects(Mutex<HashMap<RunId, i16>>);

/// A suspect in this worker's hands. Dropped when the run has made progress or is gone from here.
#[derive(Debug)]
pub(super) struct Suspect {
    all: Arc<Suspects>,
    run: RunId,
}

/// Whether a claimed run may be begun beside what this worker holds.
#[derive(Debug)]
pub(super) enum Admission {
    /// It is no suspect.
    Free,
    /// It is one, and there is room for it.
    Suspect(Suspect),
    /// It has to wait: a loss now would not tell it from the others.
    Later,
}

impl Suspects {
    pub(super) fn admit(self: &Arc<Self>, run: RunId, losses: i16) -> Admission {
        let Some(beside) = suspects_beside(losses) else { return Admission::Free };
        let mut held = self.lock();
        let fewest = held.values().filter_map(|losses| suspects_beside(*losses)).min().unwrap_or(beside).min(beside);
        if held.len() >= fewest {
            return Admission::Later;
        }
        held.insert(run, losses);
        Admission::Suspect(Suspect { all: self.clone(), run })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, i16>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Suspect {
    fn drop(&mut self) {
        self.all.lock().remove(&self.run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_nine_losses_is_held_alone() {
        let suspects = Arc::new(Suspects::default());
        let held: Vec<_> = (0..3).map(|n| suspects.admit(RunId::from_u128(n), 4)).collect();
        assert!(held.iter().all(|admission| matches!(admission, Admission::Suspect(_))));
        let last = RunId::from_u128(9);
        assert!(matches!(suspects.admit(last, 9), Admission::Later));
        drop(held);
        let alone = suspects.admit(last, 9);
        assert!(matches!(alone, Admission::Suspect(_)));
        assert!(matches!(suspects.admit(RunId::from_u128(1), 4), Admission::Later), "nor does another join it");
        assert!(matches!(suspects.admit(RunId::from_u128(2), 0), Admission::Free));
    }
}
