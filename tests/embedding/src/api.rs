//! The service's own API: order a tenant, tell that its name server answers, see how it stands.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use backstitch::engine::{Engine, StartRun, to_json};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    activities::Tenant,
    workflows::{DnsAnswer, Provision},
};

#[derive(Clone)]
struct App {
    pool: PgPool,
    engine: Engine,
}

#[derive(Debug, Serialize, Deserialize, sqlx::FromRow)]
struct Order {
    id: Uuid,
    tenant: String,
    state: String,
    run_id: Uuid,
}

type Refused = (StatusCode, String);

pub fn routes(pool: PgPool, engine: Engine) -> Router {
    Router::new()
        .route("/tenants", post(order))
        .route("/tenants/{name}", get(show))
        .route("/tenants/{name}/dns", post(answer))
        .with_state(App { pool, engine })
}

/// The order and its run: both, or neither.
async fn order(State(app): State<App>, Json(tenant): Json<Tenant>) -> Result<(StatusCode, Json<Order>), Refused> {
    let mut tx = app.engine.begin().await.map_err(failed)?;
    let request = StartRun::new::<Provision>(&tenant).map_err(failed)?.key(&tenant.name);
    let started = app.engine.start_in(&mut tx, request).await.map_err(failed)?;
    sqlx::query("INSERT INTO shop.orders (id, tenant, run_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(Uuid::now_v7())
        .bind(&tenant.name)
        .bind(started.run)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    app.engine.hint(); // wakes an idle worker now, not at its next poll
    Ok((StatusCode::CREATED, Json(read(&app, &tenant.name).await?)))
}

async fn show(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Order>, Refused> {
    Ok(Json(read(&app, &name).await?))
}

/// The customer's name server answers: the run goes on.
async fn answer(
    State(app): State<App>,
    Path(name): Path<String>,
    Json(answer): Json<DnsAnswer>,
) -> Result<StatusCode, Refused> {
    let run = read(&app, &name).await?.run_id;
    app.engine.signal(run, "dns", Some(to_json(&answer).map_err(failed)?), Some("dns")).await.map_err(failed)?;
    Ok(StatusCode::ACCEPTED)
}

async fn read(app: &App, tenant: &str) -> Result<Order, Refused> {
    let order = sqlx::query_as("SELECT id, tenant, state, run_id FROM shop.orders WHERE tenant = $1").bind(tenant);
    order.fetch_optional(&app.pool).await.map_err(failed)?.ok_or((StatusCode::NOT_FOUND, "no such tenant".to_owned()))
}

fn failed(error: impl std::error::Error) -> Refused {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
