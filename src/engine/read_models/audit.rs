//! What operators did, and what they were refused.

use serde::{Deserialize, Serialize};

use crate::engine::core::{
    model::{Json, RunId, Time},
    words::words,
};

words! {
    /// What came of what an operator asked for.
    ActionOutcome, "outcome" {
        /// It was done.
        Done = "done",
        /// It was refused, and nothing was changed.
        Refused = "refused",
    }
}

/// One thing that an operator did or was refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Its number; newer ones are larger.
    pub id: i64,
    /// When.
    pub at: Time,
    /// Who.
    pub actor: String,
    /// What: the word of the verb.
    pub action: String,
    /// The run that it was done to.
    pub run_id: Option<RunId>,
    /// What it was done to, where that is no run: a schedule, a hold, a key, an operation.
    pub subject: Option<String>,
    /// The bulk operation that it was part of.
    pub operation_id: Option<RunId>,
    /// Whether it was done.
    pub outcome: ActionOutcome,
    /// Why it was refused: the error's code.
    pub code: Option<String>,
    /// Why it was refused, as a sentence.
    pub message: Option<String>,
    /// What the operator gave as reason.
    pub reason: Option<String>,
    /// How things stood before.
    pub before: Option<Json>,
    /// How they stood after.
    pub after: Option<Json>,
}

/// Which entries: all conditions hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "server", into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct AuditFilter {
    /// Only what was done to this run.
    pub run_id: Option<RunId>,
    /// Only what was part of this bulk operation.
    pub operation_id: Option<RunId>,
    /// Only what this person or program did: `key:NAME`, or with what its client says of itself, `key:NAME (cli:anna)`.
    pub actor: Option<String>,
    /// Only this verb.
    pub action: Option<String>,
    /// Only `done`, or only `refused`.
    pub outcome: Option<ActionOutcome>,
    /// Only at or after this moment.
    pub since: Option<Time>,
    /// 50 by default.
    #[cfg_attr(feature = "server", param(minimum = 1, maximum = 200))]
    pub limit: Option<u32>,
    /// Where the last page ended.
    pub cursor: Option<String>,
}
