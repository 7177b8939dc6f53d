//! Why a run stands where it stands: what people ask first.

use serde::Serialize;
use utoipa::ToSchema;

use super::{WaitingOn, attention::Attention, words};
use crate::engine::core::model::{Failure, RunId, Time};

/// Why a run stands where it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Why {
    /// The run.
    pub id: RunId,
    /// Its workflow.
    pub workflow: String,
    /// Its status.
    #[schema(schema_with = words::run_status)]
    pub status: String,
    /// The answer, in sentences: how it stands, what for, what comes next, who can move it.
    pub sentences: Vec<String>,
    /// What it waits for.
    pub waiting_on: Option<WaitingOn>,
    /// Since when it stands like this, where that is on record.
    pub since: Option<Time>,
    /// What comes next by itself; none where nothing does.
    pub next: Option<Next>,
    /// Who can move it: `worker timer caller operator nobody`.
    #[schema(schema_with = words::who)]
    pub who: &'static str,
    /// The verbs that its status allows.
    pub actions: Vec<&'static str>,
    /// Why it failed, is being undone or is stuck.
    pub failure: Option<Failure>,
    /// Why it needs attention.
    pub attention: Vec<Attention>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Next {
    /// What, as a sentence.
    pub what: String,
    /// When, where that is known: at the latest.
    pub at: Option<Time>,
}
