//! `/healthz`: the process answers; it asks nobody, so that an outage of the database does not have servers restarted.
//! `/readyz`: this server can do its work now: the database answers, its schema is current, and we were not told to stop.

use std::time::Duration;

use axum::{Json as Answer, Router, extract::State, http::StatusCode, routing::get};
use serde_json::{Value, json};

use super::App;

/// The database has to answer within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The routes.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

async fn healthz() -> Answer<Value> {
    Answer(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

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
