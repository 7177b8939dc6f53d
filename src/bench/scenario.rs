//! What a load has to say of itself, so that `closed` can do the rest.

use std::future::Future;

use super::measure;
use crate::engine::{Engine, Registry, RunId, StartRun};

/// A kind of load: which workflow runs, with which input, in how many steps.
pub(super) trait Scenario: Send + Sync + 'static {
    /// As it is called on the command line.
    const NAME: &'static str;
    /// Records with the outcome `ok` that each run must have when it has ended: steps and undos.
    const STEPS_PER_RUN: u32;
    /// How many runs, unless said otherwise.
    const RUNS: usize;
    /// How many are then run one at a time on the idle engine, for their latency.
    const IDLE_RUNS: usize = 200;
    /// The status that its runs must end in, as `run.status` has it.
    const ENDS_AS: i16 = measure::COMPLETED;

    /// Adds the workflow and its activities.
    fn register(&self, registry: Registry) -> Registry;

    /// The next run to start. Called within the measured time, so whatever can be prepared is prepared before.
    fn next_run(&self) -> StartRun;

    /// Makes what its steps need in the database.
    fn prepare(&self, _engine: &Engine) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }

    /// Runs that have come to their last step, where runs park: for those the table of due runs says nothing.
    fn count_ended(&self) -> Option<u64> {
        None
    }

    /// Does for runs that have been started what somebody outside does.
    fn accompany(&self, _engine: &Engine, _started: Vec<RunId>) {}

    /// Looks in the database whether its steps did what they should, once this many runs have ended.
    fn check(&self, _engine: &Engine, _runs: usize) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }
}
