//! `saga`: five undoable and verifiable steps, each recorded before it is attempted; and `compensate`: the same, but the last
//! step fails for good and the four before it are undone.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{
    measure,
    parts::{self, Note, in_turn},
    scenario::Scenario,
};
use crate::engine::{Activity, ActivityContext, ActivityError, Error, Registry, StartRun, Verified, Workflow};

/// Five steps that could be undone.
pub(super) struct Saga {
    input: Arc<RawValue>,
}

/// Four that are.
pub(super) struct Compensate {
    input: Arc<RawValue>,
}

impl Saga {
    /// # Errors
    /// When the input has no JSON form, which would be a mistake.
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { input: parts::input()? })
    }
}

impl Compensate {
    /// # Errors
    /// As of [`Saga::new`].
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { input: parts::input()? })
    }
}

fn register(registry: Registry) -> Registry {
    let registry = registry.workflow(BenchSaga).workflow(BenchUndone).activity(Reserve).activity(Charge);
    registry.activity(Confirm).activity(Notify).activity(Archive).activity(Refuse)
}

impl Scenario for Saga {
    const NAME: &'static str = "saga";
    const STEPS_PER_RUN: u32 = 5;
    const RUNS: usize = 30_000;

    fn register(&self, registry: Registry) -> Registry {
        register(registry)
    }

    fn next_run(&self) -> StartRun {
        StartRun::named(BenchSaga::NAME, self.input.clone())
    }
}

impl Scenario for Compensate {
    const NAME: &'static str = "compensate";
    const STEPS_PER_RUN: u32 = 8;
    const RUNS: usize = 10_000;
    const IDLE_RUNS: usize = 100;
    const ENDS_AS: i16 = measure::COMPENSATED;

    fn register(&self, registry: Registry) -> Registry {
        register(registry)
    }

    fn next_run(&self) -> StartRun {
        StartRun::named(BenchUndone::NAME, self.input.clone())
    }
}

/// Steps that differ in their names, and in whether they refuse.
macro_rules! step {
    ($type:ident, $name:literal, $answer:expr) => {
        struct $type;
        impl Activity for $type {
            const NAME: &'static str = $name;
            const UNDOABLE: bool = true;
            const VERIFIABLE: bool = true;
            type Input = ();
            type Output = Note;
            async fn run(&self, _: &ActivityContext, (): &()) -> Result<Note, ActivityError> {
                $answer
            }
            async fn verify(&self, _: &ActivityContext, (): &()) -> Result<Verified<Note>, ActivityError> {
                Ok(Verified::NeverWill)
            }
            async fn undo(&self, _: &ActivityContext, (): &(), _: Option<&Note>) -> Result<(), ActivityError> {
                Ok(())
            }
        }
    };
}
step!(Reserve, "reserve", Ok(Note::new()));
step!(Charge, "charge", Ok(Note::new()));
step!(Confirm, "confirm", Ok(Note::new()));
step!(Notify, "notify", Ok(Note::new()));
step!(Archive, "archive", Ok(Note::new()));
step!(Refuse, "refuse", Err(ActivityError::failed("refused", "it always is").fatal()));

in_turn!(BenchSaga, "bench_saga", [Reserve, Charge, Confirm, Notify], Archive);

in_turn!(BenchUndone, "bench_undone", [Reserve, Charge, Confirm, Notify], Refuse);
