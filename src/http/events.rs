//! `GET /v1/runs/{id}/events`: a run's changes as server-sent events, resumable by `Last-Event-ID`.
//!
//! Two kinds. `step`: a step has ended; it is on record, comes in the order of ending, and is never sent twice to a client
//! that resumes. `run`: the picture has changed: status, what it waits for, its open steps with their attempts and errors;
//! pictures in between may be skipped. Ids are made from the record alone, so any server can resume any stream:
//! `<micros of the last ended step>.<f|u><seq>~<digest of the picture>`. The stream ends with the `run` event of an end;
//! a client that asks again after it gets 204, which tells an EventSource to stop.

use std::{collections::VecDeque, time::Duration};

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::{App, extract::run_id, problem::Problem};
use crate::engine::{self, Failure, Run, RunId, RunStatus, RunStep, Time, WaitingOn};

/// How often the run is read.
const POLL: Duration = Duration::from_millis(250);

/// A comment is sent this often, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One event of the stream.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only described: what is sent is text, see `News`")]
struct RunEvent {
    /// `step`: a step has ended. `run`: the picture has changed.
    #[schema(schema_with = event_kind)]
    event: String,
    /// What a client sends as `Last-Event-ID` to go on after it.
    id: String,
    /// JSON: the step, or the picture of the run.
    data: String,
}

fn event_kind() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["step", "run"])).build()
}

/// What a client has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// The last ended step.
    step: Option<Mark>,
    /// The digest of the last picture.
    picture: Option<String>,
}

/// Where an ended step stands in the order of ending: time in microseconds, direction, seq.
type Mark = (i64, char, u32);

impl Seen {
    /// Reads an event id; one that we did not make means: from the start.
    fn parse(id: &str) -> Self {
        let Some((mark, picture)) = id.split_once('~') else { return Self::default() };
        let picture = Some(picture.to_owned()).filter(|digest| !digest.is_empty());
        Self { step: mark.split_once('.').and_then(Self::mark), picture }
    }

    fn mark((micros, step): (&str, &str)) -> Option<Mark> {
        let direction = step.chars().next().filter(|c| matches!(c, 'f' | 'u'))?;
        Some((micros.parse().ok()?, direction, step[1..].parse().ok()?))
    }

    fn id(&self) -> String {
        let mark = self.step.map_or_else(String::new, |(micros, direction, seq)| format!("{micros}.{direction}{seq}"));
        format!("{mark}~{}", self.picture.as_deref().unwrap_or_default())
    }
}

/// One event, before it is written out.
#[derive(Debug)]
struct News {
    id: String,
    kind: &'static str,
    data: String,
}

/// Follow a run.
///
/// Server-sent events: `step` (a step has ended; its data is the step) and `run` (the picture has changed). The stream ends
/// with the `run` event of an end. A client that sends the last id it saw goes on after it.
#[utoipa::path(
    get,
    path = "/v1/runs/{id}/events",
    operation_id = "follow_run",
    tag = "runs",
    params(
        ("id" = Uuid, Path, description = "The run."),
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that was seen."),
    ),
    responses(
        (status = 200, description = "The run's changes, as they come.", body = RunEvent, content_type = "text/event-stream"),
        (status = 204, description = "The run has ended and everything was seen."),
    ),
    extensions(("x-problems" = json!(["unknown_run"])))
)]
pub(super) async fn follow(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = run_id(&id)?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut seen = Seen::parse(last);
    let run = app.engine.run(id).await?; // an unknown run is a 404, not an empty stream
    let pending: VecDeque<News> = news(&run, &mut seen).into();
    let ended = run.status.has_ended();
    if ended && pending.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let follower = Follower { app, id, seen, pending, ended };
    let events = stream::unfold(follower, |mut follower| async {
        let news = follower.next().await?;
        let event = Event::default().id(news.id).event(news.kind).data(news.data);
        Some((Ok::<_, engine::Error>(event), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

struct Follower {
    app: App,
    id: RunId,
    seen: Seen,
    pending: VecDeque<News>,
    ended: bool,
}

impl Follower {
    /// The next event; none at the end of the run, when the server goes, or when the database does: the client resumes.
    async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(news) = self.pending.pop_front() {
                return Some(news);
            }
            if self.ended {
                return None;
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                () = self.app.draining.cancelled() => return None,
            }
            let run = match self.app.engine.run(self.id).await {
                Ok(run) => run,
                Err(error) => {
                    tracing::warn!(run_id = %self.id, %error, "an event stream ends: the run can't be read");
                    return None;
                }
            };
            self.ended = run.status.has_ended();
            self.pending = news(&run, &mut self.seen).into();
        }
    }
}

/// What is new in a run since `seen`, which is brought up to date.
fn news(run: &Run, seen: &mut Seen) -> Vec<News> {
    let steps = run.steps.as_deref().unwrap_or_default();
    let mut ended: Vec<(Mark, &RunStep)> = steps.iter().filter_map(|step| Some((mark(step)?, step))).collect();
    ended.sort_by_key(|(mark, _)| *mark);
    let mut news = Vec::new();
    for (mark, step) in ended {
        if seen.step.is_none_or(|last| mark > last) {
            seen.step = Some(mark);
            news.push(News { id: seen.id(), kind: "step", data: text(step) });
        }
    }
    let open: Vec<&RunStep> = steps.iter().filter(|step| step.outcome.is_none()).collect();
    let picture = text(&Picture::of(run, &open));
    let digest = hex::encode(&Sha256::digest(&picture)[..6]);
    if seen.picture.as_deref() != Some(digest.as_str()) {
        seen.picture = Some(digest);
        news.push(News { id: seen.id(), kind: "run", data: picture });
    }
    news
}

fn mark(step: &RunStep) -> Option<Mark> {
    step.outcome.as_ref()?;
    let direction = if step.direction == "undo" { 'u' } else { 'f' };
    Some((step.finished_at?.timestamp_micros(), direction, step.seq))
}

/// JSON text; payloads stay as they came. A value without a JSON form (there is none in a read model) is an empty object.
fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned())
}

/// What a `run` event shows.
#[derive(Serialize)]
struct Picture<'a> {
    id: RunId,
    workflow: &'a str,
    status: RunStatus,
    waiting_on: &'a Option<WaitingOn>,
    failure: &'a Option<Failure>,
    output: &'a Option<engine::Json>,
    started_at: Option<Time>,
    finished_at: Option<Time>,
    open_steps: &'a [&'a RunStep],
}

impl<'a> Picture<'a> {
    fn of(run: &'a Run, open_steps: &'a [&'a RunStep]) -> Self {
        Self {
            id: run.id,
            workflow: &run.workflow,
            status: run.status,
            waiting_on: &run.waiting_on,
            failure: &run.failure,
            output: &run.output,
            started_at: run.started_at,
            finished_at: run.finished_at,
            open_steps,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;

    use super::*;
    fn at(seconds: i64) -> Time {
        Time::from_timestamp(seconds, 0).expect("a time")
    }

    fn step(seq: u32, direction: &str, finished: Option<i64>) -> RunStep {
        RunStep {
            seq,
            name: format!("s{seq}"),
            kind: "activity".parse().expect("a kind"),
            activity: None,
            direction: direction.parse().expect("a direction"),
            outcome: finished.map(|_| "ok".parse().expect("an outcome")),
            attempts: 1,
            idempotency_key: None,
            input: None,
            output: None,
            error: None,
            attempt_log: Vec::new(),
            started_at: None,
            finished_at: finished.map(at),
            next_attempt_at: None,
            due_at: None,
            undo_after: Vec::new(),
            worker: None,
        }
    }

    fn run(status: &str, steps: Vec<RunStep>) -> Run {
        Run {
            id: Uuid::nil(),
            workflow: "w".into(),
            version: 1,
            key: None,
            queue: "default".into(),
            status: status.parse().expect("a status"),
            input: None,
            output: None,
            failure: None,
            waiting_on: None,
            tags: BTreeMap::new(),
            created_at: at(0),
            started_at: None,
            finished_at: None,
            parent_id: None,
            steps: Some(steps),
            attention: None,
            children: None,
            trace_id: String::new(),
        }
    }

    fn kinds(news: &[News]) -> Vec<&str> {
        news.iter().map(|news| news.kind).collect()
    }

    #[test]
    fn a_resumed_stream_continues_after_the_last_event() {
        let later =
            run("running", vec![step(0, "forward", Some(1)), step(1, "forward", Some(2)), step(2, "forward", None)]);
        let whole = news(&later, &mut Seen::default());
        assert_eq!(kinds(&whole), ["step", "step", "run"]);
        for (index, event) in whole.iter().enumerate() {
            let rest = news(&later, &mut Seen::parse(&event.id));
            let ids: Vec<&String> = rest.iter().map(|news| &news.id).collect();
            let expected: Vec<&String> = whole[index + 1..].iter().map(|news| &news.id).collect();
            assert_eq!(ids, expected, "after {}", event.id);
        }
    }

    #[test]
    fn undos_come_after_earlier_steps() {
        let undone = run(
            "compensated",
            vec![step(0, "forward", Some(1)), step(1, "forward", Some(2)), step(0, "undo", Some(3))],
        );
        let mut seen = Seen::default();
        let read = |news: News| serde_json::from_str(&news.data).expect("JSON");
        let data: Vec<serde_json::Value> = news(&undone, &mut seen).into_iter().map(read).collect();
        assert_eq!(data[2]["direction"], "undo");
        assert_eq!(data[3]["status"], "compensated");
        assert!(news(&undone, &mut seen).is_empty(), "nothing is new after the end");
    }

    #[test]
    fn an_attempt_changes_the_picture() {
        let mut seen = Seen::default();
        let mut open = step(0, "forward", None);
        news(&run("running", vec![open.clone()]), &mut seen);
        open.attempts = 2;
        assert_eq!(kinds(&news(&run("running", vec![open]), &mut seen)), ["run"]);
    }

    #[test]
    fn a_foreign_event_id_starts_from_the_beginning() {
        for id in ["", "7", "x~", "1.q2~ab", "~", "1.~"] {
            assert_eq!(Seen::parse(id).step, None, "{id:?}");
        }
    }
}
