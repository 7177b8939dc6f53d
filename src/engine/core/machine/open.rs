//! Which steps are open, and whose turn it is among the undos: kept beside the steps, so that a decision costs what it
//! changes and not what the run has done before.

use std::collections::{BTreeMap, BTreeSet};

use super::{Key, undoing::is_done};
use crate::engine::core::model::{Direction, Step};

/// The steps without an outcome, by direction.
#[derive(Debug, Default)]
pub(super) struct OpenSteps {
    forward: BTreeSet<u32>,
    /// Undos without an outcome, behind the place of their step's completion; a step that was never completed comes last.
    undos: BTreeSet<(u32, u32)>,
    /// Undos that are open or failed, behind the number of completions that came before their step was called.
    not_done: BTreeSet<(u32, u32)>,
    failed: BTreeSet<u32>,
}

impl OpenSteps {
    pub(super) fn of(steps: &BTreeMap<Key, Step>) -> Self {
        let mut open = Self::default();
        steps.keys().for_each(|key| open.file(steps, *key));
        open
    }

    /// To be called whenever a step is new or its outcome has changed.
    pub(super) fn file(&mut self, steps: &BTreeMap<Key, Step>, key: Key) {
        let Some(step) = steps.get(&key) else { return };
        let (seq, outcome) = (step.seq, step.outcome);
        if key.1 == Direction::Forward {
            return set(&mut self.forward, seq, outcome.is_none());
        }
        let completed = steps.get(&(seq, Direction::Forward)).and_then(|forward| forward.ord).unwrap_or(u32::MAX);
        let done = outcome.is_some_and(is_done);
        set(&mut self.undos, (completed, seq), outcome.is_none());
        set(&mut self.not_done, (step.issued_after, seq), !done);
        set(&mut self.failed, seq, outcome.is_some() && !done);
    }

    pub(super) fn forward(&self) -> impl Iterator<Item = Key> {
        self.forward.iter().map(|seq| (*seq, Direction::Forward))
    }

    /// The open undos that wait for no other: see `core::plan` for what waits for what.
    pub(super) fn turns(&self) -> impl Iterator<Item = Key> {
        let latest_called = self.not_done.last().map_or(0, |(issued_after, _)| *issued_after);
        self.undos.range((latest_called, 0)..).map(|(_, seq)| (*seq, Direction::Undo))
    }

    pub(super) fn all_undone(&self) -> bool {
        self.not_done.is_empty()
    }

    /// The last undo that has failed for good.
    pub(super) fn failed_undo(&self) -> Option<Key> {
        self.failed.last().map(|seq| (*seq, Direction::Undo))
    }
}

fn set<T: Ord>(of: &mut BTreeSet<T>, item: T, is_in: bool) {
    if is_in {
        of.insert(item);
    } else {
        of.remove(&item);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::core::{
        model::Outcome,
        plan::{
            tests::{came_after, history},
            undo_plan,
        },
    };

    proptest! {
        #[test]
        fn an_undo_waits_for_what_came_after(
            forward in history(),
            outcomes in prop::collection::vec(prop::sample::select(vec![None, Some(Outcome::Ok), Some(Outcome::Failed), Some(Outcome::Skipped)]), 60),
        ) {
            let mut steps: BTreeMap<Key, Step> =
                forward.iter().map(|step| ((step.seq, Direction::Forward), step.clone())).collect();
            let mut open = OpenSteps::of(&steps);
            let plan = undo_plan(&forward);
            for undo in &plan {
                let key = (undo.seq, Direction::Undo);
                let step = Step { direction: key.1, ord: None, outcome: None, ..forward[undo.seq as usize].clone() };
                steps.insert(key, step);
                open.file(&steps, key);
            }
            for (undo, outcome) in plan.iter().zip(outcomes) {
                let key = (undo.seq, Direction::Undo);
                if let Some(step) = steps.get_mut(&key) {
                    step.outcome = outcome;
                }
                open.file(&steps, key);
            }
            let undos: Vec<&Step> = steps.values().filter(|step| step.direction == Direction::Undo).collect();
            let done = |undo: &Step| undo.outcome.is_some_and(is_done);
            let is_free = |undo: &&&Step| {
                undo.outcome.is_none()
                    && undos.iter().all(|later| done(later) || !came_after(later, &forward[undo.seq as usize]))
            };
            let free: BTreeSet<Key> = undos.iter().filter(is_free).map(|undo| (undo.seq, Direction::Undo)).collect();
            prop_assert_eq!(open.turns().collect::<BTreeSet<Key>>(), free);
            prop_assert_eq!(open.all_undone(), undos.iter().all(|undo| done(undo)));
            prop_assert_eq!(open.forward().count(), 0);
        }
    }
}
