//! Who calls, and what they may: roles, and the caller of a request.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};

/// What a key may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(dead_code, reason = "keys come with the next change")]
pub(super) enum Role {
    /// Read.
    Viewer,
    /// Start runs, place orders, send signals.
    Starter,
    /// Every verb on runs, bulk operations, holds, schedules.
    Operator,
    /// Keys.
    Admin,
}

/// Who sent a request.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "roles are checked with the next change")]
pub(super) struct Caller {
    /// The name that the audit keeps.
    pub(super) actor: String,
    /// What they may.
    pub(super) role: Role,
    /// What forms have to send back as `csrf`; empty where no cookie is involved.
    pub(super) csrf: String,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let claimed = parts.headers.get("x-actor").and_then(|value| value.to_str().ok());
        let actor = claimed.filter(|name| !name.is_empty() && name.len() <= 100).unwrap_or("api");
        Ok(Self { actor: actor.to_owned(), role: Role::Admin, csrf: String::new() })
    }
}
