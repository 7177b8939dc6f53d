//! `/v1/schedules`: runs that start by the clock: set, list, show, pause, resume, run, delete.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App,
    auth::Caller,
    extract::{Json, Params, SliceParams},
    problem::Problem,
    verb_bodies::ActingAs,
    wire::{ActionBody, operator},
};
use crate::engine::{CatchUp, Overlap, Schedule, ScheduleChange, ScheduleDetail, ScheduleSpec, ScheduledRun, Slice};

/// The routes of this noun.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, set, delete))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(run))
}

/// `PUT /v1/schedules/{name}`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SetSchedule)]
#[serde(deny_unknown_fields)]
struct ScheduleBody {
    /// Five fields as in crontab(5).
    cron: String,
    /// An IANA name; `UTC` unless said.
    time_zone: Option<String>,
    /// The workflow's name.
    workflow: String,
    /// Any JSON; what the workflow takes.
    #[schema(value_type = Value)]
    input: Box<RawValue>,
    /// `default` unless said.
    queue: Option<String>,
    /// What a slot does while the previous run has not ended.
    #[serde(default)]
    overlap: Overlap,
    /// What becomes of slots that no server saw to in time.
    #[serde(default)]
    catch_up: CatchUp,
    /// Left as it is unless said.
    paused: Option<bool>,
    /// For the audit.
    #[schema(max_length = 2000)]
    reason: Option<String>,
    /// Only tell when it would start.
    #[serde(default)]
    dry_run: bool,
}

/// `DELETE` has no body.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct DeleteParams {
    /// For the audit.
    #[param(max_length = 2000)]
    reason: Option<String>,
    /// Only check.
    dry_run: bool,
}

type Name = Path<String>;

/// List schedules, by name.
#[utoipa::path(
    get,
    path = "/v1/schedules",
    operation_id = "list_schedules",
    tag = "schedules",
    responses((status = 200, description = "All of them, on one page.", body = Slice<Schedule>)),
)]
async fn list(State(app): State<App>) -> Result<Answer<Slice<Schedule>>, Problem> {
    Ok(Answer(Slice::whole(app.engine.schedules().await?)))
}

/// Read a schedule with its slots, newest first.
#[utoipa::path(
    get,
    path = "/v1/schedules/{name}",
    operation_id = "get_schedule",
    tag = "schedules",
    params(("name" = String, Path, description = "The schedule."), SliceParams),
    responses((status = 200, description = "The schedule.", body = ScheduleDetail)),
    extensions(("x-problems" = json!(["unknown_schedule", "bad_cursor"])))
)]
async fn show(
    State(app): State<App>,
    Path(name): Name,
    Params(params): Params<SliceParams>,
) -> Result<Answer<ScheduleDetail>, Problem> {
    Ok(Answer(app.engine.schedule(&name, params.cursor.as_deref(), params.limit.unwrap_or(50)).await?))
}

/// Make or replace a schedule.
#[utoipa::path(
    put,
    path = "/v1/schedules/{name}",
    operation_id = "set_schedule",
    tag = "schedules",
    params(("name" = String, Path, description = "The schedule.")),
    request_body = ScheduleBody,
    responses(
        (status = 201, description = "Made.", body = ScheduleChange, headers(("location" = String, description = "Its address."))),
        (status = 200, description = "Replaced, or a dry run.", body = ScheduleChange, headers(("location" = String, description = "Its address."))),
    ),
    extensions(("x-problems" = json!(["unknown_workflow", "internal_workflow", "invalid_input"])))
)]
async fn set(
    State(app): State<App>,
    Path(name): Name,
    caller: Caller,
    Json(body): Json<ScheduleBody>,
) -> Result<Response, Problem> {
    let by = operator(caller.actor, body.reason.as_deref(), body.dry_run)?;
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

/// Remove a schedule; its runs stay.
#[utoipa::path(
    delete,
    path = "/v1/schedules/{name}",
    operation_id = "delete_schedule",
    tag = "schedules",
    params(("name" = String, Path, description = "The schedule."), DeleteParams),
    responses((status = 200, description = "As it was.", body = ScheduleChange)),
    extensions(("x-problems" = json!(["unknown_schedule"])))
)]
async fn delete(
    State(app): State<App>,
    Path(name): Name,
    caller: Caller,
    Params(params): Params<DeleteParams>,
) -> Result<Answer<ScheduleChange>, Problem> {
    let by = operator(caller.actor, params.reason.as_deref(), params.dry_run)?;
    Ok(Answer(app.engine.delete_schedule(&name, &by).await?))
}

/// Start nothing until it is resumed.
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/pause",
    operation_id = "pause_schedule",
    tag = "schedules",
    params(("name" = String, Path, description = "The schedule.")),
    request_body = Option<ActionBody>,
    responses((status = 200, description = "The schedule.", body = ScheduleChange)),
    extensions(("x-problems" = json!(["unknown_schedule"])))
)]
async fn pause(
    State(app): State<App>,
    Path(name): Name,
    ActingAs { by, .. }: ActingAs<ActionBody>,
) -> Result<Answer<ScheduleChange>, Problem> {
    Ok(Answer(app.engine.pause_schedule(&name, &by).await?))
}

/// Let a paused schedule go on.
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/resume",
    operation_id = "resume_schedule",
    tag = "schedules",
    params(("name" = String, Path, description = "The schedule.")),
    request_body = Option<ActionBody>,
    responses((status = 200, description = "The schedule.", body = ScheduleChange)),
    extensions(("x-problems" = json!(["unknown_schedule"])))
)]
async fn resume(
    State(app): State<App>,
    Path(name): Name,
    ActingAs { by, .. }: ActingAs<ActionBody>,
) -> Result<Answer<ScheduleChange>, Problem> {
    Ok(Answer(app.engine.resume_schedule(&name, &by).await?))
}

/// Start a run of it now, beside its slots.
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/run",
    operation_id = "run_schedule",
    tag = "schedules",
    params(("name" = String, Path, description = "The schedule.")),
    request_body = Option<ActionBody>,
    responses(
        (status = 202, description = "Started.", body = ScheduledRun, headers(("location" = String, description = "The run's address."))),
        (status = 200, description = "A dry run: nothing was started.", body = ScheduledRun),
    ),
    extensions(("x-problems" = json!(["unknown_schedule", "unknown_workflow", "invalid_input"])))
)]
async fn run(
    State(app): State<App>,
    Path(name): Name,
    ActingAs { by, .. }: ActingAs<ActionBody>,
) -> Result<Response, Problem> {
    let started = app.engine.run_schedule(&name, &by).await?;
    let Some(run) = started.run_id else { return Ok(Answer(started).into_response()) };
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, format!("/v1/runs/{run}"))], Answer(started)).into_response())
}
