//! The plan at work: undos are started as soon as those that they wait for are done.

use super::{Key, Machine, Phase};
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
            let key = (undo.seq, Direction::Undo);
            self.steps.insert(key, step);
            self.open.file(&self.steps, key);
            self.dirty.insert(key);
        }
        self.change(Change::Plan);
        self.phase = Phase::Undoing;
        self.out.writes.planned = Some(failure.clone());
        self.out.writes.run = Some(RunWrite::Compensating { failure });
    }

    /// Starts every undo whose turn it is; when none is left, the run ends, or is stuck on those that failed.
    pub(super) fn start_undos(&mut self, now: Time) {
        let idle = self.open.turns().filter(|key| !self.in_flight.contains(key));
        let due = |key: &Key| self.steps.get(key).is_some_and(|undo| undo.next_attempt_at.is_none_or(|at| at <= now));
        let mut ready: Vec<Key> = idle.filter(due).collect();
        ready.sort_unstable();
        for key in ready.into_iter().rev() {
            if matches!(self.phase, Phase::Undoing) {
                self.start(key, now);
            }
        }
        let planned_now = self.out.writes.planned.is_some();
        if !matches!(self.phase, Phase::Undoing) || self.busy() || self.elsewhere.is_some() || planned_now {
            return;
        }
        if self.open.all_undone() {
            let (status, failure) = (self.change(Change::FinishUndo), self.failure.clone());
            debug_assert_eq!(status, Status::Compensated);
            self.dequeue(status, None, failure, None);
        } else if self.open_steps().any(|undo| undo.next_attempt_at.is_some()) {
            // A retry is waited for.
        } else if let Some(undo) = self.open.failed_undo().and_then(|key| self.steps.get(&key)) {
            let why =
                undo.error.as_ref().map_or_else(String::new, |error| format!(": {}: {}", error.code, error.message));
            let message = format!("the undo of step {} ({}) failed for good{why}", undo.seq, undo.name);
            self.get_stuck(Failure::new("undo_failed", message).at(undo.seq));
        }
    }
}

pub(super) const fn is_done(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ok | Outcome::Skipped)
}
