//! The service: its own API under `/tenants`, Backstitch's API and dashboard under `/ops`, a worker, all in one process.

mod activities;
mod api;
mod provider;
mod workflows;

use std::time::Duration;

use activities::Create;
use backstitch::{
    engine::{Engine, Registry, ScheduleSpec, WorkerConfig},
    http,
};
use provider::{Certificate, Database, MailDomain, Provider};
use sqlx::{PgPool, migrate::Migrator};

static MIGRATIONS: Migrator = sqlx::migrate!();

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [_, database, address, delay] = &std::env::args().collect::<Vec<_>>()[..] else {
        return Err("usage: tenants DATABASE_URL ADDRESS DELAY_MS".into());
    };
    let pool = PgPool::connect(database).await?;
    MIGRATIONS.run(&pool).await?;

    let provider = Provider::new(pool.clone(), Duration::from_millis(delay.parse()?));
    let engine = Engine::new(pool.clone(), registry(&provider));
    engine.migrate().await?;
    let nightly = ScheduleSpec::new::<workflows::NightlyAudit>("0 3 * * *", &())?;
    engine.ensure_schedule("nightly-audit", &nightly).await?;

    let working = tokio::spawn(engine.clone().work(worker(), shutdown()));

    let router = api::routes(pool, engine.clone()).nest("/ops", http::router(http::App::new(engine)));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("ready: http://{}", listener.local_addr()?);
    axum::serve(listener, router).with_graceful_shutdown(shutdown()).await?;
    working.await??;
    Ok(())
}

fn registry(provider: &Provider) -> Registry {
    Registry::new()
        .workflow(workflows::Provision)
        .workflow(workflows::NightlyAudit)
        .activity(Create::<Database>::new(provider.clone()))
        .activity(Create::<MailDomain>::new(provider.clone()))
        .activity(Create::<Certificate>::new(provider.clone()))
        .activity(activities::SetState)
        .activity(activities::CountTenants)
}

/// A killed instance is taken over after two seconds of silence.
fn worker() -> WorkerConfig {
    WorkerConfig { takeover_after: Duration::from_secs(2), ..WorkerConfig::default() }
}

async fn shutdown() {
    let _ = tokio::signal::ctrl_c().await;
}
