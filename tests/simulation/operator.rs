//! What operators do to the run: they mend the world, ask for verbs, and settle steps by what they know from outside.
//!
//! They are honest. What they declare is what has happened; what they skip had no effect, and never will have one; what they
//! skip the undo of they have undone by hand. So the ledger has to add up with them as without.

use backstitch::engine::{
    Declared, Outcome, Verb,
    core::{
        model::{Direction, Request, Status, Step, StepKind, idempotency_key},
        ruling::rule,
    },
};
use serde_json::json;

use crate::{program::NodeId, sim::Sim};

impl Sim {
    /// An operator has mended the world and deals with a stuck run.
    pub(crate) fn apply_verb(&mut self) {
        self.world.repaired = true;
        self.deployed = true;
        if self.rng.chance(30) && self.settle_a_step() {
            return;
        }
        if self.rng.chance(50) && self.store.ask(Request::Compensate) {
            self.compensated = true;
            self.note(|| "an operator: compensate".to_owned());
        } else if self.store.retry() {
            self.forget_answers();
            self.note(|| "an operator: retry".to_owned());
        } else {
            self.compensated |= self.store.ask(Request::Compensate);
            self.note(|| "an operator: compensate, as a retry is refused".to_owned());
        }
    }

    /// Now and then an operator comes back to a run that has ended. True: it is due again.
    pub(crate) fn reopen(&mut self) -> bool {
        match self.store.status {
            Status::Completed if self.rng.chance(30) => {
                self.compensated = self.store.ask(Request::Compensate);
                self.note(|| "an operator has a completed run undone".to_owned());
                self.compensated
            }
            Status::Failed if self.rng.chance(20) => {
                if !self.store.retry() {
                    return false;
                }
                self.world.repaired = true;
                self.deployed = true;
                self.goes_on_after_its_end();
                self.forget_answers();
                self.note(|| "an operator has a failed run try again".to_owned());
                true
            }
            _ => false,
        }
    }

    /// What was asked of it before is over.
    fn goes_on_after_its_end(&mut self) {
        (self.cancelled, self.compensated) = (false, false);
    }

    /// Puts the outcome of a step on record, one that can be settled so. True: it was.
    pub(crate) fn settle_a_step(&mut self) -> bool {
        let is_open = |step: &&Step| !matches!(step.outcome, Some(Outcome::Ok | Outcome::Skipped));
        let steps: Vec<Step> = self.store.steps.values().filter(is_open).cloned().collect();
        let Some(step) = (!steps.is_empty()).then(|| self.rng.pick(&steps)) else { return false };
        let input = self.store.steps.get(&(step.seq, Direction::Forward)).and_then(|forward| forward.input.clone());
        let id = input.and_then(|input| serde_json::from_str::<NodeId>(input.get()).ok());
        let Some(id) = id.filter(|_| step.kind == StepKind::Activity) else { return false };
        let Some(action) = self.what_is_true(&step, id) else { return false };
        // Nobody burns a key, or undoes by hand, for what is going to be refused.
        if !rule(&self.store.facts(), &action).is_ok_and(|ruling| ruling.changes) {
            return false;
        }
        if step.direction == Direction::Forward {
            let key = idempotency_key(self.store.run, step.seq, Direction::Forward, step.generation);
            self.world.settle_call(id, &key);
        } else if matches!(action, Verb::Skip { .. }) {
            self.world.reverse(id);
        }
        let ended = self.store.status == Status::Failed;
        let ruled = self.store.apply_verb(&action).map(|ruling| (ruling.status, ruling.says));
        if ended && self.store.status != Status::Failed {
            self.goes_on_after_its_end();
        }
        if step.ord.is_some() {
            self.forget_answers();
        }
        self.note(|| format!("an operator: {action:?}: {ruled:?}"));
        true
    }

    fn what_is_true(&mut self, step: &Step, id: NodeId) -> Option<Verb> {
        let forward = step.direction == Direction::Forward;
        let happened = if forward { self.world.effects(id) > 0 } else { self.world.is_undone(id) };
        let direction = Some(if forward { Direction::Forward } else { Direction::Undo });
        let output = forward.then(|| json!(id));
        if self.rng.chance(50) {
            // What has had an effect is not passed over.
            return (!forward || !happened).then_some(Verb::Skip { seq: step.seq, direction, output });
        }
        let outcome = if happened { Declared::Ok } else { Declared::Failed };
        let output = output.filter(|_| happened);
        Some(Verb::Resolve { seq: step.seq, direction, outcome, output, evidence: None })
    }
}
