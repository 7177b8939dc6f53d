//! Runs the workflow of src/transfer.rs twice on an embedded Postgres: to an open account, and to a closed one.
//!
//! `cargo run --example transfer`

use std::time::Duration;

use backstitch::{
    embedded::Embedded,
    engine::{Engine, Registry, StartRun, WorkerConfig},
    transfer::{self, Bank, MoveMoney, Transfer},
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = Embedded::temporary().await?;
    let pool = PgPool::connect(&server.url()).await?;
    let bank = Bank::default();
    let engine = Engine::new(pool.clone(), transfer::register(Registry::new(), &bank));
    engine.migrate().await?;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(engine.clone().work(WorkerConfig::default(), stop.clone().cancelled_owned()));

    for to in ["bob", "closed"] {
        let id = format!("transfer-to-{to}");
        let transfer = Transfer { id: id.clone(), from: "alice".into(), to: to.into(), cents: 500 };
        let run = engine.start(StartRun::new::<MoveMoney>(&transfer)?.key(id)).await?.run;
        let result = engine.result(run, Duration::from_secs(30)).await?;
        let why = result.failure.map_or_else(String::new, |failure| format!(", because {failure}"));
        println!("{to}: {}{why}; alice has {}", result.status, bank.balance("alice"));
    }

    stop.cancel();
    worker.await??;
    pool.close().await;
    server.stop().await;
    Ok(())
}
