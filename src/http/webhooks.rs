//! `POST /v1/webhooks/stripe`: the gateway's events. The raw bytes are what is signed, so nothing parses them before.
//!
//! 200 means: recorded, don't send it again. A bad signature is 400, recorded as refused, and nothing is done. This route
//! authenticates by its signature alone: API keys do not apply to it.

use axum::{
    Json as Answer, Router,
    body::{Body, to_bytes},
    extract::State,
    http::HeaderMap,
    routing::post,
};
use serde_json::{Value, json};

use super::{App, problem::Problem};
use crate::payments::SIGNATURE_HEADER;

/// The routes.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/webhooks/stripe", post(stripe))
}

async fn stripe(State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Answer<Value>, Problem> {
    // A missing or unreadable header is an empty signature, so that it is refused and recorded like a wrong one.
    let signature = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body = to_bytes(body, usize::MAX).await.map_err(|_| Problem::invalid("the body broke off"))?;
    let taken = app.orders.webhook(signature, &body).await?;
    Ok(Answer(json!({"received": true, "taken": taken})))
}
