//! How long things are kept, and what has been kept long enough, as people see it.

use serde::{Deserialize, Serialize};

use crate::engine::core::model::Time;

/// How long the ended runs of a workflow are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Retention {
    /// The workflow; none: all that have no retention of their own, as this server is set.
    pub workflow: Option<String>,
    /// How long, in seconds.
    pub keep_s: i64,
    /// When it was set; none for the server's own.
    pub updated_at: Option<Time>,
}

/// What has been kept long enough, or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Keeping {
    /// The retention of all workflows that have one, the server's default first.
    pub retention: Vec<Retention>,
    /// The partitions, oldest first.
    pub partitions: Vec<PartitionCount>,
}

/// What of a partition goes, and what stays.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct PartitionCount {
    /// Its name, without `run_` or `step_`: the first day of its week, `before` or `default`.
    pub name: String,
    /// Runs in it that have been kept long enough.
    pub go: i64,
    /// Runs in it that stay: not ended, ended too lately, or in need of attention.
    pub stay: i64,
    /// The whole partition is old enough to be dropped; what stays is carried over.
    pub is_old: bool,
}
