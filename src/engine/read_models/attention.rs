//! What needs an operator: errors in groups, and the entries of one run.

use serde::{Deserialize, Serialize};

use crate::engine::core::{
    attention::AttentionKind,
    model::{RunId, Time},
};

/// Runs that need attention for the same reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct AttentionGroup {
    /// What finds its runs (`fingerprint` of a filter), as 16 hexadecimal digits; none for `overdue`, which is not stored.
    pub fingerprint: Option<String>,
    /// Why they need it.
    pub kind: AttentionKind,
    /// The runs' workflow.
    pub workflow: Option<String>,
    /// The step's name; none where it is the run as a whole.
    pub step: Option<String>,
    /// The queue whose workers do not come; for `overdue` only.
    pub queue: Option<String>,
    /// The error's stable code.
    pub code: String,
    /// The message of the newest of its runs.
    pub message: String,
    /// How many runs.
    pub count: i64,
    /// Since when the oldest entry stands.
    pub first_seen: Time,
    /// Since when the newest entry stands.
    pub last_seen: Time,
    /// One of the runs: the newest, or the one that is overdue for longest.
    pub example: RunId,
}

/// Which groups: all conditions hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "server", into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct AttentionFilter {
    /// Only this workflow.
    pub workflow: Option<String>,
    /// Only this kind.
    pub kind: Option<AttentionKind>,
    /// 50 by default.
    #[cfg_attr(feature = "server", param(minimum = 1, maximum = 200))]
    pub limit: Option<u32>,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// Why one run needs attention.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Attention {
    /// The step; none: the run as a whole.
    pub seq: Option<u32>,
    /// The step's name.
    pub step: Option<String>,
    /// Why it needs it; never `overdue`.
    pub kind: AttentionKind,
    /// The error's stable code.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Since when.
    pub since: Time,
    /// What other runs with the same error are found by.
    pub fingerprint: String,
}
