//! `/v1/runs`: start, list, read, wait, signal. What operators ask of one run is in `run_verbs`.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::value::RawValue;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App,
    auth::Caller,
    extract::{IdempotencyKey, Json, JsonList, Params, Payload, TraceParent, parse, run_id},
    problem::Problem,
    request::note_run,
    run_verbs::require_run_id,
    wire::{BatchAnswer, BatchItem, LARGEST_BATCH, SignalAnswer, StartBody, WaitParams},
};
use crate::engine::{Error, Operator, Run, RunFilter, RunResult, Slice, StartRun, Started};

/// The routes of this noun, except [`batch`], whose bodies may be larger.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, start))
        .routes(routes!(show))
        .routes(routes!(result))
        .routes(routes!(super::events::follow))
        .routes(routes!(signal))
}

/// The route for many starts at a time.
pub(super) fn batch_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(batch))
}

type Id = Path<String>;

/// Start a run.
///
/// The same key with the same workflow and request gives the first run. A workflow that is known is taken even while no worker lives.
#[utoipa::path(
    post,
    path = "/v1/runs",
    operation_id = "start_run",
    tag = "runs",
    params(IdempotencyKey, TraceParent),
    request_body = StartBody,
    responses(
        (
            status = 201, description = "Started.", body = Run,
            headers(("location" = String, description = "The run's address.")),
            links(
                ("run" = (operation_id = "get_run", parameters(("id" = "$response.body#/id")))),
                ("events" = (operation_id = "follow_run", parameters(("id" = "$response.body#/id")))),
                ("why" = (operation_id = "why_run", parameters(("id" = "$response.body#/id")))),
                ("result" = (operation_id = "get_run_result", parameters(("id" = "$response.body#/id")))),
                ("signal" = (operation_id = "send_signal", parameters(("id" = "$response.body#/id")))),
                ("cancel" = (operation_id = "cancel_run", parameters(("id" = "$response.body#/id")))),
                ("compensate" = (operation_id = "compensate_run", parameters(("id" = "$response.body#/id")))),
                ("retry" = (operation_id = "retry_run", parameters(("id" = "$response.body#/id")))),
            )
        ),
        (status = 200, description = "The key was known: the first run.", body = Run,
            headers(("location" = String, description = "The run's address."))),
    ),
    extensions(("x-problems" = json!([
        "unknown_workflow", "internal_workflow", "invalid_input", "key_conflict", "overloaded"
    ])))
)]
async fn start(
    State(app): State<App>,
    IdempotencyKey(key): IdempotencyKey,
    TraceParent(traceparent): TraceParent,
    Json(body): Json<StartBody>,
) -> Result<Response, Problem> {
    let request = body.request(key, traceparent)?;
    let _place = app.starts.enter()?;
    let started = app.engine.accept(request.clone()).await?;
    note_run(started.run);
    let run = app.engine.started_run(started, &request).await.map_err(Error::after_write)?;
    let id = run.id;
    let location = [(header::LOCATION, format!("/v1/runs/{id}"))];
    Ok((status(started), location, Answer(run)).into_response())
}

const fn status(started: Started) -> StatusCode {
    if started.created { StatusCode::CREATED } else { StatusCode::OK }
}

/// Start up to 1000 runs.
///
/// Each item is judged by itself: a bad one is a problem in its place, and the others start.
#[utoipa::path(
    post,
    path = "/v1/runs/batch",
    operation_id = "start_runs",
    tag = "runs",
    params(TraceParent),
    request_body = Vec<StartBody>,
    responses((status = 200, description = "A result per item, in order.", body = BatchAnswer)),
    extensions(("x-problems" = json!(["overloaded"])))
)]
async fn batch(
    State(app): State<App>,
    TraceParent(traceparent): TraceParent,
    JsonList(bodies): JsonList<Box<RawValue>>,
) -> Result<Answer<BatchAnswer>, Problem> {
    if bodies.len() > LARGEST_BATCH {
        return Err(Problem::invalid(format!("a batch has at most {LARGEST_BATCH} runs")));
    }
    let read = |body: &RawValue| parse::<StartBody>(body.get().as_bytes())?.request(None, traceparent.clone());
    let read: Vec<Result<StartRun, Problem>> = bodies.iter().map(|body| read(body)).collect();
    let good = read.iter().filter_map(|request| request.as_ref().ok().cloned()).collect();
    let _place = app.starts.enter_batch(bodies.len())?;
    let mut started = app.engine.accept_batch(good).await?.into_iter();
    let missing = || Problem::new("internal_error", "the engine gave no result for this item");
    let items = read
        .into_iter()
        .map(|request| request.and_then(|_| Ok(started.next().ok_or_else(missing)??)))
        .map(|result: Result<Started, Problem>| match result {
            Ok(started) => BatchItem::taken(status(started).as_u16(), started),
            Err(problem) => BatchItem::refused(&problem),
        })
        .collect();
    Ok(Answer(BatchAnswer { items }))
}

/// List runs, newest first.
#[utoipa::path(
    get,
    path = "/v1/runs",
    operation_id = "list_runs",
    tag = "runs",
    params(RunFilter),
    responses((status = 200, description = "A page, without steps.", body = Slice<Run>)),
    extensions(("x-problems" = json!(["bad_cursor"])))
)]
async fn list(State(app): State<App>, Params(filter): Params<RunFilter>) -> Result<Answer<Slice<Run>>, Problem> {
    Ok(Answer(app.engine.list(&filter).await?))
}

/// Read a run with its steps.
///
/// Of its id, a beginning will do that no other run has, of four digits or more.
#[utoipa::path(
    get,
    path = "/v1/runs/{id}",
    operation_id = "get_run",
    tag = "runs",
    params(("id" = Uuid, Path, description = "The run.")),
    responses((status = 200, description = "The run.", body = Run)),
    extensions(("x-problems" = json!(["unknown_run"])))
)]
async fn show(State(app): State<App>, Path(id): Id) -> Result<Answer<Run>, Problem> {
    let run = match run_id(&id) {
        Ok(run) => run,
        Err(unknown) => app.engine.find_run(&id).await?.ok_or(unknown)?,
    };
    Ok(Answer(app.engine.run(run).await?))
}

/// Wait for a run's end.
#[utoipa::path(
    get,
    path = "/v1/runs/{id}/result",
    operation_id = "get_run_result",
    tag = "runs",
    params(("id" = Uuid, Path, description = "The run."), WaitParams),
    responses(
        (status = 200, description = "It has ended.", body = RunResult),
        (status = 202, description = "Not yet: how it stands after the wait.", body = RunResult),
    ),
    extensions(("x-problems" = json!(["unknown_run"])))
)]
async fn result(
    State(app): State<App>,
    Path(id): Id,
    Params(params): Params<WaitParams>,
) -> Result<(StatusCode, Answer<RunResult>), Problem> {
    let (id, wait) = (run_id(&id)?, params.duration()?);
    let result = tokio::select! {
        result = app.engine.result(id, wait) => result?,
        // The server is about to go: better an early "not yet" than a connection that breaks off.
        () = app.draining.cancelled() => app.engine.result(id, std::time::Duration::ZERO).await?,
    };
    Ok((if result.ended { StatusCode::OK } else { StatusCode::ACCEPTED }, Answer(result.shown())))
}

/// Send a run a signal.
///
/// The body, if there is one, is the payload: any JSON. It is durable before this answers.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/signals/{name}",
    operation_id = "send_signal",
    tag = "runs",
    params(
        ("id" = Uuid, Path, description = "The run."),
        ("name" = String, Path, description = "The signal's name, as the workflow waits for it.", max_length = 128),
        IdempotencyKey,
    ),
    request_body(content = Option<Value>, description = "The payload."),
    responses((status = 202, description = "The signal is in the run's inbox.", body = SignalAnswer)),
    extensions(("x-problems" = json!(["unknown_run", "internal_workflow", "run_ended"])))
)]
async fn signal(
    State(app): State<App>,
    Path((id, name)): Path<(String, String)>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Payload(payload): Payload,
) -> Result<(StatusCode, Answer<SignalAnswer>), Problem> {
    let by = Operator { actor: caller.actor, ..Operator::default() };
    let id = require_run_id(&app, "signal", &id, &by).await?;
    app.engine.operator_signal(id, &name, payload.map(Into::into), key.as_deref(), &by).await?;
    Ok((StatusCode::ACCEPTED, Answer(SignalAnswer { run_id: id, signal: name })))
}
