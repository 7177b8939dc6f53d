//! `/v1/retention`: how long ended runs are kept, and what would go.

use std::time::Duration;

use axum::{
    Json as Answer,
    extract::{Path, State},
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{App, auth::Caller, extract::Json, problem::Problem, wire::operator};
use crate::engine::{Keeping, Retention, Slice};

/// The routes of this noun.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(keeping)).routes(routes!(set))
}

/// `PUT /v1/retention/{workflow}`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SetRetention)]
#[serde(deny_unknown_fields)]
struct RetentionBody {
    /// How long, as `90d`; null: as long as all others.
    keep: Option<String>,
    /// For the audit.
    #[schema(max_length = 2000)]
    reason: Option<String>,
    /// Only check.
    #[serde(default)]
    dry_run: bool,
}

/// List how long ended runs are kept.
#[utoipa::path(
    get,
    path = "/v1/retention",
    operation_id = "list_retention",
    tag = "retention",
    responses((status = 200, description = "The server's default first, then each workflow that has its own.", body = Slice<Retention>))
)]
async fn list(State(app): State<App>) -> Result<Answer<Slice<Retention>>, Problem> {
    Ok(Answer(Slice::whole(app.engine.retention().await?)))
}

/// Count what has been kept long enough, partition by partition.
///
/// It looks at every run: slow where there are many.
#[utoipa::path(
    get,
    path = "/v1/retention/plan",
    operation_id = "plan_retention",
    tag = "retention",
    responses((status = 200, description = "What would go and what would stay.", body = Keeping))
)]
async fn keeping(State(app): State<App>) -> Result<Answer<Keeping>, Problem> {
    Ok(Answer(app.engine.keeping().await?))
}

/// Set how long the ended runs of a workflow are kept.
#[utoipa::path(
    put,
    path = "/v1/retention/{workflow}",
    operation_id = "set_retention",
    tag = "retention",
    params(("workflow" = String, Path, description = "The workflow.")),
    request_body = RetentionBody,
    responses((status = 200, description = "All that is set.", body = Slice<Retention>)),
    extensions(("x-problems" = json!(["unknown_workflow"])))
)]
async fn set(
    State(app): State<App>,
    Path(workflow): Path<String>,
    caller: Caller,
    Json(body): Json<RetentionBody>,
) -> Result<Answer<Slice<Retention>>, Problem> {
    let keep = body.keep.as_deref().map(duration).transpose()?;
    let by = operator(caller.actor, body.reason.as_deref(), body.dry_run)?;
    Ok(Answer(Slice::whole(app.engine.set_retention(&workflow, keep, &by).await?)))
}

fn duration(text: &str) -> Result<Duration, Problem> {
    humantime::parse_duration(text).map_err(|error| Problem::invalid(format!("keep: {error}; write it as 90d or 12h")))
}
