//! `/v1/holds`: what is held back, by workflow, activity or queue.

use axum::{
    Json as Answer,
    extract::{Path, State},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{App, auth::Caller, extract::Json, problem::Problem, verb_bodies::ActingAs, wire::Reason};
use crate::engine::{Hold, HoldKind};

/// The routes of this noun.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(hold, release))
}

/// All there is: holds are few.
#[derive(Debug, Serialize, ToSchema)]
struct Holds {
    /// What is held back, oldest first.
    items: Vec<Hold>,
    /// None: this is all.
    next_cursor: Option<String>,
}

/// List what is held back.
#[utoipa::path(
    get,
    path = "/v1/holds",
    operation_id = "list_holds",
    tag = "holds",
    responses((status = 200, description = "Everything that is held back.", body = Holds))
)]
async fn list(State(app): State<App>) -> Result<Answer<Holds>, Problem> {
    Ok(Answer(Holds { items: app.engine.holds().await?, next_cursor: None }))
}

/// Hold something back.
///
/// Nothing more of it begins; what is under way ends. Where it is held already, that hold stays as it is.
#[utoipa::path(
    put,
    path = "/v1/holds/{kind}/{name}",
    operation_id = "hold",
    tag = "holds",
    params(
        ("kind" = HoldKind, Path, description = "What it is."),
        ("name" = String, Path, description = "Its name.", min_length = 1, max_length = 128),
    ),
    request_body = Reason,
    responses((status = 200, description = "It is held back.", body = Hold)),
    extensions(("x-problems" = json!(["reason_required", "unknown_workflow"])))
)]
async fn hold(
    State(app): State<App>,
    Path((kind, name)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<Reason>,
) -> Result<Answer<Hold>, Problem> {
    Ok(Answer(app.engine.hold(read_kind(&kind)?, &name, &body.operator(caller.actor)?).await?))
}

/// Let something go on.
#[utoipa::path(
    delete,
    path = "/v1/holds/{kind}/{name}",
    operation_id = "release",
    tag = "holds",
    params(
        ("kind" = HoldKind, Path, description = "What it is."),
        ("name" = String, Path, description = "Its name.", min_length = 1, max_length = 128),
    ),
    request_body = Option<Reason>,
    responses((status = 200, description = "It goes on: the hold that was on it.", body = Hold)),
    extensions(("x-problems" = json!(["unknown_hold"])))
)]
async fn release(
    State(app): State<App>,
    Path((kind, name)): Path<(String, String)>,
    ActingAs { by, .. }: ActingAs<Reason>,
) -> Result<Answer<Hold>, Problem> {
    Ok(Answer(app.engine.release(read_kind(&kind)?, &name, &by).await?))
}

fn read_kind(word: &str) -> Result<HoldKind, Problem> {
    let unheard = || Problem::invalid(format!("{word:?} can't be held: a workflow, an activity or a queue can"));
    word.parse().map_err(|_| unheard())
}
