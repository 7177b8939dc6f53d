//! `/v1/runs`: start, list, read, wait, signal, and what operators ask of one run.

use axum::{
    Json as Answer, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{json, value::RawValue};

use super::{
    App,
    auth::Caller,
    extract::{IdempotencyKey, Json, OptionalJson, Params, parse, run_id, wait},
    problem::Problem,
    wire::{ActionBody, LARGEST_BATCH, ListParams, StartBody, WaitParams},
};
use crate::engine::{Action, ActionPlan, Page, Run, RunResult, StartRun, Started};

/// The routes of this noun, except [`batch`], whose bodies may be larger.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/runs", get(list).post(start))
        .route("/v1/runs/{id}", get(show))
        .route("/v1/runs/{id}/result", get(result))
        .route("/v1/runs/{id}/events", get(super::events::follow))
        .route("/v1/runs/{id}/signals/{name}", post(signal))
        .route("/v1/runs/{id}/cancel", post(cancel))
        .route("/v1/runs/{id}/retry", post(retry))
        .route("/v1/runs/{id}/compensate", post(compensate))
}

/// The route for many starts at a time.
pub(super) fn batch_routes() -> Router<App> {
    Router::new().route("/v1/runs/batch", post(batch))
}

type Id = Path<String>;

async fn start(
    State(app): State<App>,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<StartBody>,
) -> Result<Response, Problem> {
    let started = app.engine.start(body.request(key)?).await?;
    let run = app.engine.run(started.run).await?;
    let id = run.id;
    let location = [(header::LOCATION, format!("/v1/runs/{id}"))];
    Ok((status(started), location, Answer(run)).into_response())
}

const fn status(started: Started) -> StatusCode {
    if started.created { StatusCode::CREATED } else { StatusCode::OK }
}

/// Each item is judged by itself: a bad one is a problem in its place, and the others start.
async fn batch(State(app): State<App>, Json(bodies): Json<Vec<Box<RawValue>>>) -> Result<Response, Problem> {
    if bodies.len() > LARGEST_BATCH {
        return Err(Problem::invalid(format!("a batch has at most {LARGEST_BATCH} runs")));
    }
    let read = |body: &RawValue| parse::<StartBody>(body.get().as_bytes())?.request(None);
    let read: Vec<Result<StartRun, Problem>> = bodies.iter().map(|body| read(body)).collect();
    let good = read.iter().filter_map(|request| request.as_ref().ok().cloned()).collect();
    let mut started = app.engine.start_batch(good).await?.into_iter();
    let missing = || Problem::new("internal_error", "the engine gave no result for this item");
    let items: Vec<_> = read
        .into_iter()
        .map(|request| request.and_then(|_| Ok(started.next().ok_or_else(missing)??)))
        .map(|result: Result<Started, Problem>| match result {
            Ok(started) => json!({"status": status(started).as_u16(), "id": started.run, "created": started.created}),
            Err(problem) => json!({"status": problem.status().as_u16(), "error": problem.document(None)}),
        })
        .collect();
    Ok(Answer(json!({"items": items})).into_response())
}

async fn list(State(app): State<App>, Params(params): Params<ListParams>) -> Result<Answer<Page<Run>>, Problem> {
    Ok(Answer(app.engine.list(&params.filter()).await?))
}

async fn show(State(app): State<App>, Path(id): Id) -> Result<Answer<Run>, Problem> {
    Ok(Answer(app.engine.run(run_id(&id)?).await?))
}

/// 200 with the result of a run that has ended, 202 with how it stands after the wait.
async fn result(
    State(app): State<App>,
    Path(id): Id,
    Params(params): Params<WaitParams>,
) -> Result<(StatusCode, Answer<RunResult>), Problem> {
    let (id, wait) = (run_id(&id)?, wait(params.wait.as_deref())?);
    let result = tokio::select! {
        result = app.engine.result(id, wait) => result?,
        // The server is about to go: better an early "not yet" than a connection that breaks off.
        () = app.draining.cancelled() => app.engine.result(id, std::time::Duration::ZERO).await?,
    };
    Ok((if result.ended { StatusCode::OK } else { StatusCode::ACCEPTED }, Answer(result.shown())))
}

/// The body, if there is one, is the payload: any JSON.
async fn signal(
    State(app): State<App>,
    Path((id, name)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    OptionalJson(payload): OptionalJson<Box<RawValue>>,
) -> Result<(StatusCode, Answer<serde_json::Value>), Problem> {
    let id = run_id(&id)?;
    app.engine.signal(id, &name, payload.map(Into::into), key.as_deref()).await?;
    Ok((StatusCode::ACCEPTED, Answer(json!({"run_id": id, "signal": name}))))
}

async fn cancel(
    State(app): State<App>,
    Path(id): Id,
    caller: Caller,
    OptionalJson(body): OptionalJson<ActionBody>,
) -> Result<Response, Problem> {
    let by = body.unwrap_or_default().operator(caller.actor)?;
    Ok(planned(app.engine.act(run_id(&id)?, &Action::Cancel, &by).await?))
}

async fn compensate(
    State(app): State<App>,
    Path(id): Id,
    caller: Caller,
    OptionalJson(body): OptionalJson<ActionBody>,
) -> Result<Response, Problem> {
    let by = body.unwrap_or_default().operator(caller.actor)?;
    Ok(planned(app.engine.act(run_id(&id)?, &Action::Compensate, &by).await?))
}

async fn retry(
    State(app): State<App>,
    Path(id): Id,
    caller: Caller,
    OptionalJson(body): OptionalJson<ActionBody>,
) -> Result<Response, Problem> {
    let by = body.unwrap_or_default().operator(caller.actor)?;
    Ok(planned(app.engine.act(run_id(&id)?, &Action::Retry { policy: None }, &by).await?))
}

/// 202: it is durable that this is to happen; a worker does it. A dry run is done: 200.
fn planned(plan: ActionPlan) -> Response {
    let status = if plan.dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut headers = HeaderMap::new();
    let id = plan.run;
    if let Ok(location) = format!("/v1/runs/{id}").parse() {
        headers.insert(header::LOCATION, location);
    }
    (status, headers, Answer(plan)).into_response()
}
