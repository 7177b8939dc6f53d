//! Who calls, and whether they may: the guard around the API and the pages.
//!
//! `roles` is the table of who may what, `session` is signing in and out with a browser, `browser` tells what a user wants
//! from what another site makes their browser do. The guard leaves a [`Caller`] with the request; a handler that asks for
//! one on a route without a guard gets an error and not a stranger.

pub(super) mod browser;
mod login;
pub mod roles;
mod session;

use std::{
    net::IpAddr,
    sync::{Arc, atomic::AtomicU32},
};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use subtle::ConstantTimeEq;

pub(super) use self::login::routes;
pub(super) use crate::engine::Role;
use self::roles::Access;
use super::{App, problem::Problem};
use crate::engine::{Error, Identity};

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
}

impl Default for Door {
    /// Closed: open only on an address that is known to be this machine's own.
    fn default() -> Self {
        let csrf = hex::encode(rand::random::<[u8; 32]>()).into();
        Self { bound: None, no_auth: false, csrf, failed: Arc::default() }
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

/// What a credential was: it decides what else a request has to prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// A token, which no browser sends by itself.
    Token,
    /// A session's cookie, which browsers send by themselves.
    Session,
    /// None: nobody has made a key yet.
    None,
}

/// The layer around everything that is not open to all.
pub(super) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let path = request.uri().path().to_owned();
    if route.is_none() && !roles::is_api(&path) {
        return next.run(request).await; // there is nothing there, for nobody
    }
    let method = request.method().clone();
    // An address under /v1 that does not exist is only told to those who may read.
    let access = roles::access(method.as_str(), route.as_deref().unwrap_or("/v1/*"));
    let access = if route.is_none() { Access::Least(Role::Viewer) } else { access };
    let Access::Least(least) = access else { return next.run(request).await };
    let (caller, key) = match admit(&app, &request).await {
        Ok(admitted) => admitted,
        Err(problem) if asks_to_sign_in(&problem, &method, &path, request.headers()) => {
            let to = request.uri().path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str);
            return Redirect::to(&format!("/login?next={}", browser::encoded(to))).into_response();
        }
        Err(problem) => return problem.into_response(),
    };
    if caller.role < least {
        let detail = format!("this needs the role {least}; the key `{key}` is {}", caller.role.with_article());
        let action = format!("{method} {}", route.as_deref().unwrap_or_default());
        if let Err(error) = app.engine.audit_forbidden(&caller.actor, &action, &path, &detail).await {
            tracing::warn!(%error, "a refusal could not be written down");
        }
        return Problem::new("forbidden", detail).into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn asks_to_sign_in(problem: &Problem, method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    problem.code() == "unauthorized" && reads && !roles::is_api(path) && browser::wants_page(headers)
}

/// Who it is, and the name of their key; or why nobody may come in. What the database can't tell is not guessed.
async fn admit(app: &App, request: &Request) -> Result<(Caller, String), Problem> {
    let headers = request.headers();
    let keys_exist = app.engine.keys_exist().await.map_err(cannot_tell)?;
    let (identity, proof) = if keys_exist {
        match bearer(headers)? {
            Some(token) => (Some(app.engine.authenticate(token).await.map_err(cannot_tell)?), Proof::Token),
            None => (Some(session::of(app, headers).await?), Proof::Session),
        }
    } else {
        (None, Proof::None)
    };
    let Some(identity) = identity else {
        check_open(app, request)?;
        check_same_site(request)?;
        let caller = Caller { actor: claim(headers).unwrap_or("local").to_owned(), role: Role::Admin, csrf: app.door.csrf.to_string() };
        return Ok((caller, "local".to_owned()));
    };
    if proof == Proof::Session {
        check_same_site(request)?;
    }
    let Identity { name, role, csrf, .. } = identity;
    let actor = match claim(headers) {
        Some(claim) => format!("key:{name} ({claim})"),
        None => format!("key:{name}"),
    };
    let caller = Caller { actor, role, csrf };
    if proof == Proof::Session && browser::is_unsafe(request.method()) && roles::is_api(request.uri().path()) {
        let given = headers.get("x-csrf-token").and_then(|value| value.to_str().ok()).unwrap_or_default();
        check_csrf(&caller, given)?;
    }
    Ok((caller, name))
}

/// Whether a server without keys may let everybody in, and this request too.
fn check_open(app: &App, request: &Request) -> Result<(), Problem> {
    let door = &app.door;
    if door.no_auth {
        return Ok(()); // whoever said so has something else in front, and names that we can't know
    }
    if !door.is_loopback() {
        return Err(Problem::new("unauthorized", "no API key has been made yet: `backstitch key create` makes the first"));
    }
    let host = browser::host(request.headers(), request.uri()).unwrap_or_default();
    if browser::is_loopback(&host) || door.bound.is_some_and(|ip| browser::is_address(&host, ip)) {
        return Ok(());
    }
    tracing::warn!(host, "refused: the host is not this machine, and no key is asked for");
    let detail = "while there are no keys this server answers to localhost and its own address only, not to this Host";
    Err(Problem::new("forbidden", detail))
}

/// Refuses what another site's page has sent with a user's cookie, or without any need for one.
fn check_same_site(request: &Request) -> Result<(), Problem> {
    if browser::is_unsafe(request.method()) && browser::is_cross_site(request.headers(), request.uri()) {
        tracing::warn!(path = request.uri().path(), "refused: another site's page has sent this");
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
