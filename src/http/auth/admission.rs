//! Who calls: from a token, from a session, or from this machine while there are no keys.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use subtle::ConstantTimeEq;

use super::{browser, roles, session};
use crate::{
    engine::{Error, Identity, Role},
    http::{App, problem::Problem},
};

/// The longest name that a client may claim.
const LONGEST_CLAIM: usize = 100;

/// Who sent a request.
#[derive(Clone, Debug)]
pub(in crate::http) struct Caller {
    /// The name that the audit keeps.
    pub(in crate::http) actor: String,
    /// Whose limits count: the id of their key.
    pub(in crate::http) key: String,
    /// Their role.
    pub(in crate::http) role: Role,
    /// What forms have to send back as `csrf`; empty where no cookie is involved.
    pub(in crate::http) csrf: String,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new("internal_error", "this route has no guard"))
    }
}

/// The name of the caller, as the audit keeps it.
#[derive(Clone, Debug)]
pub struct Actor(
    /// The name.
    pub String,
);

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, state).await.map(|caller| Self(caller.actor))
    }
}

/// The role of the caller.
#[derive(Clone, Copy, Debug)]
pub struct ActorRole(
    /// The role.
    pub Role,
);

impl<S: Sync> FromRequestParts<S> for ActorRole {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, state).await.map(|caller| Self(caller.role))
    }
}

/// The caller, and the name of their key; or why they may not come in.
pub(super) async fn admit(app: &App, request: &Parts) -> Result<(Caller, String), Problem> {
    let headers = &request.headers;
    let claim = claim(headers);
    if !app.engine.keys_exist().await.map_err(cannot_tell)? {
        check_open(app, request)?;
        check_same_site(request)?;
        // Nobody has proved to have a key: a claim that looks like one is only that.
        let actor = match claim {
            Some(claim) if claim.trim_start().to_ascii_lowercase().starts_with("key:") => format!("local ({claim})"),
            claim => claim.unwrap_or("local").to_owned(),
        };
        let caller = Caller { actor, key: "local".to_owned(), role: Role::Admin, csrf: app.door.csrf.to_string() };
        return Ok((caller, "local".to_owned()));
    }
    let token = bearer(headers)?;
    let Identity { key_id, name, role, csrf } = match token {
        Some(token) => app.engine.authenticate(token).await.map_err(cannot_tell)?,
        None => session::identify(app, headers).await.map_err(cannot_tell)?,
    };
    let actor = claim.map_or_else(|| format!("key:{name}"), |claim| format!("key:{name} ({claim})"));
    let caller = Caller { actor, key: key_id, role, csrf };
    // No browser sends a token by itself, but every browser its cookies.
    if token.is_none() {
        check_same_site(request)?;
        if browser::is_unsafe(&request.method) && roles::is_api(request.uri.path()) {
            let given = headers.get("x-csrf-token").and_then(|value| value.to_str().ok());
            check_csrf(&caller, given.unwrap_or_default())?;
        }
    }
    Ok((caller, name))
}

/// Whether a server without keys may let everybody in, and this request too.
fn check_open(app: &App, request: &Parts) -> Result<(), Problem> {
    let door = &app.door;
    if door.no_auth {
        return Ok(()); // something else stands in front, with host names that we can't know
    }
    if !door.is_loopback() {
        return Err(Problem::new(
            "unauthorized",
            "there is no API key yet: create the first with `backstitch key create`",
        ));
    }
    let host = browser::host(&request.headers, &request.uri).unwrap_or_default();
    if browser::is_loopback(&host) || door.bound.is_some_and(|ip| browser::is_address(&host, ip)) {
        return Ok(());
    }
    tracing::warn!(host, "refused: the host is not this machine, and no key is asked for");
    let detail = "while there are no keys this server answers to localhost and its own address only, not to this Host";
    Err(Problem::new("forbidden", detail))
}

/// Refuses what another site's page has sent with a user's cookie, or without any need for one.
pub(super) fn check_same_site(request: &Parts) -> Result<(), Problem> {
    if browser::is_unsafe(&request.method) && browser::is_cross_site(&request.headers, &request.uri) {
        tracing::warn!(path = request.uri.path(), "refused: another site's page has sent this");
        return Err(Problem::new("forbidden", "this was sent by a page of another site (Origin, Sec-Fetch-Site)"));
    }
    Ok(())
}

/// Whether a form or request was made from a page that this caller was given. `given` is what it sent back.
pub(in crate::http) fn check_csrf(caller: &Caller, given: &str) -> Result<(), Problem> {
    if caller.csrf.is_empty() || bool::from(caller.csrf.as_bytes().ct_eq(given.as_bytes())) {
        return Ok(());
    }
    let detail = "the form's token is missing or old: load the page again (or send `x-csrf-token`), then send it again";
    Err(Problem::new("forbidden", detail))
}

/// The token of an `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let parts = value.to_str().ok().and_then(|text| text.split_once(' '));
    match parts {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(Problem::new("unauthorized", "send the key as `Authorization: Bearer bsk_...`")),
    }
}

/// The name that a client says is acting: kept, and never more than a claim.
fn claim(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get("x-actor").and_then(|value| value.to_str().ok());
    given.filter(|name| !name.trim().is_empty() && name.len() <= LONGEST_CLAIM)
}

/// Nobody is let in on a guess: any error that keeps us from knowing is a 503 without details.
fn cannot_tell(error: Error) -> Problem {
    match error {
        Error::Unauthorized(detail) => Problem::new("unauthorized", detail),
        Error::Unavailable(_) => error.into(),
        error => {
            tracing::error!(%error, "nobody can be let in: the database can't tell who has a key");
            Problem::new("database_unavailable", "the database can't tell just now who may do this; ask again shortly")
        }
    }
}
