//! `POST /v1/webhooks/stripe`: the gateway's events. The raw bytes are what is signed, so nothing parses them before.
//!
//! 200 means: recorded, don't send it again. A bad signature is 400, and nothing is done or recorded. This route
//! authenticates by its signature alone: API keys do not apply to it.

use axum::{
    Json as Answer,
    body::{Body, to_bytes},
    extract::State,
    http::HeaderMap,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::State as Shop;
use crate::{http::problem::Problem, orders::WebhookTaken, payments::SIGNATURE_HEADER};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Shop> {
    OpenApiRouter::new().routes(routes!(stripe))
}

/// An event that is recorded: it need not be sent again.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookAnswer {
    /// Always true.
    received: bool,
    /// What came of it.
    taken: WebhookTaken,
}

/// Take an event of the gateway.
///
/// The raw body is what is signed. 200 means: recorded, don't send it again.
#[utoipa::path(
    post,
    path = "/v1/webhooks/stripe",
    operation_id = "receive_stripe_event",
    tag = "webhooks",
    security(()),
    params(("stripe-signature" = String, Header, description = "The gateway's signature: `t=…,v1=…`.")),
    request_body(content = Value, description = "The event, as the gateway wrote it."),
    responses((status = 200, description = "Recorded.", body = WebhookAnswer)),
    extensions(
        ("x-problems" = json!([
            "signature_malformed", "signature_mismatch", "signature_stale", "signature_no_secret", "webhook_unreadable"
        ])),
        ("x-raw-body" = json!(true)),
    )
)]
async fn stripe(State(shop): State<Shop>, headers: HeaderMap, body: Body) -> Result<Answer<WebhookAnswer>, Problem> {
    // A missing or unreadable header is an empty signature, so that it is refused like a wrong one.
    let signature = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body = to_bytes(body, usize::MAX).await.map_err(|_| Problem::invalid("the body broke off"))?;
    let taken = shop.orders.webhook(signature, &body).await?;
    Ok(Answer(WebhookAnswer { received: true, taken }))
}
