//! What is held back, as people see it.

use serde::{Deserialize, Serialize};

use crate::engine::core::{holds::HoldKind, model::Time};

/// Something that operators hold back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Hold {
    /// `workflow`, `activity` or `queue`.
    pub kind: HoldKind,
    /// Its name.
    pub name: String,
    /// Who holds it back.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Time,
    /// What is odd about it; only where it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
