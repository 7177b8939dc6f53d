//! Why a run stands where it stands: what people ask first.

use serde::{Deserialize, Serialize};

use super::{Attention, RunStatus, WaitingOn};
use crate::engine::core::{
    model::{Failure, RunId, Time},
    words::words,
};

words! {
    /// Who can move a run.
    Mover, "mover" {
        /// A worker that takes it, or has it.
        Worker = "worker",
        /// A timer, by itself.
        Timer = "timer",
        /// The caller, with a signal.
        Caller = "caller",
        /// Its own service, with a signal: callers may not send it.
        Service = "service",
        /// An operator.
        Operator = "operator",
        /// Nobody: it has ended.
        Nobody = "nobody",
    }
}

/// Why a run stands where it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Why {
    /// The run.
    pub id: RunId,
    /// Its workflow.
    pub workflow: String,
    /// Its status.
    pub status: RunStatus,
    /// The answer, in sentences: how it stands, what for, what comes next, who can move it.
    pub sentences: Vec<String>,
    /// What it waits for.
    pub waiting_on: Option<WaitingOn>,
    /// Since when it stands like this, where that is on record.
    pub since: Option<Time>,
    /// What comes next by itself; none where nothing does.
    pub next: Option<Next>,
    /// Who can move it.
    pub who: Mover,
    /// The verbs that its status allows.
    pub actions: Vec<String>,
    /// Why it failed, is being undone or is stuck.
    pub failure: Option<Failure>,
    /// Why it needs attention.
    pub attention: Vec<Attention>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Next {
    /// What, as a sentence.
    pub what: String,
    /// When, where that is known: at the latest.
    pub at: Option<Time>,
}
