//! `/v1/operations`: one action over all runs that a filter matches, and what becomes of each.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    App,
    auth::Caller,
    extract::{Json, Params, SliceParams},
    problem::Problem,
    verb_bodies::{ActingAs, parse_verb},
    wire::{Reason, operator},
};
use crate::engine::{Operation, OperationPreview, OperationRun, OperationRunState, RunFilter, Slice};

/// The routes of this noun.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show))
        .routes(routes!(runs))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(cancel))
}

/// `POST /v1/operations`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewOperation)]
#[serde(deny_unknown_fields)]
struct OperationBody {
    /// The verb: `retry`, `cancel`, `compensate`, `pause`, `resume`, `abandon`, `acknowledge`; `skip` and `resolve` with a `seq`.
    action: String,
    /// The verb's own fields, as on a single run: `policy`, `seq`, `output` …
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    arguments: Map<String, Value>,
    /// Which runs. At least one condition; `limit` and `cursor` are passed over.
    filter: RunFilter,
    /// Why, for the audit. Every bulk operation needs one.
    #[schema(max_length = 2000)]
    reason: Option<String>,
    /// Show what would happen and create nothing.
    #[serde(default)]
    dry_run: bool,
    /// Runs a second; 50 unless said.
    #[schema(minimum = 1, maximum = 10_000)]
    rate: Option<u32>,
}

/// Do the same to all runs that a filter matches.
///
/// Which runs is settled now; what becomes of each is told by the operation. A dry run gives a preview: how many runs, how they stand,
/// and the plans of the first.
#[utoipa::path(
    post,
    path = "/v1/operations",
    operation_id = "create_operation",
    tag = "operations",
    request_body = OperationBody,
    responses(
        (
            status = 202, description = "It is durable, and goes on by itself.", body = Operation,
            headers(("location" = String, description = "The operation's address.")),
            links(("operation" = (operation_id = "get_operation", parameters(("id" = "$response.body#/id")))))
        ),
        (status = 200, description = "A dry run: what it would do.", body = OperationPreview),
    ),
    extensions(("x-problems" = json!(["empty_filter", "reason_required"])))
)]
async fn create(State(app): State<App>, caller: Caller, Json(body): Json<OperationBody>) -> Result<Response, Problem> {
    let verb = parse_verb(&body.action, body.arguments)?;
    let by = operator(caller.actor, body.reason.as_deref(), body.dry_run)?;
    if by.dry_run {
        return Ok(Answer(app.engine.preview_operation(&verb, &body.filter, &by).await?).into_response());
    }
    let created = app.engine.operate_on(&verb, &body.filter, &by, body.rate).await?;
    let location = [(header::LOCATION, format!("/v1/operations/{}", created.id))];
    Ok((StatusCode::ACCEPTED, location, Answer(created)).into_response())
}

/// List bulk operations, newest first.
#[utoipa::path(
    get,
    path = "/v1/operations",
    operation_id = "list_operations",
    tag = "operations",
    params(SliceParams),
    responses((status = 200, description = "A page.", body = Slice<Operation>)),
    extensions(("x-problems" = json!(["bad_cursor"])))
)]
async fn list(
    State(app): State<App>,
    Params(params): Params<SliceParams>,
) -> Result<Answer<Slice<Operation>>, Problem> {
    Ok(Answer(app.engine.operations(params.limit, params.cursor.as_deref()).await?))
}

/// Read a bulk operation with its counts.
#[utoipa::path(
    get,
    path = "/v1/operations/{id}",
    operation_id = "get_operation",
    tag = "operations",
    params(("id" = Uuid, Path, description = "The operation.")),
    responses((status = 200, description = "The operation.", body = Operation)),
    extensions(("x-problems" = json!(["unknown_operation"])))
)]
async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Answer<Operation>, Problem> {
    Ok(Answer(app.engine.operation(operation_id(&id)?).await?))
}

/// A page of an operation's runs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct RunsParams {
    /// Only runs that are `open`, `done` or `refused`.
    #[param(inline)]
    outcome: Option<OperationRunState>,
    /// 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List what became of an operation's runs, in the order in which they are taken up.
#[utoipa::path(
    get,
    path = "/v1/operations/{id}/runs",
    operation_id = "list_operation_runs",
    tag = "operations",
    params(("id" = Uuid, Path, description = "The operation."), RunsParams),
    responses((status = 200, description = "A page.", body = Slice<OperationRun>)),
    extensions(("x-problems" = json!(["unknown_operation", "bad_cursor"])))
)]
async fn runs(
    State(app): State<App>,
    Path(id): Path<String>,
    Params(params): Params<RunsParams>,
) -> Result<Answer<Slice<OperationRun>>, Problem> {
    let (id, outcome) = (operation_id(&id)?, params.outcome);
    Ok(Answer(app.engine.operation_runs(id, outcome, params.limit, params.cursor.as_deref()).await?))
}

/// Stop a bulk operation for now.
///
/// When this answers, none of its runs is in the middle of being acted on.
#[utoipa::path(
    post,
    path = "/v1/operations/{id}/pause",
    operation_id = "pause_operation",
    tag = "operations",
    params(("id" = Uuid, Path, description = "The operation.")),
    request_body = Option<Reason>,
    responses((status = 200, description = "It stands still.", body = Operation)),
    extensions(("x-problems" = json!(["unknown_operation", "wrong_state"])))
)]
async fn pause(
    State(app): State<App>,
    Path(id): Path<String>,
    ActingAs { by, .. }: ActingAs<Reason>,
) -> Result<Answer<Operation>, Problem> {
    Ok(Answer(app.engine.pause_operation(operation_id(&id)?, &by).await?))
}

/// Let a bulk operation go on.
#[utoipa::path(
    post,
    path = "/v1/operations/{id}/resume",
    operation_id = "resume_operation",
    tag = "operations",
    params(("id" = Uuid, Path, description = "The operation.")),
    request_body = Option<Reason>,
    responses((status = 200, description = "It goes on.", body = Operation)),
    extensions(("x-problems" = json!(["unknown_operation", "wrong_state"])))
)]
async fn resume(
    State(app): State<App>,
    Path(id): Path<String>,
    ActingAs { by, .. }: ActingAs<Reason>,
) -> Result<Answer<Operation>, Problem> {
    Ok(Answer(app.engine.resume_operation(operation_id(&id)?, &by).await?))
}

/// End a bulk operation.
///
/// What was done stays done; the runs that were still to come are left as they are.
#[utoipa::path(
    post,
    path = "/v1/operations/{id}/cancel",
    operation_id = "cancel_operation",
    tag = "operations",
    params(("id" = Uuid, Path, description = "The operation.")),
    request_body = Option<Reason>,
    responses((status = 200, description = "It has ended.", body = Operation)),
    extensions(("x-problems" = json!(["unknown_operation", "wrong_state"])))
)]
async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    ActingAs { by, .. }: ActingAs<Reason>,
) -> Result<Answer<Operation>, Problem> {
    Ok(Answer(app.engine.cancel_operation(operation_id(&id)?, &by).await?))
}

/// An operation's id in a path. Whatever is no id is one that no operation has.
fn operation_id(text: &str) -> Result<Uuid, Problem> {
    let none = |_| Problem::new("unknown_operation", format!("there is no operation {text}"));
    Uuid::parse_str(text).map_err(none)
}
