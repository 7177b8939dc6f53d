//! Runs and their steps, as people see them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Attention, RunStatus};
use crate::engine::core::{
    model::{Direction, Failure, Json, Outcome, PastAttempt, RunId, StepError, StepKind, Time, WaitKind},
    redact::hide,
};

/// A run as people see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its workflow's name.
    pub workflow: String,
    /// The version it began with, and keeps.
    pub version: i32,
    /// The caller's key.
    pub key: Option<String>,
    /// Its home queue.
    pub queue: String,
    /// Where it stands.
    pub status: RunStatus,
    /// What it was started with.
    pub input: Option<Json>,
    /// What it ended with.
    pub output: Option<Json>,
    /// Why it failed, is being undone or is stuck.
    pub failure: Option<Failure>,
    /// What it waits for; none while a worker holds it or it has ended.
    pub waiting_on: Option<WaitingOn>,
    /// The caller's labels.
    pub tags: BTreeMap<String, String>,
    /// When it was started.
    pub created_at: Time,
    /// When a worker first advanced it.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// The run that it takes on from.
    pub parent_id: Option<RunId>,
    /// The trace that it belongs to: the caller's, or one of its own by its id.
    pub trace_id: String,
    /// Its steps, undos after the forward ones; only where one run is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<RunStep>>,
    /// Why it needs attention; only where one run is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<Vec<Attention>>,
    /// Runs that take on from it (forks, late payments), oldest first, at most a hundred; only where one run is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub children: Option<Vec<RunId>>,
}

/// What a run waits for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct WaitingOn {
    /// What kind of thing.
    pub kind: WaitKind,
    /// The signal's, activity's, queue's or workflow's name, or that of what is held back.
    pub name: Option<String>,
    /// Since when.
    pub since: Option<Time>,
    /// When it is looked at again at the latest.
    pub until: Option<Time>,
}

/// A step as people see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "server", schema(as = Step))]
pub struct RunStep {
    /// Position in its run, from 0.
    pub seq: u32,
    /// What was asked for: the activity's, signal's or side value's name.
    pub name: String,
    /// What kind of thing.
    pub kind: StepKind,
    /// The activity's name, where it is one.
    pub activity: Option<String>,
    /// The step itself, or its undo.
    pub direction: Direction,
    /// How it ended; none while it is open.
    pub outcome: Option<Outcome>,
    /// Attempts and verifications begun.
    pub attempts: u32,
    /// The key that its attempts bear.
    pub idempotency_key: Option<String>,
    /// Its input.
    pub input: Option<Json>,
    /// Its output.
    pub output: Option<Json>,
    /// The latest error.
    pub error: Option<StepError>,
    /// Its attempts that did not end well, and verifications in vain, in their order; of more than ten the first and the
    /// latest nine. Empty where the first attempt was `ok`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempt_log: Vec<PastAttempt>,
    /// When its last attempt began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// When it is tried or verified again.
    pub next_attempt_at: Option<Time>,
    /// When the timer fires, or the wait or call runs out.
    pub due_at: Option<Time>,
    /// For undos: the steps whose undo has to be done first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo_after: Vec<u32>,
    /// The worker that recorded it, by name.
    pub worker: Option<String>,
}

/// Which runs: all conditions hold together. The same for lists, for bulk operations and in the pages' addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "server", into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct RunFilter {
    /// Only this workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Only this version of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// Only this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RunStatus>,
    /// Only the run with this key (and workflow, if given).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Only runs with this tag: `name:value`, or `name` for any value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Only runs with this error code: of their failure, or of a step that needs attention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Only runs that failed, stand or need attention at this step (its name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Only runs that need attention for this error (see `Attention`), as 16 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(pattern = "^[0-9a-f]{16}$"))]
    #[cfg_attr(feature = "server", param(pattern = "^[0-9a-f]{16}$"))]
    pub fingerprint: Option<String>,
    /// Only runs that an operator should look at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub attention: bool,
    /// Only runs started at or after this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Only runs started before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// 1 to 200; 50 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1, maximum = 200))]
    #[cfg_attr(feature = "server", param(minimum = 1, maximum = 200))]
    pub limit: Option<u32>,
    /// Where the last page ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl RunFilter {
    /// Its fields, by name.
    pub(super) const FIELDS: [&str; 13] = [
        "workflow",
        "version",
        "status",
        "key",
        "tag",
        "error",
        "step",
        "fingerprint",
        "attention",
        "since",
        "until",
        "limit",
        "cursor",
    ];
}

/// How a run stands, for those who wait for it. Its output is the caller's own, with nothing hidden: who shows it to others
/// shows [`RunResult::shown`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct RunResult {
    /// Its id.
    pub id: RunId,
    /// Its status.
    pub status: RunStatus,
    /// Whether it has ended.
    pub ended: bool,
    /// What it ended with.
    pub output: Option<Json>,
    /// Why it failed, is being undone or is stuck.
    pub failure: Option<Failure>,
    /// Fields of the output that are shown to nobody else.
    #[serde(skip)]
    pub secret_fields: Vec<String>,
}

impl RunResult {
    /// The same without what is secret.
    pub fn shown(mut self) -> Self {
        hide(&mut self.output, &self.secret_fields);
        self
    }
}
