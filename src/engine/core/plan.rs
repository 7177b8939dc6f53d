//! THE compensation plan: which steps of a run are undone, and in which order. A pure function over its step rows.
//!
//! Undone is every step that is `ok` or `unknown` and has an undo. The last goes first: a step's undo waits for the undos
//! of all steps that were called after its outcome was delivered, because those may build on it. Steps that ran side
//! by side wait for nothing of each other's, so that one stuck undo doesn't hold the others up.
//!
//! The plan needs no workflow code: `issued_after` and `ord` in the rows say what came after what. That is why an operator can
//! compensate a run in any state, with a workflow that no longer replays.

use super::model::{Direction, Outcome, Step, StepKind};

/// One undo to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// The step to undo.
    pub seq: u32,
    /// The steps whose undo has to be done first.
    pub after: Vec<u32>,
}

/// Makes the plan, last first.
pub fn undo_plan<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Vec<Undo> {
    let mut to_undo: Vec<&Step> = steps.into_iter().filter(|step| needs_undo(step)).collect();
    to_undo.sort_by_key(|step| std::cmp::Reverse(step.seq));
    to_undo
        .iter()
        .map(|step| {
            let later = to_undo.iter().filter(|other| came_after(other, step)).map(|other| other.seq);
            Undo { seq: step.seq, after: later.collect() }
        })
        .collect()
}

fn needs_undo(step: &Step) -> bool {
    step.direction == Direction::Forward
        && step.kind == StepKind::Activity
        && step.undoable
        && matches!(step.outcome, Some(Outcome::Ok | Outcome::Unknown))
}

/// Whether `later` was called after the outcome of `earlier` had been delivered.
fn came_after(later: &Step, earlier: &Step) -> bool {
    earlier.ord.is_some_and(|ord| later.issued_after > ord)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
        assert_eq!(plan[2], Undo { seq: 0, after: vec![2, 1] });
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
}
