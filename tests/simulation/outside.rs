//! What comes from outside: signals, cancels, deaths of workers, takeovers, operators.

use backstitch::engine::{
    Verb,
    core::model::{Request, Step, StepKind},
};

use crate::{kinds::any_name, sim::Sim};

impl Sim {
    /// Something comes from outside.
    pub(crate) fn disturb(&mut self) {
        match self.rng.below(1_000) {
            0..30 => {
                let name = self.rng.below(2) as u8;
                let taken = self.store.signal(name);
                self.note(|| format!("signal{name} is sent: {taken}"));
            }
            30..40 if self.stops => {
                self.cancelled |= self.store.ask(Request::Cancel);
                let cancelled = self.cancelled;
                self.note(|| format!("cancel is asked for: {cancelled}"));
            }
            40..43 if self.stops => {
                self.compensated |= self.store.ask(Request::Compensate);
                let compensated = self.compensated;
                self.note(|| format!("compensate is asked for: {compensated}"));
            }
            43..75 if self.active.is_some() => self.crash("the worker is killed"),
            75..85 => {
                self.note(|| "a takeover, while the worker lives".to_owned());
                self.store.take_over();
            }
            85..95 => {
                if let Some(active) = &mut self.active {
                    active.draining = true;
                    self.note(|| "the worker drains".to_owned());
                }
            }
            95..130 => self.world.arrive(),
            134..146 => {
                let action = if self.rng.chance(50) { Verb::Pause } else { Verb::Resume };
                let ruled = self.store.apply_verb(&action).map(|ruling| ruling.changes);
                self.note(|| format!("an operator: {}: {ruled:?}", action.word()));
            }
            146..156 if self.settles => drop(self.settle_a_step()),
            156..176 if self.holds => self.hold_or_release(),
            130..134 => self.deployed = true,
            _ => {}
        }
    }

    fn hold_or_release(&mut self) {
        let name = any_name(&mut self.rng);
        let mut held_back = self.held_back.lock().expect("no panic while locked");
        let released = held_back.remove(name);
        if !released {
            held_back.insert(name.to_owned());
        }
        drop(held_back);
        self.note(|| format!("an operator: {} {name}", if released { "releases" } else { "holds back" }));
    }

    /// For a run that waits for a signal alone.
    pub(crate) fn send_what_it_waits_for(&mut self) -> bool {
        let open = |step: &&Step| step.kind == StepKind::Signal && step.outcome.is_none();
        let Some(name) = self.store.steps.values().find(open).map(|step| step.name.clone()) else { return false };
        self.store.signal(u8::from(&*name == "signal1"))
    }
}
