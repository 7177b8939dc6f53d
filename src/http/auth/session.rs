//! The session's cookie: how it is read, set and removed. The session itself is in the database, as a hash.

use axum::http::{HeaderMap, HeaderValue, Uri};

use super::browser;
use crate::{
    engine::{Error, Identity, SESSION_FOR},
    http::{App, base::Base},
};

/// Its name.
pub(super) const COOKIE: &str = "backstitch_session";

/// Whose session a request belongs to.
pub(super) async fn identify(app: &App, headers: &HeaderMap) -> Result<Identity, Error> {
    let Some(cookie) = browser::cookie(headers, COOKIE) else {
        let detail =
            "this needs an API key: `Authorization: Bearer bsk_...` (--api-key, BACKSTITCH_API_KEY), or sign in";
        return Err(Error::Unauthorized(detail.to_owned()));
    };
    app.engine.session(cookie).await
}

/// The header that gives a browser its session: not for scripts, not sent along by other sites.
pub(super) fn set(base: &Base, cookie: &str, headers: &HeaderMap, uri: &Uri) -> Option<HeaderValue> {
    header(base, cookie, SESSION_FOR.as_secs(), headers, uri)
}

/// The header that removes it.
pub(super) fn unset(base: &Base, headers: &HeaderMap, uri: &Uri) -> Option<HeaderValue> {
    header(base, "", 0, headers, uri)
}

fn header(base: &Base, cookie: &str, seconds: u64, headers: &HeaderMap, uri: &Uri) -> Option<HeaderValue> {
    let secure = if browser::wants_secure_cookie(headers, uri) { "; Secure" } else { "" };
    let path = base.cookie_path();
    let text = format!("{COOKIE}={cookie}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).ok()
}
