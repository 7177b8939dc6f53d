//! Who calls, and whether they may: the guard around the API and the pages.
//!
//! `roles` is the table of who may what, `session` is signing in and out with a browser, `browser` tells what a user wants
//! from what another site makes their browser do. The guard leaves a [`Caller`] with the request; a handler that asks for
//! one on a route without a guard gets an error and not a stranger.

pub(super) mod browser;
mod login;
pub mod roles;
mod session;
mod streams;

use std::{
    net::IpAddr,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use subtle::ConstantTimeEq;

pub(super) use self::login::routes;
use self::roles::Access;
use super::{App, problem::Problem};
pub(super) use crate::engine::Role;
use crate::engine::{Error, Identity, Operator, Subject};

/// The longest name that a client may claim.
const LONGEST_CLAIM: usize = 100;

/// Whom a server lets in, as long as there is no key at all.
#[derive(Clone, Debug)]
pub struct Door {
    /// The address that it listens on.
    bound: Option<IpAddr>,
    /// It was told to do without keys, wherever it listens.
    no_auth: bool,
    /// What forms have to send back where nobody has signed in.
    csrf: Arc<str>,
    /// Sign-ins that failed in a row.
    failed: Arc<AtomicU32>,
    /// How often open event streams are looked at.
    look_again: Duration,
}

impl Default for Door {
    /// Closed: open only on an address that is known to be this machine's own.
    fn default() -> Self {
        let csrf = hex::encode(rand::random::<[u8; 32]>()).into();
        Self { bound: None, no_auth: false, csrf, failed: Arc::default(), look_again: streams::LOOK_AGAIN }
    }
}

impl Door {
    /// For a server that listens on this address.
    pub(super) fn at(mut self, address: IpAddr) -> Self {
        self.bound = Some(address);
        self
    }

    /// Lets everybody in while there are no keys, wherever the server listens.
    pub(super) fn without_keys(mut self, no_auth: bool) -> Self {
        self.no_auth = no_auth;
        self
    }

    /// Looks at open event streams so often: for tests.
    pub fn looking_again_every(mut self, span: Duration) -> Self {
        self.look_again = span;
        self
    }

    fn is_loopback(&self) -> bool {
        self.bound.is_some_and(|ip| ip.is_loopback())
    }
}

/// Who sent a request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The name that the audit keeps.
    pub(super) actor: String,
    /// What they may.
    pub(super) role: Role,
    /// What forms have to send back as `csrf`; empty where no cookie is involved.
    pub(super) csrf: String,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new("internal_error", "this route has no guard"))
    }
}

/// The layer around everything that is not open to all.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let route = parts.extensions.get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let least = match &route {
        Some(route) => match roles::access(parts.method.as_str(), route) {
            Access::Open => return next.run(Request::from_parts(parts, body)).await,
            Access::Least(role) => role,
        },
        // That there is nothing at an address under /v1 is told to those who may read.
        None if roles::is_api(parts.uri.path()) => Role::Viewer,
        None => return next.run(Request::from_parts(parts, body)).await,
    };
    let (caller, key) = match admit(&app, &parts).await {
        Ok(admitted) => admitted,
        Err(problem) if asks_to_sign_in(&problem, &parts) => {
            let to = parts.uri.path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str);
            return Redirect::to(&format!("/login?next={}", browser::encoded(to))).into_response();
        }
        Err(problem) => return problem.into_response(),
    };
    if caller.role < least {
        let word = caller.role.with_article();
        let refused = Error::Forbidden(format!("this needs the role {least}; the key `{key}` is {word}"));
        let action = format!("{} {}", parts.method, route.as_deref().unwrap_or_default());
        let by = Operator { actor: caller.actor, ..Operator::default() };
        let about = Subject::Named(parts.uri.path());
        app.engine.audit_refusal(&action, about, &by, refused.code(), &refused.to_string()).await;
        return Problem::from(refused).into_response();
    }
    // Only what is read can go on for long.
    let again = (parts.method == Method::GET).then(|| parts.clone());
    parts.extensions.insert(caller);
    let response = next.run(Request::from_parts(parts, body)).await;
    match again {
        Some(request) => streams::while_welcome(app, request, response),
        None => response,
    }
}

fn asks_to_sign_in(problem: &Problem, request: &Parts) -> bool {
    let reads = matches!(request.method, Method::GET | Method::HEAD) && !roles::is_api(request.uri.path());
    problem.code() == "unauthorized" && reads && browser::wants_page(&request.headers)
}

/// Who it is, and the name of their key; or why nobody may come in. What the database can't tell is not guessed.
async fn admit(app: &App, request: &Parts) -> Result<(Caller, String), Problem> {
    let headers = &request.headers;
    let claim = claim(headers);
    if !app.engine.keys_exist().await.map_err(cannot_tell)? {
        check_open(app, request)?;
        check_same_site(request)?;
        let actor = claim.unwrap_or("local").to_owned();
        return Ok((Caller { actor, role: Role::Admin, csrf: app.door.csrf.to_string() }, "local".to_owned()));
    }
    let token = bearer(headers)?;
    let Identity { name, role, csrf, .. } = match token {
        Some(token) => app.engine.authenticate(token).await.map_err(cannot_tell)?,
        None => session::of(app, headers).await?,
    };
    let actor = claim.map_or_else(|| format!("key:{name}"), |claim| format!("key:{name} ({claim})"));
    let caller = Caller { actor, role, csrf };
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
        return Ok(()); // whoever said so has something else in front, and names that we can't know
    }
    if !door.is_loopback() {
        return Err(Problem::new(
            "unauthorized",
            "no API key has been made yet: `backstitch key create` makes the first",
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
fn check_same_site(request: &Parts) -> Result<(), Problem> {
    if browser::is_unsafe(&request.method) && browser::is_cross_site(&request.headers, &request.uri) {
        tracing::warn!(path = request.uri.path(), "refused: another site's page has sent this");
        return Err(Problem::new("forbidden", "this was sent by a page of another site (Origin, Sec-Fetch-Site)"));
    }
    Ok(())
}

/// Whether a form or request was made from a page that this caller was given. `given` is what it sent back.
pub(super) fn check_csrf(caller: &Caller, given: &str) -> Result<(), Problem> {
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

/// Nobody is let in on a guess: whatever keeps us from knowing is a 503, and no more is said of it.
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
