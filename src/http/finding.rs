//! `/v1/attention`, `/v1/runs/{id}/why`, `/v1/audit`, and who is there: `/v1/workflows`, `/v1/queues`, `/v1/workers`.

use axum::{
    Json as Answer, Router,
    extract::{Path, State},
    routing::get,
};

use super::{
    App,
    extract::{Params, run_id},
    problem::Problem,
};
use crate::engine::{
    AttentionFilter, AttentionGroup, AuditEntry, AuditFilter, Page, QueueView, Why, WorkerView, Workflows,
};

/// The routes that only find and show.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/attention", get(attention))
        .route("/v1/runs/{id}/why", get(why))
        .route("/v1/audit", get(audit))
        .route("/v1/workflows", get(workflows))
        .route("/v1/queues", get(queues))
        .route("/v1/workers", get(workers))
}

async fn attention(
    State(app): State<App>,
    Params(filter): Params<AttentionFilter>,
) -> Result<Answer<Page<AttentionGroup>>, Problem> {
    Ok(Answer(app.engine.attention(&filter).await?))
}

async fn why(State(app): State<App>, Path(id): Path<String>) -> Result<Answer<Why>, Problem> {
    Ok(Answer(app.engine.why(run_id(&id)?).await?))
}

async fn audit(
    State(app): State<App>,
    Params(filter): Params<AuditFilter>,
) -> Result<Answer<Page<AuditEntry>>, Problem> {
    Ok(Answer(app.engine.audit(&filter).await?))
}

async fn workflows(State(app): State<App>) -> Result<Answer<Workflows>, Problem> {
    Ok(Answer(app.engine.workflows().await?))
}

async fn queues(State(app): State<App>) -> Result<Answer<Page<QueueView>>, Problem> {
    Ok(Answer(app.engine.queues().await?))
}

async fn workers(State(app): State<App>) -> Result<Answer<Page<WorkerView>>, Problem> {
    Ok(Answer(app.engine.workers().await?))
}
