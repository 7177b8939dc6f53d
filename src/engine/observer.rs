//! Where attempts can be watched from outside: one call for each attempt, verification and undo, when it has ended. It is
//! how traces get out (`telemetry`); without an observer nothing is gathered.

use std::{fmt::Debug, time::Duration};

use super::core::{
    model::{Direction, RunId, Time},
    trace::Trace,
};

/// One attempt, as it ended. Payloads are not in it.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: &'a str,
    /// The trace that it belongs to.
    pub trace: Trace,
    /// The span of this attempt in it.
    pub span: u64,
    /// The step.
    pub seq: u32,
    /// The activity.
    pub activity: &'a str,
    /// Forward or undo; for a verification: on whose behalf.
    pub direction: Direction,
    /// It only asked whether an earlier attempt took effect.
    pub verifies: bool,
    /// 1 for the first.
    pub attempt: u32,
    /// When it ended, on the database's clock.
    pub ended_at: Time,
    /// How long it took.
    pub took: Duration,
    /// `ok`, `failed` or `unknown`; for a verification also `happened`, `never_will` or `not_yet`.
    pub outcome: &'a str,
    /// The code of its error.
    pub code: Option<&'a str>,
}

/// Watches attempts. It is called from the run's task, and must not block.
pub trait Observer: Debug + Send + Sync {
    /// An attempt, a verification or an undo has ended.
    fn attempted(&self, attempt: &Observed<'_>);
}
