//! `plain`, the standard load: the same work that other engines are measured on.
//!
//! A run is five sequential steps, each an in-process function that returns about 100 bytes; its input is an order of about
//! 500 bytes.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{
    parts::{self, Note, in_turn},
    scenario::Scenario,
};
use crate::engine::{Activity, ActivityContext, ActivityError, Error, Registry, StartRun, Workflow};

/// Five plain steps; every run has the same input.
pub(super) struct Plain {
    input: Arc<RawValue>,
}

impl Plain {
    /// # Errors
    /// When the input has no JSON form, which would be a mistake.
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { input: parts::input()? })
    }
}

impl Scenario for Plain {
    const NAME: &'static str = "plain";
    const STEPS_PER_RUN: u32 = 5;
    const RUNS: usize = 50_000;

    fn register(&self, registry: Registry) -> Registry {
        let registry = registry.workflow(BenchOrder).activity(Reserve).activity(Charge).activity(Confirm);
        registry.activity(Notify).activity(Archive)
    }

    fn next_run(&self) -> StartRun {
        StartRun::named(BenchOrder::NAME, self.input.clone())
    }
}

/// The five steps differ in their names only.
macro_rules! step {
    ($type:ident, $name:literal) => {
        pub(super) struct $type;
        impl Activity for $type {
            const NAME: &'static str = $name;
            type Input = ();
            type Output = Note;
            async fn run(&self, _: &ActivityContext, (): &()) -> Result<Note, ActivityError> {
                Ok(Note::new())
            }
        }
    };
}
step!(Reserve, "reserve");
step!(Charge, "charge");
step!(Confirm, "confirm");
step!(Notify, "notify");
step!(Archive, "archive");

in_turn!(BenchOrder, "bench_order", [Reserve, Charge, Confirm, Notify], Archive);
