//! `/healthz`: the process answers; it asks nobody, so that an outage of the database does not have servers restarted.
//! `/readyz`: this server can do its work now: the database answers, its schema is current, and we were not told to stop.

use std::time::Duration;

use axum::{Json as Answer, extract::State, http::StatusCode};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::App;

/// The database has to answer within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// Does the process answer?
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "get_health",
    tag = "health",
    security(()),
    responses((status = 200, description = "It does. The database is not asked.", body = Value))
)]
async fn healthz() -> Answer<Value> {
    Answer(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

/// Can this server do its work now?
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "get_readiness",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "It can.", body = Value),
        (status = 503, description = "It can't; `checks` says why.", body = Value),
    )
)]
async fn readyz(State(app): State<App>) -> (StatusCode, Answer<Value>) {
    let draining = app.draining.is_cancelled();
    let (database, migrations) = match tokio::time::timeout(ANSWER_WITHIN, app.engine.missing_migrations()).await {
        Ok(Ok(missing)) if missing.is_empty() => ("ok", "ok"),
        Ok(Ok(_)) => ("ok", "behind: run `backstitch migrate`"),
        Ok(Err(error)) => (error.code(), "unknown"),
        Err(_) => ("no answer within 2 s", "unknown"),
    };
    let ready = !draining && database == "ok" && migrations == "ok";
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let checks = json!({"database": database, "migrations": migrations, "draining": draining});
    (status, Answer(json!({"status": if ready { "ready" } else { "not ready" }, "checks": checks})))
}
