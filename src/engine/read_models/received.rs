//! Events from outside, and what came of them.

use serde::{Deserialize, Serialize};

use crate::engine::core::{
    model::{Json, RunId, Time},
    words::words,
};

words! {
    /// What came of an event from outside.
    ReceivedState, "state" {
        /// It started a run, or its run had been started before.
        Started = "started",
        /// It was passed on to a run.
        Signalled = "signalled",
        /// The rules have no use for it.
        Ignored = "ignored",
        /// It waits for an operator.
        Parked = "parked",
        /// An operator discarded it.
        Discarded = "discarded",
    }
}

/// An event from outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ReceivedEvent {
    /// Ours; later ones are larger.
    pub id: RunId,
    /// Where it came from.
    pub source: String,
    /// Its own id.
    pub event_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What came of it.
    pub state: ReceivedState,
    /// Why it is parked: a code.
    pub code: Option<String>,
    /// The same as a sentence.
    pub message: Option<String>,
    /// The run that was started or signalled.
    pub run_id: Option<RunId>,
    /// When it came.
    pub received_at: Time,
    /// As it came; kept while it is parked, and not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Json>,
}

/// Which events: all conditions hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "server", into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct ReceivedFilter {
    /// Only of this source.
    pub source: Option<String>,
    /// Only what this came of.
    pub state: Option<ReceivedState>,
    /// 50 by default.
    #[cfg_attr(feature = "server", param(minimum = 1, maximum = 200))]
    pub limit: Option<u32>,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// What came of an event that was just received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// It was received before: nothing was done now.
    pub duplicate: bool,
    /// What came of it, now or then.
    pub state: ReceivedState,
    /// The run that was started or signalled.
    pub run_id: Option<RunId>,
}
