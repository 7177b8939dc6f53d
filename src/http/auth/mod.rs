//! Who calls, and whether they may: the guard around the API and the pages.
//!
//! `roles` is the table of who may what, `session` is a browser's session, `login` signs in and out, `browser` detects
//! requests of other sites, `admission` finds out who calls. The guard leaves a [`Caller`]
//! with the request; a handler that asks for one on a route without a guard gets an error and not a stranger.

mod admission;
pub(super) mod browser;
mod door;
mod login;
pub mod roles;
mod session;
mod streams;

use axum::{
    extract::{Request, State},
    http::{Method, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};

pub use self::{
    admission::{Actor, ActorRole},
    door::Door,
};
use tracing::Instrument;

use self::roles::Access;
pub(super) use self::{
    admission::{Caller, check_csrf},
    login::routes,
};
use super::{App, base::matched_route, limits, page::link, problem::Problem};
pub(super) use crate::engine::Role;
use crate::engine::{Error, Operator, Subject};

/// The layer around everything that is not open to all.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let route = matched_route(&parts.extensions).map(str::to_owned);
    let least = match &route {
        Some(route) => match roles::access(&app.access, parts.method.as_str(), route) {
            Access::Open => return next.run(Request::from_parts(parts, body)).await,
            Access::Least(role) => role,
        },
        // Only those who may read learn that there is nothing at an address under /v1.
        None if roles::is_api(parts.uri.path()) => Role::Viewer,
        None => return next.run(Request::from_parts(parts, body)).await,
    };
    let judged = if least > Role::Viewer {
        // In a task of its own: what is refused is on record, although the client hangs up at once.
        let judging = async move {
            let judged = judge(&app, &parts, route.as_deref(), least).await;
            (app, parts, judged)
        };
        tokio::spawn(judging.in_current_span()).await
    } else {
        let judged = judge(&app, &parts, route.as_deref(), least).await;
        Ok((app, parts, judged))
    };
    let (app, mut parts, caller) = match judged {
        Ok((app, parts, Ok(caller))) => (app, parts, caller),
        Ok((_, _, Err(refused))) => return *refused,
        Err(died) => return Problem::internal("internal_error", &died).into_response(),
    };
    let writes = browser::is_unsafe(&parts.method);
    let left = match limits::keep_to(app.key_limit.as_ref().filter(|_| writes), "key", &caller.key).await {
        Ok(left) => left,
        Err(refused) => return refused.into_response(),
    };
    // Only reads have answers that go on for long.
    let again = (parts.method == Method::GET).then(|| parts.clone());
    parts.extensions.insert(caller);
    let response = left.add_to(next.run(Request::from_parts(parts, body)).await);
    match again {
        Some(request) => streams::while_welcome(app, request, response),
        None => response,
    }
}

/// The caller, if they may do this; else the answer. What a role is refused is on record when this returns.
async fn judge(app: &App, request: &Parts, route: Option<&str>, least: Role) -> Result<Caller, Box<Response>> {
    let (caller, key) = match admission::admit(app, request).await {
        Ok(admitted) => admitted,
        Err(problem) if asks_to_sign_in(&problem, request) => {
            let to = request.uri.path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str);
            return Err(Box::new(Redirect::to(&link("/login", &[("next", to)])).into_response()));
        }
        Err(problem) => return Err(Box::new(problem.into_response())),
    };
    if caller.role >= least {
        return Ok(caller);
    }
    let word = caller.role.with_article();
    let refused = Error::Forbidden(format!("this needs the role {least}; the key `{key}` is {word}"));
    let action = format!("{} {}", request.method, route.unwrap_or_default());
    let by = Operator { actor: caller.actor, ..Operator::default() };
    let about = Subject::Named(request.uri.path());
    app.engine.audit_refusal(&action, about, &by, refused.code(), &refused.to_string()).await;
    Err(Box::new(Problem::from(refused).into_response()))
}

fn asks_to_sign_in(problem: &Problem, request: &Parts) -> bool {
    let reads = matches!(request.method, Method::GET | Method::HEAD) && !roles::is_api(request.uri.path());
    problem.code() == "unauthorized" && reads && browser::wants_page(&request.headers)
}
