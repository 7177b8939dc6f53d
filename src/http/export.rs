//! `/v1/runs/{id}/export`: a run with everything that is on record of it.

use axum::{
    Json as Answer,
    extract::{Path, State},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{App, extract::run_id, problem::Problem};
use crate::engine::RunExport;

/// The routes of this noun.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(export))
}

/// Take a run along: one document with everything that is on record of it.
#[utoipa::path(
    get,
    path = "/v1/runs/{id}/export",
    operation_id = "export_run",
    tag = "runs",
    params(("id" = Uuid, Path, description = "The run.")),
    responses((status = 200, description = "The document.", body = RunExport)),
    extensions(("x-problems" = json!(["unknown_run"])))
)]
async fn export(State(app): State<App>, Path(id): Path<String>) -> Result<Answer<RunExport>, Problem> {
    Ok(Answer(app.engine.export(run_id(&id)?).await?))
}
