//! Search and lists: what needs attention, why a run waits, what operators did, and the fleet.

use axum::{
    Json as Answer,
    extract::{Path, State},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App,
    extract::{Params, run_id},
    problem::Problem,
};
use crate::engine::{
    AttentionFilter, AttentionGroup, AuditEntry, AuditFilter, QueueInfo, Slice, Why, WorkerInfo, Workflows,
};

/// The routes, all of which only read.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(attention))
        .routes(routes!(why))
        .routes(routes!(audit))
        .routes(routes!(workflows))
        .routes(routes!(queues))
        .routes(routes!(workers))
}

/// List what needs attention, grouped by error.
///
/// Most runs first. The runs of a group are those that `GET /v1/runs` gives with its `fingerprint`.
#[utoipa::path(
    get,
    path = "/v1/attention",
    operation_id = "list_attention",
    tag = "attention",
    params(AttentionFilter),
    responses((status = 200, description = "A page of groups.", body = Slice<AttentionGroup>)),
    extensions(("x-problems" = json!(["bad_cursor"])))
)]
async fn attention(
    State(app): State<App>,
    Params(filter): Params<AttentionFilter>,
) -> Result<Answer<Slice<AttentionGroup>>, Problem> {
    Ok(Answer(app.engine.attention(&filter).await?))
}

/// Say why a run stands where it stands.
///
/// What it waits for, since when, what comes next, and who can move it; from what is on record of it.
#[utoipa::path(
    get,
    path = "/v1/runs/{id}/why",
    operation_id = "why_run",
    tag = "attention",
    params(("id" = Uuid, Path, description = "The run.")),
    responses((status = 200, description = "The answer, in sentences and as fields.", body = Why)),
    extensions(("x-problems" = json!(["unknown_run"])))
)]
async fn why(State(app): State<App>, Path(id): Path<String>) -> Result<Answer<Why>, Problem> {
    Ok(Answer(app.engine.why(run_id(&id)?).await?))
}

/// List what operators did and were refused, newest first.
#[utoipa::path(
    get,
    path = "/v1/audit",
    operation_id = "list_audit",
    tag = "audit",
    params(AuditFilter),
    responses((status = 200, description = "A page of entries.", body = Slice<AuditEntry>)),
    extensions(("x-problems" = json!(["bad_cursor"])))
)]
async fn audit(
    State(app): State<App>,
    Params(filter): Params<AuditFilter>,
) -> Result<Answer<Slice<AuditEntry>>, Problem> {
    Ok(Answer(app.engine.audit(&filter).await?))
}

/// List workflows and activities.
///
/// The workflows that were ever registered with a worker, and the activities that this server knows, with the schemas that
/// their authors give.
#[utoipa::path(
    get,
    path = "/v1/workflows",
    operation_id = "list_workflows",
    tag = "fleet",
    responses((status = 200, description = "All of them.", body = Workflows))
)]
async fn workflows(State(app): State<App>) -> Result<Answer<Workflows>, Problem> {
    Ok(Answer(app.engine.workflows().await?))
}

/// List queues: what is due and held in each, and who serves it.
#[utoipa::path(
    get,
    path = "/v1/queues",
    operation_id = "list_queues",
    tag = "fleet",
    responses((status = 200, description = "All of them.", body = Slice<QueueInfo>))
)]
async fn queues(State(app): State<App>) -> Result<Answer<Slice<QueueInfo>>, Problem> {
    Ok(Answer(app.engine.queues().await?))
}

/// List workers: those that were heard of in the last day, live ones first, at most 200.
#[utoipa::path(
    get,
    path = "/v1/workers",
    operation_id = "list_workers",
    tag = "fleet",
    responses((status = 200, description = "The workers.", body = Slice<WorkerInfo>))
)]
async fn workers(State(app): State<App>) -> Result<Answer<Slice<WorkerInfo>>, Problem> {
    Ok(Answer(app.engine.workers().await?))
}
