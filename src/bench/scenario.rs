//! What a load has to say of itself.

use crate::engine::{Registry, StartRun};

/// A kind of load: which workflow runs, with which input, in how many steps.
pub(super) trait Scenario: Send + Sync + 'static {
    /// Steps that each run must have on record when it has completed.
    const STEPS_PER_RUN: u32;

    /// Adds the workflow and its activities.
    fn register(&self, registry: Registry) -> Registry;

    /// The next run to start. Called within the measured time, so whatever can be prepared is prepared before.
    fn next_run(&self) -> StartRun;
}
