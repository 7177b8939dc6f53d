//! `/v1/providers`: who carries notices, and what operators want of their breakers.

use axum::{
    Json as Answer,
    extract::{Path, State},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::State as Shop;
use crate::{
    engine::Slice,
    http::{auth::Actor, extract::Json, problem::Problem},
    orders::{ProviderInfo, SetBreakers},
};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Shop> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(set))
}

/// List providers of notices, with their breakers.
///
/// In the order in which a channel asks them. A breaker is listed once its channel has had a failure.
#[utoipa::path(
    get,
    path = "/v1/providers",
    operation_id = "list_providers",
    tag = "notifications",
    responses((status = 200, description = "All of them.", body = Slice<ProviderInfo>))
)]
async fn list(State(shop): State<Shop>) -> Result<Answer<Slice<ProviderInfo>>, Problem> {
    Ok(Answer(Slice { items: shop.orders.providers().await?, next_cursor: None }))
}

/// Set a provider's breakers.
///
/// `open` gives it no message, `closed` gives it all, `auto` leaves it to the breakers. All processes know within seconds.
#[utoipa::path(
    put,
    path = "/v1/providers/{name}",
    operation_id = "set_provider",
    tag = "notifications",
    params(("name" = String, Path, description = "The provider.", example = "smtp")),
    request_body = SetBreakers,
    responses((status = 200, description = "The provider.", body = ProviderInfo)),
    extensions(("x-problems" = json!(["unknown_provider", "reason_required"])))
)]
async fn set(
    State(shop): State<Shop>,
    Actor(actor): Actor,
    Path(name): Path<String>,
    Json(body): Json<SetBreakers>,
) -> Result<Answer<ProviderInfo>, Problem> {
    Ok(Answer(shop.orders.acting_as(&actor).set_provider(&name, &body).await?))
}
