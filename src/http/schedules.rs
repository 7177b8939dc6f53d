//! `/v1/schedules`: runs that start by the clock: set, list, show, pause, resume, run, delete.

use axum::{
    Json as Answer, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{
    App,
    auth::Caller,
    extract::{Json, OptionalJson, Params},
    problem::Problem,
    wire::ActionBody,
};
use crate::engine::{CatchUp, Operator, Overlap, ScheduleChange, ScheduleDetail, ScheduleSpec};

/// The routes of this noun.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/schedules", get(list))
        .route("/v1/schedules/{name}", get(show).put(set).delete(delete))
        .route("/v1/schedules/{name}/pause", post(pause))
        .route("/v1/schedules/{name}/resume", post(resume))
        .route("/v1/schedules/{name}/run", post(run))
}

/// `PUT /v1/schedules/{name}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleBody {
    /// Five fields as in crontab(5).
    cron: String,
    /// An IANA name; `UTC` unless said.
    time_zone: Option<String>,
    /// The workflow's name.
    workflow: String,
    /// Any JSON; what the workflow takes.
    input: Box<RawValue>,
    /// `default` unless said.
    queue: Option<String>,
    #[serde(default)]
    overlap: Overlap,
    #[serde(default)]
    catch_up: CatchUp,
    /// Left as it is unless said.
    paused: Option<bool>,
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

/// `GET /v1/schedules/{name}`: which of its slots.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SlotParams {
    limit: Option<u32>,
    cursor: Option<String>,
}

/// `DELETE` has no body.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DeleteParams {
    reason: Option<String>,
    dry_run: bool,
}

type Name = Path<String>;

async fn list(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Answer(json!({"items": app.engine.schedules().await?, "next_cursor": null})).into_response())
}

async fn show(
    State(app): State<App>,
    Path(name): Name,
    Params(params): Params<SlotParams>,
) -> Result<Answer<ScheduleDetail>, Problem> {
    Ok(Answer(app.engine.schedule(&name, params.cursor.as_deref(), params.limit.unwrap_or(50)).await?))
}

/// 201 where it was not there before.
async fn set(
    State(app): State<App>,
    Path(name): Name,
    caller: Caller,
    Json(body): Json<ScheduleBody>,
) -> Result<Response, Problem> {
    let by = Operator { actor: caller.actor, reason: body.reason, dry_run: body.dry_run };
    let spec = ScheduleSpec {
        cron: body.cron,
        time_zone: body.time_zone.unwrap_or_else(|| "UTC".to_owned()),
        workflow: body.workflow,
        input: body.input.into(),
        queue: body.queue,
        overlap: body.overlap,
        catch_up: body.catch_up,
        paused: body.paused,
    };
    let change = app.engine.set_schedule(&name, &spec, &by).await?;
    let is_made = change.created && !change.dry_run;
    let status = if is_made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, [(header::LOCATION, format!("/v1/schedules/{name}"))], Answer(change)).into_response())
}

async fn delete(
    State(app): State<App>,
    Path(name): Name,
    caller: Caller,
    Params(params): Params<DeleteParams>,
) -> Result<Answer<ScheduleChange>, Problem> {
    let by = Operator { actor: caller.actor, reason: params.reason, dry_run: params.dry_run };
    Ok(Answer(app.engine.delete_schedule(&name, &by).await?))
}

async fn pause(
    State(app): State<App>,
    Path(name): Name,
    caller: Caller,
    OptionalJson(body): OptionalJson<ActionBody>,
) -> Result<Answer<ScheduleChange>, Problem> {
    let by = body.unwrap_or_default().operator(caller.actor)?;
    Ok(Answer(app.engine.pause_schedule(&name, &by).await?))
}

async fn resume(
    State(app): State<App>,
    Path(name): Name,
    caller: Caller,
    OptionalJson(body): OptionalJson<ActionBody>,
) -> Result<Answer<ScheduleChange>, Problem> {
    let by = body.unwrap_or_default().operator(caller.actor)?;
    Ok(Answer(app.engine.resume_schedule(&name, &by).await?))
}

/// 202 with the run that was started; 200 for a dry run.
async fn run(
    State(app): State<App>,
    Path(name): Name,
    caller: Caller,
    OptionalJson(body): OptionalJson<ActionBody>,
) -> Result<Response, Problem> {
    let by = body.unwrap_or_default().operator(caller.actor)?;
    let started = app.engine.run_schedule(&name, &by).await?;
    let Some(run) = started.run_id else { return Ok(Answer(started).into_response()) };
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, format!("/v1/runs/{run}"))], Answer(started)).into_response())
}
