//! Circuit breakers, as people see them.

use serde::{Deserialize, Serialize};

use crate::engine::core::{
    breaker::{BreakerMode, BreakerState},
    model::Time,
};

/// The breakers of one other system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerScope {
    /// The other system.
    pub scope: String,
    /// What operators want of it.
    pub mode: BreakerMode,
    /// Who said so last.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub set_at: Option<Time>,
    /// Its operations that have had a failure.
    pub operations: Vec<BreakerStatus>,
}

/// The breaker of one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct BreakerStatus {
    /// The operation.
    pub operation: String,
    /// Where it stands by itself.
    pub state: BreakerState,
    /// Since when.
    pub since: Time,
    /// Calls of the latest window that had a failure.
    pub calls: u32,
    /// Those of them that failed.
    pub failures: u32,
}
