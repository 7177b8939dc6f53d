//! `/v1/reconciliation` and `/v1/differences`: what our books and the gateway's disagree about.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{State as Shop, problem};
use crate::{
    engine::Slice,
    http::{
        auth::Actor,
        extract::{OptionalJson, Params},
        problem::Problem,
    },
    orders::{
        DifferenceFilter, MendDifference, MendPlan,
        difference::{Difference, ReconciliationStatus},
        runs::ReconcileInput,
    },
};

/// The routes of these nouns.
pub(super) fn routes() -> OpenApiRouter<Shop> {
    OpenApiRouter::new().routes(routes!(show, start)).routes(routes!(list)).routes(routes!(read)).routes(routes!(mend))
}

/// Which comparison.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
struct WhichParams {
    /// Its run; the latest unless said.
    run_id: Option<Uuid>,
}

/// A comparison that was started.
#[derive(Debug, Serialize, ToSchema)]
struct ReconcileStarted {
    /// Its run.
    run_id: Uuid,
}

/// Read a comparison with the gateway.
///
/// How far it is, or what it found; and how many differences are open.
#[utoipa::path(
    get,
    path = "/v1/reconciliation",
    operation_id = "get_reconciliation",
    tag = "books",
    params(WhichParams),
    responses((status = 200, description = "The comparison.", body = ReconciliationStatus)),
    extensions(("x-problems" = json!(["unknown_run"])))
)]
async fn show(
    State(shop): State<Shop>,
    Params(which): Params<WhichParams>,
) -> Result<Answer<ReconciliationStatus>, Problem> {
    let comparison = shop.orders.reconciliation(which.run_id).await?;
    Ok(Answer(ReconciliationStatus { comparison, open: shop.orders.open_differences().await? }))
}

/// Compare the books with the gateway's now.
///
/// Beside the scheduled comparisons, every 15 minutes.
#[utoipa::path(
    post,
    path = "/v1/reconciliation",
    operation_id = "start_reconciliation",
    tag = "books",
    responses((status = 202, description = "Started.", body = ReconcileStarted,
        headers(("location" = String, description = "The run's address.")))),
    extensions(("x-problems" = json!(["unknown_workflow"])))
)]
async fn start(State(shop): State<Shop>, Actor(actor): Actor) -> Result<Response, Problem> {
    let run_id = shop.orders.acting_as(&actor).reconcile(&ReconcileInput::default()).await?;
    let location = [(header::LOCATION, format!("/v1/runs/{run_id}"))];
    Ok((StatusCode::ACCEPTED, location, Answer(ReconcileStarted { run_id })).into_response())
}

/// List differences, the latest first.
#[utoipa::path(
    get,
    path = "/v1/differences",
    operation_id = "list_differences",
    tag = "books",
    params(DifferenceFilter),
    responses((status = 200, description = "A page.", body = Slice<Difference>)),
    extensions(("x-problems" = json!(["bad_cursor"])))
)]
async fn list(
    State(shop): State<Shop>,
    Params(filter): Params<DifferenceFilter>,
) -> Result<Answer<Slice<Difference>>, Problem> {
    Ok(Answer(shop.orders.differences(&filter).await?))
}

/// A difference's id in a path. Whatever is no id is an id that no difference has.
pub(super) fn difference_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::parse_str(text).map_err(|_| problem::new("unknown_difference", format!("there is no difference {text}")))
}

/// Read a difference.
#[utoipa::path(
    get,
    path = "/v1/differences/{id}",
    operation_id = "get_difference",
    tag = "books",
    params(("id" = Uuid, Path, description = "The difference.")),
    responses((status = 200, description = "The difference.", body = Difference)),
    extensions(("x-problems" = json!(["unknown_difference"])))
)]
async fn read(State(shop): State<Shop>, Path(id): Path<String>) -> Result<Answer<Difference>, Problem> {
    Ok(Answer(shop.orders.difference(difference_id(&id)?).await?))
}

/// Mend a difference.
///
/// A run of its own looks at both sides again, and does what the plan says where they still differ so.
#[utoipa::path(
    post,
    path = "/v1/differences/{id}/mend",
    operation_id = "mend_difference",
    tag = "books",
    params(("id" = Uuid, Path, description = "The difference.")),
    request_body = Option<MendDifference>,
    responses(
        (status = 202, description = "A run mends it.", body = MendPlan),
        (status = 200, description = "A dry run: nothing was done.", body = MendPlan),
    ),
    extensions(("x-problems" = json!([
        "unknown_difference", "difference_not_open", "difference_being_mended", "reason_required", "unknown_workflow"
    ])))
)]
async fn mend(
    State(shop): State<Shop>,
    Actor(actor): Actor,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson<MendDifference>,
) -> Result<(StatusCode, Answer<MendPlan>), Problem> {
    let request = body.unwrap_or_default();
    let plan = shop.orders.acting_as(&actor).mend_difference(difference_id(&id)?, &request).await?;
    Ok((if plan.dry_run { StatusCode::OK } else { StatusCode::ACCEPTED }, Answer(plan)))
}
