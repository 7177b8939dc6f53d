//! Events that have left, and how far each sink has got.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::engine::core::model::Time;

/// An event as everybody outside sees it: a CloudEvent 1.0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "server", schema(as = CloudEvent))]
pub struct Event {
    /// `1.0`.
    pub specversion: String,
    /// Its id: the same however often it comes.
    pub id: Uuid,
    /// Who says so.
    pub source: String,
    /// What has happened.
    #[serde(rename = "type")]
    pub event_type: String,
    /// What it has happened to.
    pub subject: String,
    /// When, on the database's clock.
    pub time: Time,
    /// `application/json`.
    pub datacontenttype: String,
    /// The schema of its data, with a version.
    pub dataschema: String,
    /// Its number: an event that was committed earlier may have a higher one, and none comes twice.
    pub sequence: i64,
    /// What there is to say of it.
    pub data: Value,
}

/// Which events: all conditions hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "server", into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct EventFilter {
    /// Only behind this number: the `sequence` of the last event that was read, or the page's `next_cursor`.
    #[cfg_attr(feature = "server", param(minimum = 0))]
    pub after: Option<i64>,
    /// Only of this type.
    #[cfg_attr(feature = "server", param(min_length = 1, max_length = 256))]
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// Only of this subject.
    #[cfg_attr(feature = "server", param(min_length = 1, max_length = 256))]
    pub subject: Option<String>,
    /// 50 by default.
    #[cfg_attr(feature = "server", param(minimum = 1, maximum = 200))]
    pub limit: Option<u32>,
}

/// What a sink lacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SinkLag {
    /// Its name; `feed` for the numbering, behind which all others are.
    pub sink: String,
    /// Events that it has not got yet.
    pub rows: i64,
    /// How old the oldest of them is; 0 without any.
    pub seconds: f64,
}

/// A sink, and how far it has got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct SinkState {
    /// Its name.
    pub name: String,
    /// The number of the last event that it has got.
    pub sequence: i64,
    /// Deliveries that have failed since the last that did not.
    pub failures: i32,
    /// Since when.
    pub failing_since: Option<Time>,
    /// What was wrong the last time.
    pub error: Option<String>,
    /// When a process last looked after it.
    pub seen_at: Time,
}
