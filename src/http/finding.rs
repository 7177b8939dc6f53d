//! `/v1/attention`, `/v1/runs/{id}/why`, `/v1/audit`, and who is there: `/v1/workflows`, `/v1/queues`, `/v1/workers`.

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
    AttentionFilter, AttentionGroup, AuditEntry, AuditFilter, Page, QueueView, Why, WorkerView, Workflows,
};

/// The routes that only find and show.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(attention))
        .routes(routes!(why))
        .routes(routes!(audit))
        .routes(routes!(workflows))
        .routes(routes!(queues))
        .routes(routes!(workers))
}

/// List what needs an operator, in groups.
///
/// Runs that need attention for the same reason are one group; its `fingerprint` finds them in `GET /v1/runs`.
#[utoipa::path(
    get,
    path = "/v1/attention",
    operation_id = "list_attention",
    tag = "attention",
    params(AttentionFilter),
    responses((status = 200, description = "A page of groups.", body = Page<AttentionGroup>)),
    extensions(("x-problems" = json!(["bad_cursor"])))
)]
async fn attention(
    State(app): State<App>,
    Params(filter): Params<AttentionFilter>,
) -> Result<Answer<Page<AttentionGroup>>, Problem> {
    Ok(Answer(app.engine.attention(&filter).await?))
}

/// Say why a run stands where it stands.
///
/// What it waits for, since when, what comes next, and who can move it.
#[utoipa::path(
    get,
    path = "/v1/runs/{id}/why",
    operation_id = "explain_run",
    tag = "attention",
    params(("id" = Uuid, Path, description = "The run.")),
    responses((status = 200, description = "The answer.", body = Why)),
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
    responses((status = 200, description = "A page of entries.", body = Page<AuditEntry>)),
    extensions(("x-problems" = json!(["bad_cursor"])))
)]
async fn audit(
    State(app): State<App>,
    Params(filter): Params<AuditFilter>,
) -> Result<Answer<Page<AuditEntry>>, Problem> {
    Ok(Answer(app.engine.audit(&filter).await?))
}

/// List the workflows that were ever registered, and the activities that this server knows.
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

/// List the queues, with what is due and who serves them.
#[utoipa::path(
    get,
    path = "/v1/queues",
    operation_id = "list_queues",
    tag = "fleet",
    responses((status = 200, description = "All of them.", body = Page<QueueView>))
)]
async fn queues(State(app): State<App>) -> Result<Answer<Page<QueueView>>, Problem> {
    Ok(Answer(app.engine.queues().await?))
}

/// List the workers and their lanes.
#[utoipa::path(
    get,
    path = "/v1/workers",
    operation_id = "list_workers",
    tag = "fleet",
    responses((status = 200, description = "All of them.", body = Page<WorkerView>))
)]
async fn workers(State(app): State<App>) -> Result<Answer<Page<WorkerView>>, Problem> {
    Ok(Answer(app.engine.workers().await?))
}
