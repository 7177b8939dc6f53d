//! `POST /v1/webhooks/{vendor}`: the payment vendors' events. The raw bytes are what is signed, so nothing parses them before.
//!
//! 200 means: recorded, don't send it again. A bad signature is 400, and nothing is done or recorded. This route
//! authenticates by its signature alone: API keys do not apply to it.

use axum::{
    Json as Answer,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::HeaderMap,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::State as Shop;
use crate::{http::problem::Problem, orders::WebhookTaken};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Shop> {
    OpenApiRouter::new().routes(routes!(receive))
}

/// An event that is recorded: it need not be sent again.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookAnswer {
    /// Always true.
    received: bool,
    /// What came of it.
    taken: WebhookTaken,
}

/// Take an event of a payment vendor.
///
/// The raw body is what is signed, as the vendor's kind does it. 200 means: recorded, don't send it again.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{vendor}",
    operation_id = "receive_vendor_event",
    tag = "webhooks",
    security(()),
    params(
        ("vendor" = String, Path, description = "The vendor, as the settings name it.", example = "stripe"),
        ("stripe-signature" = Option<String>, Header, description = "Stripe's signature: `t=…,v1=…`."),
        ("acquirer-signature" = Option<String>, Header, description = "An acquirer's signature."),
        ("acquirer-timestamp" = Option<String>, Header, description = "When an acquirer signed it."),
    ),
    request_body(content = Value, description = "The event, as the gateway wrote it."),
    responses((status = 200, description = "Recorded.", body = WebhookAnswer)),
    extensions(
        ("x-problems" = json!([
            "signature_malformed", "signature_mismatch", "signature_stale", "signature_no_secret", "webhook_unreadable",
            "unknown_vendor"
        ])),
        ("x-raw-body" = json!(true)),
    )
)]
async fn receive(
    State(shop): State<Shop>,
    Path(vendor): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<WebhookAnswer>, Problem> {
    // An unreadable header is like a missing one, and both are refused like a wrong signature.
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let body = to_bytes(body, usize::MAX).await.map_err(|_| Problem::invalid("the body broke off"))?;
    let taken = shop.orders.webhook(&vendor, header, &body).await?;
    Ok(Answer(WebhookAnswer { received: true, taken }))
}
