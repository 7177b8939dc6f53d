//! The promises, checked after each step of a simulation and at its end.

use std::collections::BTreeSet;

use backstitch::engine::{
    Outcome,
    core::{
        decision::{RunWrite, Writes},
        model::{Direction, Status, StepKind},
        poison::POISON_AFTER,
    },
};

use crate::{
    program::Node,
    sim::{Checked, Sim},
};

impl Sim {
    /// After each step.
    pub(crate) fn check(&mut self) -> Checked {
        if let Some(breach) = self.world.broken.take() {
            return Err(breach);
        }
        if let Some(breach) = self.memory.lock().expect("no panic while locked").broken.take() {
            return Err(breach);
        }
        if self.store.ready.as_ref().is_some_and(|ready| ready.takeovers > POISON_AFTER + 8) {
            return Err("the run kills its workers again and again, and nothing stops it".to_owned());
        }
        self.check_deadline()?;
        self.check_limbo()
    }

    /// A parked run is woken by its deadline.
    fn check_deadline(&self) -> Checked {
        let store = &self.store;
        let parked = store.status == Status::Waiting && store.ready.is_none() && !store.is_pivoted();
        match store.deadline_at.filter(|_| parked) {
            Some(deadline) if store.timer.is_none_or(|timer| timer > deadline) => {
                Err(format!("nothing wakes the run at its deadline {deadline}: its timer is {:?}", store.timer))
            }
            _ => Ok(()),
        }
    }

    /// A run that has not ended is due, held, or waits for something that has a name.
    fn check_limbo(&self) -> Checked {
        let store = &self.store;
        let open_wait = store
            .steps
            .values()
            .any(|step| step.kind == StepKind::Signal && step.outcome.is_none() && store.status == Status::Waiting);
        let accounted = store.status.is_end()
            || store.status == Status::Stuck
            || (store.status == Status::Paused && store.paused_at.is_some())
            || store.ready.is_some()
            || store.timer.is_some()
            || open_wait;
        if accounted { Ok(()) } else { Err(format!("limbo: the run is {} and waits for nothing", store.status)) }
    }

    /// Before a commit: may there be a plan, and what is stuck for what reason?
    pub(crate) fn check_plan(&self, writes: &Writes) -> Checked {
        let pivoted = self.store.is_pivoted() || writes.steps.iter().any(|step| step.kind == StepKind::Pivot);
        if writes.planned.is_some() && pivoted && !self.compensated {
            return Err("a run past its pivot is undone, and no operator asked for it".to_owned());
        }
        match &writes.run {
            Some(RunWrite::Dequeue { status: Status::Stuck, failure: Some(failure), .. }) => {
                self.check_stuck(&failure.code, pivoted)
            }
            Some(RunWrite::Dequeue { status: Status::Stuck, failure: None, .. }) => {
                Err("the run is stuck, and nobody says why".to_owned())
            }
            Some(RunWrite::Dequeue { status: Status::Completed, .. }) if self.store.planned.is_some() => {
                Err("a run completes after its plan of undos was made".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// A run gets stuck only for a reason that this program gives.
    fn check_stuck(&self, code: &str, pivoted: bool) -> Checked {
        let stated = match code {
            "undo_failed" => self.store.planned.is_some(),
            "poison" => self.store.losses_in_a_row >= POISON_AFTER,
            "workflow_panicked" => self.program.has(|node| matches!(node, Node::Panic)),
            "unknown_activity" => self.program.missing_kind.is_some(),
            "meant_to_fail" | "no_signal" | "scripted" | "deadline_exceeded" | "worker_lost" | "not_yet"
            | "resolved_failed" => pivoted,
            _ => false,
        };
        if stated { Ok(()) } else { Err(format!("the run gets stuck for no reason that there is: {code}")) }
    }

    /// After each commit.
    pub(crate) fn check_record(&self) -> Checked {
        let forward = self.store.steps.values().filter(|step| step.direction == Direction::Forward);
        let places_taken: Vec<u32> = forward.filter_map(|step| step.ord).collect();
        let places: BTreeSet<u32> = places_taken.iter().copied().collect();
        let dense = places.len() == places_taken.len()
            && places.last().is_none_or(|last| *last as usize + 1 == places_taken.len());
        if !dense {
            return Err(format!("the order in which outcomes were told has gaps or doubles: {places_taken:?}"));
        }
        for step in self.store.steps.values() {
            let certain =
                step.name.contains("tx") || (step.name.starts_with("read") && step.direction == Direction::Forward);
            if certain && step.error.as_ref().is_some_and(|error| error.unknown) {
                return Err(format!("step {} is transactional or only reads, and unknown on record", step.seq));
            }
            let taken = || self.store.signals.iter().filter(|(_, taken)| *taken == Some(step.seq)).count();
            if step.kind == StepKind::Signal && step.outcome == Some(Outcome::Ok) && taken() != 1 {
                return Err(format!("step {} has taken {} signals", step.seq, taken()));
            }
        }
        self.check_outcomes()
    }

    /// When the run has ended and whatever was held up has arrived.
    pub(crate) fn check_end(&self) -> Checked {
        let status = self.store.status;
        if self.store.ready.is_some() {
            return Err("the run has ended, and is still due".to_owned());
        }
        self.check_outcomes()?;
        let left = |undoable: bool| {
            let calls = self.program.calls().into_iter().filter(move |call| (call.kind % 2 == 1) == undoable);
            calls.filter(|call| self.world.effects(call.id) > 0).map(|call| call.id).collect::<Vec<_>>()
        };
        match status {
            Status::Completed => {
                let plain = self.world.undos == 0 && self.store.planned.is_none();
                if !plain {
                    return Err("a completed run has undone something".to_owned());
                }
                if self.compensated || self.cancelled {
                    return Err("a run completes although it was asked to stop, and could".to_owned());
                }
                Ok(())
            }
            Status::Compensated | Status::Failed => {
                let effects = left(true);
                if !effects.is_empty() {
                    return Err(format!("the run is {status}, and these calls are still in force: {effects:?}"));
                }
                let undos = self.store.steps.values().filter(|step| step.direction == Direction::Undo);
                let open = undos.filter(|undo| !matches!(undo.outcome, Some(Outcome::Ok | Outcome::Skipped))).count();
                if open > 0 { Err(format!("the run is {status} with {open} undos not done")) } else { Ok(()) }
            }
            _ => Err(format!("the run has ended as {status}")),
        }
    }
}
