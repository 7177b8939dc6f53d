//! Where runs stand, in the words that people see, and how many stand where.

use serde::{Deserialize, Serialize};

use crate::engine::core::{
    model::{Outcome, Status},
    words::words,
};

words! {
    /// A run's status, in the order of a run's life.
    RunStatus, "status" {
        /// It is due, and no worker has had it yet.
        Pending = "pending",
        /// A worker has it, or takes it next.
        Running = "running",
        /// It waits for a timer, a signal, a retry or its start.
        Waiting = "waiting",
        /// An operator has paused it.
        Paused = "paused",
        /// It failed or was cancelled, and what it did is being undone.
        Compensating = "compensating",
        /// It can't go on without an operator.
        Stuck = "stuck",
        /// It ended as its workflow meant it to.
        Completed = "completed",
        /// It failed or was cancelled, and what had to be undone was.
        Compensated = "compensated",
        /// It failed or was cancelled with nothing to undo.
        Failed = "failed",
        /// An operator ended it without undo.
        Abandoned = "abandoned",
    }
}

impl RunStatus {
    /// Whether nothing more happens to the run by itself and its result stands.
    pub const fn has_ended(self) -> bool {
        self.stored().is_end()
    }

    /// What the run's row says where people see this. That it is due stands elsewhere.
    pub const fn stored(self) -> Status {
        match self {
            Self::Pending | Self::Running => Status::Active,
            Self::Waiting => Status::Waiting,
            Self::Paused => Status::Paused,
            Self::Compensating => Status::Compensating,
            Self::Stuck => Status::Stuck,
            Self::Completed => Status::Completed,
            Self::Compensated => Status::Compensated,
            Self::Failed => Status::Failed,
            Self::Abandoned => Status::Abandoned,
        }
    }
}

impl From<Status> for RunStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Running,
            Status::Waiting => Self::Waiting,
            Status::Paused => Self::Paused,
            Status::Compensating => Self::Compensating,
            Status::Stuck => Self::Stuck,
            Status::Completed => Self::Completed,
            Status::Compensated => Self::Compensated,
            Status::Failed => Self::Failed,
            Status::Abandoned => Self::Abandoned,
        }
    }
}

words! {
    /// How a step stands: open, or how it ended.
    StepState, "state of a step" {
        /// It has not ended.
        Open = "open",
        /// It took effect.
        Ok = "ok",
        /// It certainly had no effect.
        Failed = "failed",
        /// It may have had an effect, and nobody could tell.
        Unknown = "unknown",
        /// It was passed over.
        Skipped = "skipped",
    }
}

impl From<Option<Outcome>> for StepState {
    fn from(outcome: Option<Outcome>) -> Self {
        match outcome {
            None => Self::Open,
            Some(Outcome::Ok) => Self::Ok,
            Some(Outcome::Failed) => Self::Failed,
            Some(Outcome::Unknown) => Self::Unknown,
            Some(Outcome::Skipped) => Self::Skipped,
        }
    }
}

/// How many runs have a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct StatusCount {
    /// The status.
    pub status: RunStatus,
    /// How many: at least, where `exact` is false; about, for `completed`.
    pub count: i64,
    /// Whether all were counted.
    pub exact: bool,
}
