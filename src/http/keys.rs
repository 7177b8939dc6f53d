//! `/v1/keys`: make, list and revoke API keys. For admins.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App,
    auth::{Caller, Role},
    extract::Json,
    problem::Problem,
};
use crate::engine::{ApiKey, CreatedKey, NewKey, Slice};

/// The routes of this noun.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// `POST /v1/keys`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateKey)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    /// Who or what is to have it: 1 to 100 visible characters, no space around them.
    #[schema(min_length = 1, max_length = 100, pattern = "^[!-~]( ?[!-~])*$", example = "till 7")]
    name: String,
    /// What it may.
    role: Role,
    /// For how long, as `90d`; until it is revoked unless said.
    #[schema(pattern = "^[1-9][0-9]{0,2}d$", example = "90d")]
    expires_in: Option<String>,
}

/// Make an API key.
///
/// The answer has its token, which is shown to nobody again: no cache may keep it.
#[utoipa::path(
    post,
    path = "/v1/keys",
    operation_id = "create_key",
    tag = "keys",
    request_body = KeyBody,
    responses((
        status = 201, description = "Made.", body = CreatedKey,
        links(("revoke" = (operation_id = "revoke_key", parameters(("id" = "$response.body#/id")))))
    ))
)]
async fn create(State(app): State<App>, caller: Caller, Json(body): Json<KeyBody>) -> Result<Response, Problem> {
    let expires_in = body.expires_in.as_deref().map(humantime::parse_duration).transpose();
    let expires_in = expires_in.map_err(|error| Problem::invalid(format!("expires_in: {error}; write it as 90d")))?;
    let new = NewKey { name: body.name, role: body.role, expires_in };
    let created = app.engine.create_key(&new, &caller.actor).await?;
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Answer(created)).into_response())
}

/// List the API keys, the newest first.
///
/// There are few: one page has them all, a thousand at most.
#[utoipa::path(
    get,
    path = "/v1/keys",
    operation_id = "list_keys",
    tag = "keys",
    responses((status = 200, description = "The keys, without their secrets.", body = Slice<ApiKey>))
)]
async fn list(State(app): State<App>) -> Result<Answer<Slice<ApiKey>>, Problem> {
    Ok(Answer(Slice::whole(app.engine.keys().await?)))
}

/// Revoke an API key.
///
/// For good, and safe to repeat. Other servers notice within five seconds.
#[utoipa::path(
    delete,
    path = "/v1/keys/{id}",
    operation_id = "revoke_key",
    tag = "keys",
    params(("id" = String, Path, description = "The key's id: the part of its token between `bsk_` and the next `_`.")),
    responses((status = 200, description = "The key, revoked now or before.", body = ApiKey)),
    extensions(("x-problems" = json!(["unknown_key"])))
)]
async fn revoke(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer<ApiKey>, Problem> {
    Ok(Answer(app.engine.revoke_key(&id, &caller.actor).await?))
}
