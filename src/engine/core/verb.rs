//! The verbs of operators: one type for the API, the command line, the pages and bulk operations. `action` on the wire.

use serde::{Deserialize, Serialize};

use super::{model::Direction, policy::PolicyOverride, words::words};

words! {
    /// What an operator declares an unknown step to have come to.
    Declared, "outcome" {
        /// It took effect.
        Ok = "ok",
        /// It had no effect, and never will.
        Failed = "failed",
    }
}

/// An action on one run. What it needs stands in it; who asks, why, and whether for real stands in `Operator`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Verb {
    /// Try again from the step that failed, with the results of those before it; or try the failed undos again.
    Retry {
        /// With other rules.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<PolicyOverride>,
    },
    /// Stop, and undo what was done, unless the run is past its pivot.
    Cancel,
    /// Undo what was done, wherever the run stands.
    Compensate,
    /// Let nothing of it begin, and freeze its timers.
    Pause,
    /// Go on after a pause; timers go on with what was left of them.
    Resume,
    /// End it as it stands, without undo.
    Abandon,
    /// Pass over a step that has not succeeded, as if it had given this output; or over an undo.
    Skip {
        /// The step.
        seq: u32,
        /// Default: the one that is unresolved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direction: Option<Direction>,
        /// What the workflow is told that the step gave. JSON's null unless said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<serde_json::Value>,
    },
    /// Declare what an unknown step came to.
    Resolve {
        /// The step.
        seq: u32,
        /// Default: the one that is unresolved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direction: Option<Direction>,
        /// What it came to.
        outcome: Declared,
        /// What it gave, where it took effect.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<serde_json::Value>,
        /// How the operator knows: kept in the audit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<String>,
    },
    /// It has been seen: take it off the list of what needs attention. Nothing else changes.
    Acknowledge,
}

impl Verb {
    /// Its word, in the API, on the command line and in the audit.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "retry",
            Self::Cancel => "cancel",
            Self::Compensate => "compensate",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abandon => "abandon",
            Self::Skip { .. } => "skip",
            Self::Resolve { .. } => "resolve",
            Self::Acknowledge => "acknowledge",
        }
    }

    /// Whether it is dangerous enough to demand a reason.
    pub const fn needs_reason(&self) -> bool {
        matches!(self, Self::Cancel | Self::Compensate | Self::Abandon | Self::Skip { .. } | Self::Resolve { .. })
    }
}
