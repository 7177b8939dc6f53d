//! `/v1/vendors`: the payment vendors, and what operators want of their breakers.

use axum::{
    Json as Answer,
    extract::{Path, State},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::State as Shop;
use crate::{
    engine::Slice,
    http::{auth::Actor, extract::Json, problem::Problem},
    orders::{SetBreakers, VendorInfo},
};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Shop> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(set))
}

/// List payment vendors, with their breakers.
///
/// In the order in which orders fall back. A breaker is listed once its operation has had a failure.
#[utoipa::path(
    get,
    path = "/v1/vendors",
    operation_id = "list_vendors",
    tag = "vendors",
    responses((status = 200, description = "All of them.", body = Slice<VendorInfo>))
)]
async fn list(State(shop): State<Shop>) -> Result<Answer<Slice<VendorInfo>>, Problem> {
    Ok(Answer(Slice { items: shop.orders.vendors().await?, next_cursor: None }))
}

/// Set a payment vendor's breakers.
///
/// `open` holds all calls of the vendor back, `closed` lets all through, `auto` leaves it to the breakers. All processes know
/// within seconds.
#[utoipa::path(
    put,
    path = "/v1/vendors/{name}",
    operation_id = "set_vendor",
    tag = "vendors",
    params(("name" = String, Path, description = "The vendor.", example = "stripe")),
    request_body = SetBreakers,
    responses((status = 200, description = "The vendor.", body = VendorInfo)),
    extensions(("x-problems" = json!(["unknown_vendor", "reason_required"])))
)]
async fn set(
    State(shop): State<Shop>,
    Actor(actor): Actor,
    Path(name): Path<String>,
    Json(body): Json<SetBreakers>,
) -> Result<Answer<VendorInfo>, Problem> {
    Ok(Answer(shop.orders.acting_as(&actor).set_vendor(&name, &body).await?))
}
