//! `/v1/inbox`: events from outside: taken from signed webhooks, listed, retried and discarded.

use axum::{
    Json as Answer,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::HeaderMap,
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    App,
    extract::{Params, parse},
    problem::Problem,
    verb_bodies::ActingAs,
    wire::ActionBody,
};
use crate::engine::{Error, Receipt, ReceivedEvent, ReceivedFilter, RunId, Slice};

/// The routes of this noun.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(receive))
        .routes(routes!(show))
        .routes(routes!(retry))
        .routes(routes!(discard))
}

/// Take an event of a source.
///
/// The raw body is what is signed, as the source's settings say; API keys do not apply. 200 means: recorded, don't send it
/// again.
#[utoipa::path(
    post,
    path = "/v1/inbox/{source}",
    operation_id = "receive_event",
    tag = "inbox",
    security(()),
    params(("source" = String, Path, description = "The source, as it is called in the settings.")),
    request_body(content = Value, description = "The event, as its source wrote it."),
    responses((status = 200, description = "Recorded, and what came of it.", body = Receipt)),
    extensions(
        ("x-problems" = json!([
            "unknown_source", "signature_malformed", "signature_mismatch", "signature_stale", "malformed_json",
            "internal_workflow"
        ])),
        ("x-raw-body" = json!(true)),
    )
)]
async fn receive(
    State(app): State<App>,
    Path(source): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<Receipt>, Problem> {
    let unknown = || Error::UnknownSource(source.clone());
    let source = app.inbox.source(&source).ok_or_else(unknown)?;
    let webhook = source.webhook.as_ref().ok_or_else(unknown)?;
    let body = to_bytes(body, usize::MAX).await.map_err(|_| Problem::invalid("the body broke off"))?;
    // Sources sign with their wall-clock time, so compare with ours.
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    webhook
        .verify(header, &body, i64::try_from(now).unwrap_or(i64::MAX))
        .map_err(|refused| Problem::new(refused.code(), refused.to_string()))?;
    let read = source.mapping.read(parse(&body)?);
    let event = read.map_err(|field| {
        let message = "the event has none where its source's settings say".to_owned();
        Error::InvalidField { field: field.to_owned(), message }
    })?;
    Ok(Answer(app.engine.receive(&source.mapping, &event).await?))
}

/// List events from outside, the latest first.
#[utoipa::path(
    get,
    path = "/v1/inbox",
    operation_id = "list_received_events",
    tag = "inbox",
    params(ReceivedFilter),
    responses((status = 200, description = "A page of them, without their bodies.", body = Slice<ReceivedEvent>)),
    extensions(("x-problems" = json!(["bad_cursor"])))
)]
async fn list(
    State(app): State<App>,
    Params(filter): Params<ReceivedFilter>,
) -> Result<Answer<Slice<ReceivedEvent>>, Problem> {
    Ok(Answer(app.engine.received_events(&filter).await?))
}

/// Read an event from outside.
#[utoipa::path(
    get,
    path = "/v1/inbox/events/{id}",
    operation_id = "get_received_event",
    tag = "inbox",
    params(("id" = Uuid, Path, description = "Our id of it.")),
    responses((status = 200, description = "The event, with its body while it is parked.", body = ReceivedEvent)),
    extensions(("x-problems" = json!(["unknown_event"])))
)]
async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Answer<ReceivedEvent>, Problem> {
    Ok(Answer(app.engine.received_event(event_id(&id)?).await?))
}

/// Try a parked event again.
///
/// What the source's rules say now is done with it. A refusal leaves it parked.
#[utoipa::path(
    post,
    path = "/v1/inbox/events/{id}/retry",
    operation_id = "retry_received_event",
    tag = "inbox",
    params(("id" = Uuid, Path, description = "Our id of it.")),
    request_body = Option<ActionBody>,
    responses((status = 200, description = "What came of it.", body = ReceivedEvent)),
    extensions(("x-problems" = json!([
        "unknown_event", "unknown_source", "wrong_state", "unknown_version", "unmappable", "unknown_workflow",
        "internal_workflow", "invalid_input", "key_conflict", "unknown_run", "run_ended"
    ])))
)]
async fn retry(
    State(app): State<App>,
    Path(id): Path<String>,
    ActingAs { by, .. }: ActingAs<ActionBody>,
) -> Result<Answer<ReceivedEvent>, Problem> {
    Ok(Answer(app.engine.retry_received(&app.inbox.mappings(), event_id(&id)?, &by).await?))
}

/// Discard a parked event.
#[utoipa::path(
    post,
    path = "/v1/inbox/events/{id}/discard",
    operation_id = "discard_received_event",
    tag = "inbox",
    params(("id" = Uuid, Path, description = "Our id of it.")),
    request_body = Option<ActionBody>,
    responses((status = 200, description = "The event.", body = ReceivedEvent)),
    extensions(("x-problems" = json!(["unknown_event", "wrong_state", "reason_required"])))
)]
async fn discard(
    State(app): State<App>,
    Path(id): Path<String>,
    ActingAs { by, .. }: ActingAs<ActionBody>,
) -> Result<Answer<ReceivedEvent>, Problem> {
    Ok(Answer(app.engine.discard_received(event_id(&id)?, &by).await?))
}

/// Text that is no id is an unknown event.
pub(super) fn event_id(text: &str) -> Result<RunId, Problem> {
    Uuid::parse_str(text).map_err(|_| Problem::new("unknown_event", format!("there is no event {text}")))
}
