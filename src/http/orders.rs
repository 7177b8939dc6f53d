//! `/v1/orders` and `/v1/items`: what customers, the seller and fulfilment do.

use axum::{
    Json as Answer, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use uuid::Uuid;

use super::{
    App,
    extract::{IdempotencyKey, Json, OptionalJson, Params, TraceParent, wait},
    order_wire::{CancelBody, ChangeBody, FulfilmentBody, ItemBody, OrderParams, PlaceBody},
    problem::Problem,
    request::is_about,
    wire::WaitParams,
};
use crate::orders::{Fulfilment, Item, Order, OrderPage, state::OrderState};

/// The routes of these nouns.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/orders", get(list).post(place))
        .route("/v1/orders/{id}", get(show).patch(change))
        .route("/v1/orders/{id}/cancel", post(cancel))
        .route("/v1/orders/{id}/fulfilment", post(report))
        .route("/v1/items/{sku}", get(item).put(put_item))
}

/// An order's id in a path. Whatever is no id is an id that no order has.
fn order_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::parse_str(text).map_err(|_| Problem::new("unknown_order", format!("there is no order {text}")))
}

/// 201 for a new order, 200 for one that the key knew; with `?wait=` it is answered once it is placed or cancelled.
async fn place(
    State(app): State<App>,
    Params(params): Params<WaitParams>,
    IdempotencyKey(key): IdempotencyKey,
    TraceParent(traceparent): TraceParent,
    Json(body): Json<PlaceBody>,
) -> Result<Response, Problem> {
    let wait = wait(params.wait.as_deref())?;
    let placed = app.orders.place_in_trace(&body.request(), key.as_deref(), traceparent).await?;
    is_about(placed.order.run_id);
    let id = placed.order.id;
    let mut order = placed.order;
    if !wait.is_zero() {
        tokio::select! {
            decided = app.orders.wait(id, wait) => order = decided?,
            () = app.draining.cancelled() => {}
        }
    }
    let status = if placed.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, [(header::LOCATION, format!("/v1/orders/{id}"))], Answer(order)).into_response())
}

async fn list(State(app): State<App>, Params(params): Params<OrderParams>) -> Result<Answer<OrderPage>, Problem> {
    Ok(Answer(app.orders.list(&params.filter()).await?))
}

async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Answer<Order>, Problem> {
    Ok(Answer(app.orders.get(order_id(&id)?).await?))
}

/// 202 while the cancel is accepted but not carried out yet.
async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson<CancelBody>,
) -> Result<(StatusCode, Answer<Order>), Problem> {
    let order = app.orders.cancel(order_id(&id)?, &body.unwrap_or_default().request()).await?;
    Ok((done(order.state == OrderState::Cancelled), Answer(order)))
}

async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(body): Json<ChangeBody>,
) -> Result<Answer<Order>, Problem> {
    Ok(Answer(app.orders.change_delivery(order_id(&id)?, &body.request()).await?))
}

/// 202 while the report is recorded but the order's run has not moved its state yet.
async fn report(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(body): Json<FulfilmentBody>,
) -> Result<(StatusCode, Answer<Order>), Problem> {
    let order = app.orders.report(order_id(&id)?, body.state).await?;
    let reached = match body.state {
        Fulfilment::Shipped => matches!(order.state, OrderState::Shipped | OrderState::Delivered),
        Fulfilment::Delivered => order.state == OrderState::Delivered,
    };
    Ok((done(reached), Answer(order)))
}

const fn done(done: bool) -> StatusCode {
    if done { StatusCode::OK } else { StatusCode::ACCEPTED }
}

async fn item(State(app): State<App>, Path(sku): Path<String>) -> Result<Answer<Item>, Problem> {
    Ok(Answer(app.orders.item(&sku).await?))
}

async fn put_item(
    State(app): State<App>,
    Path(sku): Path<String>,
    Json(body): Json<ItemBody>,
) -> Result<Answer<Item>, Problem> {
    Ok(Answer(app.orders.put_item(&sku, &body.request()).await?))
}
