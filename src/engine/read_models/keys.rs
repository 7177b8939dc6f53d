//! API keys, as people see them: never with their secret.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::{
    core::{model::Time, words::words},
    role::Role,
};

words! {
    /// Whether a key is good.
    KeyState, "state" {
        /// It is.
        Active = "active",
        /// Its time is up.
        Expired = "expired",
        /// Somebody revoked it.
        Revoked = "revoked",
    }
}

/// An API key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ApiKey {
    /// Its public part, by which it is revoked.
    pub id: String,
    /// Who or what has it, as its maker said.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// Whether it is good.
    pub state: KeyState,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Time,
    /// From when on it is worth nothing.
    pub expires_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
    /// When it was last used, give or take a minute.
    pub last_used_at: Option<Time>,
}

/// A key that is to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Who or what is to have it: 1 to 100 visible characters.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// For how long: a minute to ten years. `None`: until it is revoked.
    pub expires_in: Option<Duration>,
}

/// A key that was just made: the only time that its token is there to be read.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct CreatedKey {
    /// The key.
    #[serde(flatten)]
    pub key: ApiKey,
    /// What its owner sends: `bsk_<id>_<secret>`.
    pub token: String,
}

impl std::fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedKey").field("key", &self.key).finish_non_exhaustive()
    }
}
