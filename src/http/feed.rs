//! The events that leave, as pages and as a stream, and how far each sink has got.

use std::{collections::VecDeque, time::Duration};

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event as Sent, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App,
    auth::Caller,
    extract::{Json, Params},
    problem::Problem,
    wire::operator,
};
use crate::engine::{
    self, Slice,
    outbox::{Event, EventFilter, SinkState},
};

/// How late an event may be that another process has numbered.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A comment is sent this often, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An event of the stream.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only described: what is sent is text")]
struct StreamedEvent {
    /// Its type.
    event: String,
    /// Its number, which a client sends as `Last-Event-ID` to go on after it.
    id: String,
    /// JSON: the CloudEvent.
    data: String,
}

/// The routes of this noun.
pub(super) fn routes() -> OpenApiRouter<App> {
    let reading = OpenApiRouter::new().routes(routes!(list_events)).routes(routes!(stream_events));
    reading.routes(routes!(list_sinks)).routes(routes!(skip_event))
}

/// List events, oldest first.
///
/// Each has a number, which it got after its commit: a reader who goes on behind the last `sequence` that it has seen gets every
/// event once, and waits for no open transaction. With a filter a page may be empty and still have a `next_cursor`, which is
/// the next `after`.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "list_events",
    tag = "events",
    params(EventFilter),
    responses((status = 200, description = "A page of CloudEvents.", body = Slice<Event>)),
)]
async fn list_events(
    State(app): State<App>,
    Params(filter): Params<EventFilter>,
) -> Result<Answer<Slice<Event>>, Problem> {
    Ok(Answer(app.engine.events(&filter).await?))
}

/// List the sinks of events, and how far each has got.
#[utoipa::path(
    get,
    path = "/v1/events/sinks",
    operation_id = "list_sinks",
    tag = "events",
    responses((status = 200, description = "All that were ever delivered to.", body = Slice<SinkState>))
)]
async fn list_sinks(State(app): State<App>) -> Result<Answer<Slice<SinkState>>, Problem> {
    Ok(Answer(Slice::whole(app.engine.sinks().await?)))
}

/// Which event a sink is to pass over, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SkipEvent {
    /// Its number: of the event that the sink would get next.
    #[schema(minimum = 1)]
    sequence: i64,
    /// Why, for the audit.
    #[serde(default)]
    #[schema(max_length = 2000)]
    reason: Option<String>,
    /// Change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Have a sink pass over an event.
///
/// It has to be the next one that the sink gets: one that it will never take, and that holds up all behind it.
#[utoipa::path(
    post,
    path = "/v1/events/sinks/{name}/skip",
    operation_id = "skip_event",
    tag = "events",
    params(("name" = String, Path, description = "The sink.", min_length = 1, max_length = 256)),
    request_body = SkipEvent,
    responses((status = 200, description = "The sink, which gets what comes after.", body = SinkState)),
    extensions(("x-problems" = json!(["unknown_sink", "wrong_state", "reason_required"])))
)]
async fn skip_event(
    State(app): State<App>,
    Path(name): Path<String>,
    caller: Caller,
    Json(body): Json<SkipEvent>,
) -> Result<Answer<SinkState>, Problem> {
    let by = operator(caller.actor, body.reason.as_deref(), body.dry_run)?;
    Ok(Answer(app.engine.skip_event(&name, body.sequence, &by).await?))
}

/// Follow events.
///
/// Server-sent events: each has the event's `sequence` as id, its type as `event`, and the CloudEvent as data. A client that
/// sends the last id it saw goes on after it. `limit` is how many are read at a time.
#[utoipa::path(
    get,
    path = "/v1/events/stream",
    operation_id = "stream_events",
    tag = "events",
    params(EventFilter, ("last-event-id" = Option<u64>, Header, description = "The id of the last event that was seen.")),
    responses((status = 200, description = "Events, as they come.", body = StreamedEvent, content_type = "text/event-stream")),
)]
async fn stream_events(
    State(app): State<App>,
    Params(filter): Params<EventFilter>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").map(|id| {
        let id = id.to_str().ok().and_then(|id| id.trim().parse::<i64>().ok());
        id.ok_or_else(|| Problem::invalid("last-event-id is no id of this stream's events"))
    });
    let after = last.transpose()?.or(filter.after);
    let mut follower = Follower { app, filter: EventFilter { after, ..filter }, pending: VecDeque::new() };
    follower.read().await?; // a bad request is refused, not an empty stream
    let events = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok::<_, engine::Error>(event), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

struct Follower {
    app: App,
    filter: EventFilter,
    pending: VecDeque<Event>,
}

impl Follower {
    /// Reads on; whether there may be more at once.
    async fn read(&mut self) -> Result<bool, engine::Error> {
        let page = self.app.engine.events(&self.filter).await?;
        let last = page.items.last().map(|event| event.sequence);
        let next = page.next_cursor.and_then(|next| next.parse().ok());
        self.filter.after = next.or(last).or(self.filter.after);
        self.pending = page.items.into();
        Ok(next.is_some())
    }

    /// The next event; none when the server goes, or when the database does: the client resumes.
    async fn next(&mut self) -> Option<Sent> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                let data = serde_json::to_string(&event).unwrap_or_else(|_| "{}".to_owned());
                return Some(Sent::default().id(event.sequence.to_string()).event(event.event_type).data(data));
            }
            match self.read().await {
                Ok(more) if more || !self.pending.is_empty() => {}
                Ok(_) => tokio::select! {
                    () = self.app.engine.wait_for_events(LOOK_EVERY) => {}
                    () = self.app.draining.cancelled() => return None,
                },
                Err(error) => {
                    tracing::warn!(%error, "a stream of events ends: they can't be read");
                    return None;
                }
            }
            if self.app.draining.is_cancelled() {
                return None;
            }
        }
    }
}
