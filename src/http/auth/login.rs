//! `/login` and `/logout`: a browser signs in with an API key and has a session instead of it.
//!
//! These routes are open, so they guard themselves: another site's page can neither sign anybody in nor out.

use std::{sync::atomic::Ordering, time::Duration};

use askama::Template;
use axum::{
    Form, Router,
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;

use super::{admission::check_same_site, browser, session};
use crate::{
    engine::Error,
    http::{
        App,
        base::{Base, filters},
        problem::Problem,
    },
};

/// The first failure waits so long; each further one in a row twice as long, up to [`LONGEST_PAUSE`]. Keys can't be guessed,
/// so this only keeps the log and the database quiet.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Nothing but our own style sheet, and forms that go to ourselves.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The routes.
pub(in crate::http) fn routes() -> Router<App> {
    Router::new().route("/login", get(form).post(sign_in)).route("/logout", post(sign_out))
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    next: String,
    problem: Option<String>,
}

impl LoginPage {
    fn with_status(&self, base: &Base, status: StatusCode) -> Response {
        match base.render(self) {
            Ok(text) => {
                let mut response = (status, Html(text)).into_response();
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                // Not `no-referrer`: browsers then send `Origin: null` with the form, which is refused as another site's.
                headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
                response
            }
            Err(error) => Problem::internal("internal_error", &error).into_response(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Next {
    next: String,
}

async fn form(State(app): State<App>, Query(Next { next }): Query<Next>) -> Response {
    let next = browser::local_path(&next).to_owned();
    match app.engine.keys_exist().await {
        // Where there are no keys, and the server is open, there is no need to sign in.
        Ok(false) if app.door.no_auth || app.door.is_loopback() => Redirect::to(&next).into_response(),
        Ok(false) => {
            let problem =
                Some("There is no key yet. Create the first: backstitch key create NAME --role admin".to_owned());
            LoginPage { next, problem }.with_status(&app.base, StatusCode::OK)
        }
        Ok(true) => LoginPage { next, problem: None }.with_status(&app.base, StatusCode::OK),
        Err(error) => Problem::from(error).into_response(),
    }
}

#[derive(Deserialize)]
struct SignIn {
    key: String,
    #[serde(default)]
    next: String,
}

async fn sign_in(State(app): State<App>, request: Parts, Form(form): Form<SignIn>) -> Result<Response, Problem> {
    check_same_site(&request)?;
    let next = browser::local_path(&form.next).to_owned();
    match app.engine.sign_in(form.key.trim()).await {
        Ok(opened) => {
            app.door.failed.store(0, Ordering::Relaxed);
            tracing::info!(key = opened.identity.key_id, name = opened.identity.name, "signed in");
            let cookie = session::set(&app.base, &opened.cookie, &request.headers, &request.uri);
            Ok(with_cookie(Redirect::to(&next), cookie))
        }
        Err(Error::Unauthorized(detail)) => {
            let failed = app.door.failed.fetch_add(1, Ordering::Relaxed).min(5);
            tracing::warn!(detail, "a sign-in failed");
            tokio::time::sleep((PAUSE * 2_u32.pow(failed)).min(LONGEST_PAUSE)).await;
            let problem = Some(format!("That did not work: {detail}."));
            Ok(LoginPage { next, problem }.with_status(&app.base, StatusCode::UNAUTHORIZED))
        }
        Err(error) => Err(error.into()),
    }
}

/// Ends the session that the cookie names. `SameSite=Strict` and the origin say that its owner wants it.
async fn sign_out(State(app): State<App>, request: Parts) -> Result<Response, Problem> {
    check_same_site(&request)?;
    let (uri, headers) = (&request.uri, &request.headers);
    if let Some(cookie) = browser::cookie(headers, session::COOKIE) {
        app.engine.sign_out(cookie).await?;
    }
    Ok(with_cookie(Redirect::to("/login"), session::unset(&app.base, headers, uri)))
}

fn with_cookie(to: Redirect, cookie: Option<HeaderValue>) -> Response {
    let mut response = to.into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
