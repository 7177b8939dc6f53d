//! `/v1/notifications`: what people were told of orders.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::StatusCode,
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{State as Shop, problem};
use crate::{
    engine::Slice,
    http::{
        auth::Actor,
        extract::{IdempotencyKey, Json, Params},
        problem::Problem,
    },
    orders::{Notification, NotificationFilter, SendNotification},
};

/// The routes of this noun.
pub(super) fn routes() -> OpenApiRouter<Shop> {
    OpenApiRouter::new().routes(routes!(list, send)).routes(routes!(resend))
}

/// List notifications, the latest first.
#[utoipa::path(
    get,
    path = "/v1/notifications",
    operation_id = "list_notifications",
    tag = "notifications",
    params(NotificationFilter),
    responses((status = 200, description = "A page.", body = Slice<Notification>)),
    extensions(("x-problems" = json!(["bad_cursor"])))
)]
async fn list(
    State(shop): State<Shop>,
    Params(filter): Params<NotificationFilter>,
) -> Result<Answer<Slice<Notification>>, Problem> {
    Ok(Answer(shop.orders.notifications(&filter).await?))
}

/// Tell somebody of an order.
///
/// A worker sends it: to each seller, where it is for sellers. The same key again gives the first notifications.
#[utoipa::path(
    post,
    path = "/v1/notifications",
    operation_id = "send_notification",
    tag = "notifications",
    params(IdempotencyKey),
    request_body = SendNotification,
    responses(
        (status = 202, description = "It will be sent.", body = Slice<Notification>),
        (status = 200, description = "The key was known: the first ones.", body = Slice<Notification>),
    ),
    extensions(("x-problems" = json!(["unknown_order", "wrong_state", "key_conflict"])))
)]
async fn send(
    State(shop): State<Shop>,
    Actor(actor): Actor,
    IdempotencyKey(key): IdempotencyKey,
    Json(request): Json<SendNotification>,
) -> Result<(StatusCode, Answer<Slice<Notification>>), Problem> {
    let (found, is_new) = shop.orders.acting_as(&actor).send_notification(&request, key.as_deref()).await?;
    Ok((if is_new { StatusCode::ACCEPTED } else { StatusCode::OK }, Answer(found)))
}

/// A notification's id in a path. Whatever is no id is an id that no notification has.
pub(super) fn notification_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::parse_str(text).map_err(|_| problem::new("unknown_notification", format!("there is no notification {text}")))
}

/// Send a notification again.
///
/// With the same id, by which its receiver recognises it. One that waits for its first attempt stays as it is.
#[utoipa::path(
    post,
    path = "/v1/notifications/{id}/resend",
    operation_id = "resend_notification",
    tag = "notifications",
    params(("id" = Uuid, Path, description = "The notification.")),
    responses((status = 202, description = "It will be sent.", body = Notification)),
    extensions(("x-problems" = json!(["unknown_notification"])))
)]
async fn resend(
    State(shop): State<Shop>,
    Actor(actor): Actor,
    Path(id): Path<String>,
) -> Result<(StatusCode, Answer<Notification>), Problem> {
    let sent = shop.orders.acting_as(&actor).resend_notification(notification_id(&id)?).await?;
    Ok((StatusCode::ACCEPTED, Answer(sent)))
}
