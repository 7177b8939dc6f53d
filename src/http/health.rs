//! `/healthz`: the process answers, and the worker in it, if it has one, is not stuck: its lanes have an answer, or the database
//! has said that it is away. The database is not asked, so that its outage restarts no servers.
//! `/readyz`: this process can do its work now: the database answers and takes commits, its schema is current, it is not stopping, and the
//! worker in it, if it has one, has sent a heartbeat lately. Each check says what is wrong.

use std::time::Duration;

use axum::{Json as Answer, extract::State, http::StatusCode};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::App;
use crate::engine::Error;

/// The database has to answer within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The worker in this process.
#[derive(Clone, Debug)]
pub(super) struct OwnWorker {
    pub(super) name: String,
    /// Longer than that without a word from any of its lanes, and it is not at work.
    pub(super) silent: Duration,
}

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
    responses(
        (status = 200, description = "It does. The database is not asked.", body = Value),
        (status = 503, description = "Its worker makes no progress.", body = Value),
    )
)]
async fn healthz(State(app): State<App>) -> (StatusCode, Answer<Value>) {
    let version = env!("CARGO_PKG_VERSION");
    match app.engine.worker_stalled_for() {
        None => (StatusCode::OK, Answer(json!({"status": "ok", "version": version}))),
        Some(silent) => {
            let worker = format!("it has made no progress for {} s", silent.as_secs());
            (
                StatusCode::SERVICE_UNAVAILABLE,
                Answer(json!({"status": "stalled", "worker": worker, "version": version})),
            )
        }
    }
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
    let checked = tokio::time::timeout(ANSWER_WITHIN, check(&app)).await;
    let [database, migrations, worker] =
        checked.unwrap_or_else(|_| ["no answer within 3 s", UNKNOWN, UNKNOWN].map(str::to_owned));
    let mut checks = json!({"database": database, "migrations": migrations, "draining": draining});
    let mut ready = !draining && database == OK && migrations == OK;
    if app.worker.is_some() {
        ready &= worker == OK;
        checks["worker"] = worker.into();
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Answer(json!({"status": if ready { "ready" } else { "not ready" }, "checks": checks})))
}

const OK: &str = "ok";
const UNKNOWN: &str = "unknown";

/// Checks database, migrations and worker: each is ok, or the text says what is wrong.
async fn check(app: &App) -> [String; 3] {
    let migrations = match is_current(app).await {
        Ok(true) => match app.engine.probe_write().await {
            Ok(()) => OK,
            Err(code) => return [code, OK, UNKNOWN].map(str::to_owned),
        },
        Ok(false) => return [OK, "behind: run `backstitch migrate`", UNKNOWN].map(str::to_owned),
        Err(error) => return [error.code(), UNKNOWN, UNKNOWN].map(str::to_owned),
    };
    [OK.to_owned(), migrations.to_owned(), own_worker(app).await]
}

/// Whether the engine's schema and the plugins' are.
async fn is_current(app: &App) -> Result<bool, Error> {
    if !app.engine.missing_migrations().await?.is_empty() {
        return Ok(false);
    }
    for plugin in app.plugins.iter() {
        if !plugin.is_migrated().await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn own_worker(app: &App) -> String {
    let Some(worker) = &app.worker else { return OK.to_owned() };
    match app.engine.worker_silent_for(&worker.name).await {
        Ok(Some(silent)) if silent <= worker.silent => OK.to_owned(),
        Ok(Some(silent)) => format!("its lanes have not been heard of for {} s", silent.as_secs()),
        Ok(None) => "it has no lane".to_owned(),
        Err(error) => error.code().to_owned(),
    }
}
