//! `/v1/keys`: make, list and revoke API keys. For admins.

use axum::{
    Json as Answer, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use serde::Deserialize;

use super::{
    App,
    auth::{Caller, Role},
    extract::Json,
    problem::Problem,
};
use crate::engine::{ApiKey, NewKey, Page};

/// The routes of this noun.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/keys", get(list).post(create)).route("/v1/keys/{id}", delete(revoke))
}

/// `POST /v1/keys`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    /// Who or what is to have it.
    name: String,
    /// What it may.
    role: Role,
    /// For how long, as `90d`; until it is revoked unless said.
    expires_in: Option<String>,
}

/// 201, with the token: nobody can be shown it again, so that no cache may keep it.
async fn create(State(app): State<App>, caller: Caller, Json(body): Json<KeyBody>) -> Result<Response, Problem> {
    let expires_in = body.expires_in.as_deref().map(humantime::parse_duration).transpose();
    let expires_in = expires_in.map_err(|error| Problem::invalid(format!("expires_in: {error}; write it as 90d")))?;
    let new = NewKey { name: body.name, role: body.role, expires_in };
    let created = app.engine.create_key(&new, &caller.actor).await?;
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Answer(created)).into_response())
}

/// There are few: one page has them all.
async fn list(State(app): State<App>) -> Result<Answer<Page<ApiKey>>, Problem> {
    Ok(Answer(Page { items: app.engine.keys().await?, next_cursor: None }))
}

/// 200 with the key, revoked now or before.
async fn revoke(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer<ApiKey>, Problem> {
    Ok(Answer(app.engine.revoke_key(&id, &caller.actor).await?))
}
