//! The API's answers as the commands read them: only the fields that tables show. JSON output passes answers on whole.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

/// A moment.
pub(super) type Time = DateTime<Utc>;

/// A list.
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// What the next page is asked with.
    pub next_cursor: Option<String>,
}

/// A run.
#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub id: String,
    pub workflow: String,
    pub version: i32,
    pub key: Option<String>,
    pub queue: String,
    pub status: String,
    pub output: Option<Value>,
    pub failure: Option<Failure>,
    pub waiting_on: Option<WaitingOn>,
    pub created_at: Time,
    pub finished_at: Option<Time>,
    pub parent_id: Option<String>,
    #[serde(default)]
    pub children: Vec<String>,
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// Whether a run with this status has ended.
pub(super) fn ended(status: &str) -> bool {
    matches!(status, "completed" | "compensated" | "failed" | "abandoned")
}

/// Why a run failed.
#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    pub code: String,
    pub message: String,
    pub step: Option<u32>,
}

/// What a run waits for.
#[derive(Debug, Deserialize)]
pub(super) struct WaitingOn {
    pub kind: String,
    pub name: Option<String>,
    pub since: Option<Time>,
    pub until: Option<Time>,
}

/// A step.
#[derive(Debug, Deserialize)]
pub(super) struct Step {
    pub seq: u32,
    pub name: String,
    pub kind: String,
    pub direction: String,
    pub outcome: Option<String>,
    pub attempts: u32,
    pub error: Option<StepError>,
    #[serde(default)]
    pub attempt_log: Vec<PastAttempt>,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
    pub next_attempt_at: Option<Time>,
    pub due_at: Option<Time>,
}

/// An attempt that did not end well.
#[derive(Debug, Deserialize)]
pub(super) struct PastAttempt {
    pub attempt: u32,
    #[serde(default)]
    pub verification: bool,
    pub outcome: String,
    pub started_at: Option<Time>,
    pub ended_at: Time,
    pub error: Option<StepError>,
}

/// What went wrong in a step.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct StepError {
    pub code: String,
    pub message: String,
}

/// What an action does, or would do.
#[derive(Debug, Deserialize)]
pub(super) struct Plan {
    pub run: String,
    pub action: String,
    pub dry_run: bool,
    pub status: String,
    pub undo: Vec<PlannedUndo>,
    #[serde(default)]
    pub stays: Vec<PlannedUndo>,
    #[serde(default)]
    pub says: Vec<String>,
}

/// One undo of a plan.
#[derive(Debug, Deserialize)]
pub(super) struct PlannedUndo {
    pub seq: u32,
    pub activity: String,
    pub outcome: String,
    pub after: Vec<u32>,
    pub summary: Option<String>,
}

/// What a fork keeps and makes again.
#[derive(Debug, Deserialize)]
pub(super) struct Forked {
    pub run: String,
    pub new_run: Option<String>,
    pub from_step: u32,
    pub kept: Vec<u32>,
    pub again: Vec<u32>,
    pub says: Vec<String>,
}
