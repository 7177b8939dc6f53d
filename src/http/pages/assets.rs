//! The pages' style sheet, script and icon, compiled into the binary: no build step, no other host, nothing to install.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

use crate::http::App;

const STYLE: &str = include_str!("assets/backstitch.css");
const SCRIPT: &str = include_str!("assets/backstitch.js");
const ICON: &str = include_str!("assets/icon.svg");

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = Sha256::new();
    [STYLE, SCRIPT, ICON].iter().for_each(|text| hasher.update(text.as_bytes()));
    hex::encode(&hasher.finalize()[..6])
});

/// Changes whenever an asset does: part of the assets' addresses, and their ETag.
pub(super) fn version() -> &'static str {
    &VERSION
}

/// The routes.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/assets/backstitch.css", get(|headers: HeaderMap| asset(headers, "text/css; charset=utf-8", STYLE)))
        .route(
            "/assets/backstitch.js",
            get(|headers: HeaderMap| asset(headers, "text/javascript; charset=utf-8", SCRIPT)),
        )
        .route("/assets/icon.svg", get(|headers: HeaderMap| asset(headers, "image/svg+xml", ICON)))
        .route("/favicon.ico", get(|headers: HeaderMap| asset(headers, "image/svg+xml", ICON)))
}

async fn asset(headers: HeaderMap, kind: &'static str, text: &'static str) -> Response {
    let tag = format!("\"{}\"", version());
    let head = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, "max-age=3600".to_owned()),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, text).into_response()
}
