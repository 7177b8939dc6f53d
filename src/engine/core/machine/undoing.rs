//! The plan at work: undos are started as soon as those that they wait for are done.

use super::{Machine, Phase};
use crate::engine::core::{
    decision::RunWrite,
    model::{Direction, Failure, Outcome, Status, Step, StepKind, Time},
    plan::undo_plan,
    transition::Change,
};

impl Machine {
    /// Makes the plan, in the same commit as the failure that calls for it; or ends the run, where nothing is to be undone.
    pub(super) fn make_plan(&mut self, failure: Failure) {
        let plan = undo_plan(self.steps.values());
        self.failure = Some(failure.clone());
        if plan.is_empty() {
            let status = self.change(Change::Fail);
            return self.dequeue(status, None, Some(failure), None);
        }
        for undo in plan {
            let Some(forward) = self.steps.get(&(undo.seq, Direction::Forward)) else { continue };
            let step = Step {
                direction: Direction::Undo,
                kind: StepKind::Activity,
                ord: None,
                outcome: None,
                attempts: 0,
                generation: 0,
                output: None,
                error: None,
                details: None,
                due: None,
                next_attempt_at: None,
                undo_after: undo.after,
                policy: None,
                started_at: None,
                took: std::time::Duration::ZERO,
                log: Vec::new(),
                recorded: false,
                ..forward.clone()
            };
            self.dirty.insert((undo.seq, Direction::Undo));
            self.steps.insert((undo.seq, Direction::Undo), step);
        }
        self.change(Change::Plan);
        self.phase = Phase::Undoing;
        self.out.writes.planned = Some(failure.clone());
        self.out.writes.run = Some(RunWrite::Compensating { failure });
    }

    /// Starts every undo whose turn it is; when none is left, the run ends, or is stuck on those that failed.
    pub(super) fn start_undos(&mut self, now: Time) {
        let ready: Vec<u32> = self.undos().filter(|undo| self.is_its_turn(undo, now)).map(|undo| undo.seq).collect();
        for seq in ready.into_iter().rev() {
            if !self.in_flight.contains(&(seq, Direction::Undo)) && matches!(self.phase, Phase::Undoing) {
                self.start((seq, Direction::Undo), now);
            }
        }
        let planned_now = self.out.writes.planned.is_some();
        if !matches!(self.phase, Phase::Undoing) || self.busy() || self.elsewhere.is_some() || planned_now {
            return;
        }
        let failed = self.undos().rev().find(|undo| undo.outcome.is_some_and(|outcome| !is_done(outcome)));
        if self.undos().all(|undo| undo.outcome.is_some_and(is_done)) {
            let (status, failure) = (self.change(Change::FinishUndo), self.failure.clone());
            debug_assert_eq!(status, Status::Compensated);
            self.dequeue(status, None, failure, None);
        } else if self.undos().any(|undo| undo.next_attempt_at.is_some()) {
            // A retry is waited for.
        } else if let Some(undo) = failed {
            let why =
                undo.error.as_ref().map_or_else(String::new, |error| format!(": {}: {}", error.code, error.message));
            let message = format!("the undo of step {} ({}) failed for good{why}", undo.seq, undo.name);
            self.get_stuck(Failure::new("undo_failed", message).at(undo.seq));
        }
    }

    fn is_its_turn(&self, undo: &Step, now: Time) -> bool {
        let waits_for = |seq: &u32| self.steps.get(&(*seq, Direction::Undo)).and_then(|undo| undo.outcome);
        undo.outcome.is_none()
            && undo.next_attempt_at.is_none_or(|at| at <= now)
            && undo.undo_after.iter().all(|seq| waits_for(seq).is_some_and(is_done))
    }

    fn undos(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.steps.values().filter(|step| step.direction == Direction::Undo)
    }
}

pub(super) const fn is_done(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ok | Outcome::Skipped)
}
