//! What an operator's action does, or would do.

use serde::{Deserialize, Serialize};

use super::{RunStatus, StepState};
use crate::engine::core::model::{Json, RunId};

/// What an operator's action does, or would do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ActionPlan {
    /// The run.
    pub run: RunId,
    /// The action.
    pub action: String,
    /// True: nothing was changed.
    pub dry_run: bool,
    /// The status before.
    pub status: RunStatus,
    /// The undos that it leads to, in the order in which they are made.
    pub undo: Vec<PlannedUndo>,
    /// The steps that are attempted again.
    pub retry: Vec<u32>,
    /// What stays as it is although it could be undone: the price of `abandon`.
    pub stays: Vec<PlannedUndo>,
    /// What happens, in sentences for people.
    pub says: Vec<String>,
}

/// One undo of a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct PlannedUndo {
    /// The step.
    pub seq: u32,
    /// Its activity.
    pub activity: String,
    /// How the step stands.
    pub outcome: StepState,
    /// Its input.
    pub input: Option<Json>,
    /// The steps whose undo has to be done first.
    pub after: Vec<u32>,
    /// What undoing it means, as its activity says it: `refund 25.00 EUR`. A server without the activity's code says that it is
    /// known to its own service.
    pub summary: Option<String>,
}

/// What a fork keeps and makes again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ForkPlan {
    /// The run that it is made of.
    pub run: RunId,
    /// `fork`.
    pub action: String,
    /// True: nothing was changed.
    pub dry_run: bool,
    /// The status of that run.
    pub status: RunStatus,
    /// The new run; none in a dry run.
    pub new_run: Option<RunId>,
    /// The first step that is made again.
    pub from_step: u32,
    /// The steps whose results the new run has.
    pub kept: Vec<u32>,
    /// The steps on record that are made again, where the workflow asks for them again.
    pub again: Vec<u32>,
    /// What happens, in sentences for people.
    pub says: Vec<String>,
}
