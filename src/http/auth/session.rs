//! The session's cookie: how it is read, set and taken back. What it stands for is in the database, as a hash.

use axum::http::{HeaderMap, HeaderValue, Uri};

use super::{browser, cannot_tell};
use crate::{
    engine::{Identity, SESSION_FOR},
    http::{App, problem::Problem},
};

/// Its name.
pub(super) const COOKIE: &str = "backstitch_session";

/// Whose session a request belongs to.
pub(super) async fn of(app: &App, headers: &HeaderMap) -> Result<Identity, Problem> {
    let Some(cookie) = browser::cookie(headers, COOKIE) else {
        let detail =
            "this needs an API key: `Authorization: Bearer bsk_...` (--api-key, BACKSTITCH_API_KEY), or sign in";
        return Err(Problem::new("unauthorized", detail));
    };
    app.engine.session(cookie).await.map_err(cannot_tell)
}

/// The header that gives a browser its session: not for scripts, not sent along by other sites.
pub(super) fn set(cookie: &str, headers: &HeaderMap, uri: &Uri) -> Option<HeaderValue> {
    header(cookie, SESSION_FOR.as_secs(), headers, uri)
}

/// The header that takes it back.
pub(super) fn unset(headers: &HeaderMap, uri: &Uri) -> Option<HeaderValue> {
    header("", 0, headers, uri)
}

fn header(cookie: &str, seconds: u64, headers: &HeaderMap, uri: &Uri) -> Option<HeaderValue> {
    let secure = if browser::wants_secure_cookie(headers, uri) { "; Secure" } else { "" };
    let text = format!("{COOKIE}={cookie}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).ok()
}
