//! `/v1/orders` and `/v1/items`: what customers, the seller and fulfilment do.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{State as Shop, problem};
use crate::{
    engine::Role,
    http::{
        WaitParams,
        auth::{Actor, ActorRole},
        extract::{IdempotencyKey, Json, OptionalJson, Params, TraceParent},
        limits::{Left, keep_to},
        note_run,
        problem::Problem,
    },
    orders::{
        CancelOrder, ChangeOrder, Fulfilment, FulfilmentReport, Item, Order, OrderFilter, OrderPage, PlaceOrder,
        PutItem, Seller, state::OrderState,
    },
};

/// The routes of these nouns.
pub(super) fn routes() -> OpenApiRouter<Shop> {
    OpenApiRouter::new()
        .routes(routes!(list, place))
        .routes(routes!(show, change))
        .routes(routes!(cancel))
        .routes(routes!(report))
        .routes(routes!(item, put_item))
}

impl Shop {
    /// Counts one request of the customer.
    async fn count(&self, customer: &str) -> Result<Left, Problem> {
        keep_to(self.customer_limit.as_ref(), "customer", customer).await
    }

    /// The same for a request about an order, whose customer is looked up where there is a limit.
    async fn count_for(&self, order: Uuid) -> Result<Left, Problem> {
        match &self.customer_limit {
            Some(_) => self.count(&self.orders.customer_of(order).await?).await,
            None => Ok(Left::default()),
        }
    }
}

/// An order's id in a path. Whatever is no id is an id that no order has.
fn order_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::parse_str(text).map_err(|_| problem::new("unknown_order", format!("there is no order {text}")))
}

/// Place an order.
///
/// Answers once order and run are durable; with `wait`, once it is placed or cancelled. Whether there is enough in stock and
/// whether the payment goes through comes after that: see `state` and `cancel_reason`.
#[utoipa::path(
    post,
    path = "/v1/orders",
    operation_id = "place_order",
    tag = "orders",
    params(WaitParams, IdempotencyKey, TraceParent),
    request_body = PlaceOrder,
    responses(
        (
            status = 201, description = "A new order.", body = Order,
            headers(("location" = String, description = "The order's address.")),
            links(
                ("order" = (operation_id = "get_order", parameters(("id" = "$response.body#/id")))),
                ("cancel" = (operation_id = "cancel_order", parameters(("id" = "$response.body#/id")))),
                ("change" = (operation_id = "change_order", parameters(("id" = "$response.body#/id")))),
                ("fulfilment" = (operation_id = "report_fulfilment", parameters(("id" = "$response.body#/id")))),
                ("run" = (operation_id = "get_run", parameters(("id" = "$response.body#/run_id")))),
            )
        ),
        (status = 200, description = "The key was known: the first order.", body = Order,
            headers(("location" = String, description = "The order's address."))),
    ),
    extensions(("x-problems" = json!([
        "unknown_item", "currency_mismatch", "price_overflow", "delivery_too_far", "key_conflict", "overloaded"
    ])))
)]
async fn place(
    State(shop): State<Shop>,
    Params(params): Params<WaitParams>,
    IdempotencyKey(key): IdempotencyKey,
    TraceParent(traceparent): TraceParent,
    Json(body): Json<PlaceOrder>,
) -> Result<Response, Problem> {
    let wait = params.duration()?;
    let place = shop.starts.enter()?;
    let left = shop.count(&body.customer_id).await?;
    let placed = shop.orders.place_in_trace(&body, key.as_deref(), traceparent).await?;
    drop(place); // who waits for what comes of the order holds up no other
    note_run(placed.order.run_id);
    let id = placed.order.id;
    let mut order = placed.order;
    if !wait.is_zero() {
        tokio::select! {
            decided = shop.orders.wait(id, wait) => order = decided?,
            () = shop.draining.cancelled() => {}
        }
    }
    let status = if placed.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, left, [(header::LOCATION, format!("/v1/orders/{id}"))], Answer(order)).into_response())
}

/// List a customer's orders, newest first.
///
/// Six months, live and archived together.
#[utoipa::path(
    get,
    path = "/v1/orders",
    operation_id = "list_orders",
    tag = "orders",
    params(OrderFilter),
    responses((status = 200, description = "A page.", body = OrderPage)),
    extensions(("x-problems" = json!(["bad_cursor"])))
)]
async fn list(State(shop): State<Shop>, Params(filter): Params<OrderFilter>) -> Result<Answer<OrderPage>, Problem> {
    Ok(Answer(shop.orders.list(&filter).await?))
}

/// Read an order.
#[utoipa::path(
    get,
    path = "/v1/orders/{id}",
    operation_id = "get_order",
    tag = "orders",
    params(("id" = Uuid, Path, description = "The order.")),
    responses((status = 200, description = "The order.", body = Order)),
    extensions(("x-problems" = json!(["unknown_order"])))
)]
async fn show(State(shop): State<Shop>, Path(id): Path<String>) -> Result<Answer<Order>, Problem> {
    Ok(Answer(shop.orders.get(order_id(&id)?).await?))
}

/// Cancel an order.
///
/// What goes back to the customer is fixed at the moment when the cancel is accepted.
#[utoipa::path(
    post,
    path = "/v1/orders/{id}/cancel",
    operation_id = "cancel_order",
    tag = "orders",
    params(("id" = Uuid, Path, description = "The order.")),
    request_body = Option<CancelOrder>,
    responses(
        (status = 202, description = "Accepted, but not carried out yet.", body = Order),
        (status = 200, description = "It is cancelled.", body = Order),
    ),
    extensions(("x-problems" = json!(["unknown_order", "window_closed", "wrong_state"])))
)]
async fn cancel(
    State(shop): State<Shop>,
    Actor(actor): Actor,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson<CancelOrder>,
) -> Result<(StatusCode, Left, Answer<Order>), Problem> {
    let id = order_id(&id)?;
    let left = shop.count_for(id).await?;
    let order = shop.orders.acting_as(&actor).cancel(id, &body.unwrap_or_default()).await?;
    Ok((done(order.state == OrderState::Cancelled), left, Answer(order)))
}

/// Change where an order goes, until it is dispatched.
#[utoipa::path(
    patch,
    path = "/v1/orders/{id}",
    operation_id = "change_order",
    tag = "orders",
    params(("id" = Uuid, Path, description = "The order.")),
    request_body = ChangeOrder,
    responses((status = 200, description = "The order.", body = Order)),
    extensions(("x-problems" = json!(["unknown_order", "wrong_state", "delivery_too_far"])))
)]
async fn change(
    State(shop): State<Shop>,
    Actor(actor): Actor,
    Path(id): Path<String>,
    Json(body): Json<ChangeOrder>,
) -> Result<(Left, Answer<Order>), Problem> {
    let id = order_id(&id)?;
    let left = shop.count_for(id).await?;
    Ok((left, Answer(shop.orders.acting_as(&actor).change_delivery(id, &body.delivery).await?)))
}

/// Report what fulfilment did.
#[utoipa::path(
    post,
    path = "/v1/orders/{id}/fulfilment",
    operation_id = "report_fulfilment",
    tag = "orders",
    params(("id" = Uuid, Path, description = "The order.")),
    request_body = FulfilmentReport,
    responses(
        (status = 202, description = "Recorded, but the order's run has not moved its state yet.", body = Order),
        (status = 200, description = "The order is in this state.", body = Order),
    ),
    extensions(("x-problems" = json!(["unknown_order", "wrong_state"])))
)]
async fn report(
    State(shop): State<Shop>,
    Actor(actor): Actor,
    Path(id): Path<String>,
    Json(body): Json<FulfilmentReport>,
) -> Result<(StatusCode, Answer<Order>), Problem> {
    let order = shop.orders.acting_as(&actor).report(order_id(&id)?, body.state).await?;
    let reached = match body.state {
        Fulfilment::Shipped => matches!(order.state, OrderState::Shipped | OrderState::Delivered),
        Fulfilment::Delivered => order.state == OrderState::Delivered,
    };
    Ok((done(reached), Answer(order)))
}

const fn done(done: bool) -> StatusCode {
    if done { StatusCode::OK } else { StatusCode::ACCEPTED }
}

/// Read an item, its stock and who sells it.
///
/// The seller's mail address is masked unless the caller may write items.
#[utoipa::path(
    get,
    path = "/v1/items/{sku}",
    operation_id = "get_item",
    tag = "items",
    params(("sku" = String, Path, description = "The item's key.")),
    responses((status = 200, description = "The item.", body = Item)),
    extensions(("x-problems" = json!(["unknown_item"])))
)]
async fn item(
    State(shop): State<Shop>,
    ActorRole(role): ActorRole,
    Path(sku): Path<String>,
) -> Result<Answer<Item>, Problem> {
    let mut item = shop.orders.item(&sku).await?;
    if role < Role::Operator {
        item.seller = item.seller.map(Seller::masked);
    }
    Ok(Answer(item))
}

/// Make or change an item.
///
/// Orders that exist keep their price.
#[utoipa::path(
    put,
    path = "/v1/items/{sku}",
    operation_id = "put_item",
    tag = "items",
    params(("sku" = String, Path, description = "The item's key.", max_length = 64, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$")),
    request_body = PutItem,
    responses(
        (status = 200, description = "The item.", body = Item, links(
            ("item" = (operation_id = "get_item", parameters(("sku" = "$request.path.sku"))))
        ))
    ),
    extensions(("x-problems" = json!(["wrong_state"])))
)]
async fn put_item(
    State(shop): State<Shop>,
    Actor(actor): Actor,
    Path(sku): Path<String>,
    Json(body): Json<PutItem>,
) -> Result<Answer<Item>, Problem> {
    Ok(Answer(shop.orders.acting_as(&actor).put_item(&sku, &body).await?))
}
