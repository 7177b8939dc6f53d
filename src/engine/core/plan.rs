//! THE compensation plan: which steps of a run are undone, and in which order. A pure function over its step rows.
//!
//! Undone is every step that is `ok` or `unknown` and has an undo. The last goes first: a step's undo waits for the undos
//! of all steps that were called after its outcome was delivered, because those may build on it. Steps that ran side
//! by side wait for nothing of each other's, so that one stuck undo doesn't hold the others up.
//!
//! The plan needs no workflow code: `issued_after` and `ord` in the rows say what came after what. That is why an operator can
//! compensate a run in any state, with a workflow that no longer replays. Whose turn it is follows from the same two numbers
//! (`machine::open`); so a plan only names what each undo waits for directly, and is about as long as the run.

use super::model::{Direction, Outcome, Step, StepKind};

/// Of the undos that one waits for, this many are named: of those of steps that ran side by side there may be thousands.
pub const NAMED_AT_MOST: usize = 32;

/// One undo to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// The step to undo.
    pub seq: u32,
    /// The steps whose undo has to be done right before it; what those wait for in turn is left out.
    pub after: Vec<u32>,
}

/// Makes the plan, last first.
pub fn undo_plan<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Vec<Undo> {
    let mut to_undo: Vec<&Step> = steps.into_iter().filter(|step| needs_undo(step)).collect();
    to_undo.sort_by_key(|step| std::cmp::Reverse(step.seq));
    let mut by_call = to_undo.clone();
    by_call.sort_by_key(|step| (step.issued_after, step.seq));
    // Of the steps from here on, in the order of their calls: the first place at which one of them was completed.
    let mut first_completed = vec![u32::MAX; by_call.len() + 1];
    for (at, step) in by_call.iter().enumerate().rev() {
        first_completed[at] = step.ord.unwrap_or(u32::MAX).min(first_completed[at + 1]);
    }
    let called_by = |place: u32| by_call.partition_point(|step| step.issued_after <= place);
    let direct = |step: &Step| {
        // A step that was never completed: nothing was built on it.
        let Some(completed) = step.ord else { return Vec::new() };
        let from = called_by(completed);
        // What was called after the first of these outcomes waits for that one.
        let to = called_by(first_completed[from]);
        by_call[from..to].iter().rev().take(NAMED_AT_MOST).map(|later| later.seq).collect()
    };
    to_undo.iter().map(|step| Undo { seq: step.seq, after: direct(step) }).collect()
}

fn needs_undo(step: &Step) -> bool {
    step.direction == Direction::Forward
        && step.kind == StepKind::Activity
        && step.undoable
        && matches!(step.outcome, Some(Outcome::Ok | Outcome::Unknown))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use proptest::prelude::*;

    use super::*;

    /// A history: what was called and completed in which order, as `ord` and `issued_after` have it.
    pub(crate) fn history() -> impl Strategy<Value = Vec<Step>> {
        prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), 0..5_u8), 1..60).prop_map(|events| {
            let (mut steps, mut open, mut completed): (Vec<Step>, Vec<usize>, u32) = (Vec::new(), Vec::new(), 0);
            for (calls, which, how) in events {
                if calls || open.is_empty() {
                    open.push(steps.len());
                    steps.push(step(steps.len() as u32, completed, None, Some(Outcome::Unknown)));
                } else {
                    let ended = &mut steps[open.swap_remove(which.index(open.len()))];
                    ended.ord = Some(completed);
                    ended.outcome = Some(
                        [Outcome::Ok, Outcome::Ok, Outcome::Ok, Outcome::Failed, Outcome::Unknown][usize::from(how)],
                    );
                    completed += 1;
                }
            }
            steps
        })
    }

    /// Whether `later` was called after `earlier` had been completed: the rule, without any shortcut.
    pub(crate) fn came_after(later: &Step, earlier: &Step) -> bool {
        earlier.ord.is_some_and(|ord| later.issued_after > ord)
    }

    fn step(seq: u32, issued_after: u32, ord: Option<u32>, outcome: Option<Outcome>) -> Step {
        Step {
            seq,
            direction: Direction::Forward,
            kind: StepKind::Activity,
            name: "x".into(),
            ord,
            issued_after,
            outcome,
            attempts: 1,
            generation: 0,
            undoable: true,
            input: None,
            output: None,
            error: None,
            details: None,
            due: None,
            next_attempt_at: None,
            undo_after: vec![],
            policy: None,
            started_at: None,
            took: Duration::ZERO,
            log: Vec::new(),
            recorded: true,
        }
    }

    #[test]
    fn steps_in_sequence_are_undone_last_first() {
        let steps: Vec<_> = (0..3).map(|n| step(n, n, Some(n), Some(Outcome::Ok))).collect();
        let plan = undo_plan(&steps);
        assert_eq!(plan[0], Undo { seq: 2, after: vec![] });
        assert_eq!(plan[1], Undo { seq: 1, after: vec![2] });
        assert_eq!(plan[2], Undo { seq: 0, after: vec![1] });
    }

    #[test]
    fn steps_side_by_side_wait_for_nothing_of_each_other() {
        let steps = [
            step(0, 0, Some(0), Some(Outcome::Ok)),
            step(1, 1, Some(2), Some(Outcome::Ok)),
            step(2, 1, Some(1), Some(Outcome::Ok)),
        ];
        let plan = undo_plan(&steps);
        assert_eq!(plan[0], Undo { seq: 2, after: vec![] });
        assert_eq!(plan[1], Undo { seq: 1, after: vec![] });
        assert_eq!(plan[2], Undo { seq: 0, after: vec![2, 1] });
    }

    #[test]
    fn unknown_steps_are_undone_and_failed_ones_are_not() {
        let steps = [
            step(0, 0, Some(0), Some(Outcome::Failed)),
            step(1, 1, None, Some(Outcome::Unknown)),
            step(2, 1, None, Some(Outcome::Skipped)),
        ];
        assert_eq!(undo_plan(&steps), vec![Undo { seq: 1, after: vec![] }]);
    }

    proptest! {
        #[test]
        fn what_is_named_leads_to_all_that_came_after(steps in history()) {
            let plan = undo_plan(&steps);
            let planned: Vec<&Step> = steps.iter().filter(|step| needs_undo(step)).collect();
            prop_assert_eq!(plan.len(), planned.len());
            for undo in &plan {
                let earlier = &steps[undo.seq as usize];
                let all: BTreeSet<u32> =
                    planned.iter().filter(|later| came_after(later, earlier)).map(|later| later.seq).collect();
                let (mut reached, mut look) = (BTreeSet::new(), undo.after.clone());
                while let Some(seq) = look.pop() {
                    if reached.insert(seq) {
                        look.extend(plan.iter().filter(|other| other.seq == seq).flat_map(|other| other.after.clone()));
                    }
                }
                prop_assert_eq!(reached, all, "of step {}", undo.seq);
            }
        }
    }

    #[test]
    fn a_plan_is_no_longer_than_its_run_deserves() {
        let chain: Vec<Step> = (0..10_000).map(|n| step(n, n, Some(n), Some(Outcome::Ok))).collect();
        assert_eq!(undo_plan(&chain).iter().map(|undo| undo.after.len()).sum::<usize>(), 9_999);
        let level = |n: u32| step(n, n / 1_000 * 1_000, Some(n), Some(Outcome::Ok));
        let side_by_side: Vec<Step> = (0..4_000).map(level).collect();
        assert_eq!(undo_plan(&side_by_side).iter().map(|undo| undo.after.len()).sum::<usize>(), 3_000 * NAMED_AT_MOST);
    }
}
