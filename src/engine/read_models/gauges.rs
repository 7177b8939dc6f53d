//! How many runs stand where: what metrics and health show of the database.

use serde::Serialize;

use super::{SinkLag, StatusCount};

/// How many runs stand where, as the tables say at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Gauges {
    /// Runs that have not ended, by status; one that waits for a signal without any limit is not counted.
    pub runs: Vec<StatusCount>,
    /// How long the oldest due run has been waiting for a claim; 0 when none is due.
    pub oldest_due_seconds: f64,
    /// Runs that an operator should look at.
    pub attention_runs: i64,
    /// Workflows, activities and queues that are held back.
    pub holds: i64,
    /// Bulk operations that have not ended.
    pub operations_open: i64,
    /// Events from outside that wait for an operator.
    pub events_parked: i64,
    /// Workers that have been heard of in the last half minute.
    pub workers_alive: i64,
    /// What each sink of events lacks.
    pub outbox: Vec<SinkLag>,
}
