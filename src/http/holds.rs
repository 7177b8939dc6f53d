//! `/v1/holds`: what is held back, by workflow, activity or queue.

use axum::{
    Json as Answer, Router,
    extract::{Path, State},
    routing::{get, put},
};
use serde::Serialize;

use super::{
    App,
    auth::Caller,
    extract::{Json, OptionalJson},
    problem::Problem,
    wire::Reason,
};
use crate::engine::{Hold, HoldKind};

/// The routes of this noun.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/holds", get(list)).route("/v1/holds/{kind}/{name}", put(hold).delete(release))
}

/// All there is: holds are few.
#[derive(Debug, Serialize)]
struct Holds {
    items: Vec<Hold>,
    next_cursor: Option<String>,
}

async fn list(State(app): State<App>) -> Result<Answer<Holds>, Problem> {
    Ok(Answer(Holds { items: app.engine.holds().await?, next_cursor: None }))
}

/// Where it is held already, that hold stays as it is: a repeated request is answered with the first one's.
async fn hold(
    State(app): State<App>,
    Path((kind, name)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<Reason>,
) -> Result<Answer<Hold>, Problem> {
    Ok(Answer(app.engine.hold(read_kind(&kind)?, &name, &body.operator(caller.actor)?).await?))
}

async fn release(
    State(app): State<App>,
    Path((kind, name)): Path<(String, String)>,
    caller: Caller,
    OptionalJson(body): OptionalJson<Reason>,
) -> Result<Answer<Hold>, Problem> {
    let by = body.unwrap_or_default().operator(caller.actor)?;
    Ok(Answer(app.engine.release(read_kind(&kind)?, &name, &by).await?))
}

fn read_kind(word: &str) -> Result<HoldKind, Problem> {
    let unheard = || Problem::invalid(format!("{word:?} can't be held: a workflow, an activity or a queue can"));
    HoldKind::from_word(word).ok_or_else(unheard)
}
