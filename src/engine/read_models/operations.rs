//! Bulk operations, as people see them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{ActionOutcome, ActionPlan, RunFilter, RunStatus, wire::known_conditions};
use crate::engine::core::{
    model::{RunId, Time},
    operation::OperationStatus,
    words::words,
};

/// One action over the runs that a filter matched when it was created.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Operation {
    /// Its id.
    pub id: Uuid,
    /// What is done to each run: the verb.
    pub action: String,
    /// The verb's own fields, where it was given any.
    #[cfg_attr(feature = "server", schema(value_type = Object))]
    pub arguments: Map<String, Value>,
    /// Which runs were matched.
    #[serde(deserialize_with = "known_conditions")]
    pub filter: RunFilter,
    /// Why.
    pub reason: Option<String>,
    /// Who asked for it.
    pub actor: String,
    /// At most so many runs a second.
    pub rate: u32,
    /// How it stands.
    pub status: OperationStatus,
    /// The runs that it is for.
    pub total: i64,
    /// Those that it was done to.
    pub done: i64,
    /// Those that refused it.
    pub refused: i64,
    /// Those that are still to come.
    pub open: i64,
    /// When it was created.
    pub created_at: Time,
    /// When the first run was taken up.
    pub started_at: Option<Time>,
    /// When it completed, or was cancelled.
    pub finished_at: Option<Time>,
    /// When it will be through, at its rate; none unless it is on its way.
    pub eta: Option<Time>,
    /// Why runs refused it, most first; only where one operation is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<OperationRefusals>,
}

/// Runs that refused for the same reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct OperationRefusals {
    /// The stable code.
    pub code: String,
    /// Runs.
    pub count: i64,
    /// One of their sentences.
    pub example: Option<String>,
}

/// What became of one run of a bulk operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct OperationRun {
    /// The run.
    pub run_id: RunId,
    /// What came of it; none while it is still to come.
    pub outcome: Option<ActionOutcome>,
    /// Why it was refused: a stable code.
    pub code: Option<String>,
    /// The same in a sentence.
    pub message: Option<String>,
    /// When.
    pub at: Option<Time>,
}

words! {
    /// How a run of a bulk operation stands: open, or what came of it.
    OperationRunState, "outcome" {
        /// It is still to come.
        Open = "open",
        /// It was done.
        Done = "done",
        /// The run refused it.
        Refused = "refused",
    }
}

/// What a bulk operation would do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct OperationPreview {
    /// Nothing was created.
    pub dry_run: bool,
    /// What would be done to each run: the verb.
    pub action: String,
    /// The runs that it would be for.
    pub total: i64,
    /// How many of them have which status.
    pub statuses: Vec<OperationStatusCount>,
    /// What would become of the first of them.
    pub sample: Vec<PreviewedRun>,
}

/// Runs of one status.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct OperationStatusCount {
    /// The status.
    pub status: RunStatus,
    /// Runs.
    pub count: i64,
}

/// What would become of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct PreviewedRun {
    /// The run.
    pub run_id: RunId,
    /// The plan, where it would be accepted.
    pub plan: Option<ActionPlan>,
    /// Why it would be refused: a stable code.
    pub code: Option<String>,
    /// The same in a sentence.
    pub message: Option<String>,
}
