//! `backstitch serve`: the API in one process, by default with a worker.
//!
//! It starts without its database: `/healthz` answers, `/readyz` says what is missing, and requests are told
//! `database_unavailable` until it comes. It never changes the schema: `backstitch migrate` does.

use anyhow::Context;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::output::say;
use crate::{
    config::{DatabaseArgs, GatewayArgs, ServeArgs, WorkArgs},
    engine::{Engine, Registry},
    http::{self, App},
    orders::{Orders, ShopSettings},
};

/// Connections that requests share.
const CONNECTIONS: u32 = 20;

/// What to serve, from where.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    work: WorkArgs,
    /// Serve only; runs are left to workers elsewhere
    #[arg(long)]
    no_worker: bool,
}

/// Serves until told to stop.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let engine =
        Engine::new(args.database.pool(CONNECTIONS)?, Registry::new()).with_max_payload(args.serve.max_payload.0);
    let listener =
        TcpListener::bind(args.serve.listen).await.with_context(|| format!("can't listen on {}", args.serve.listen))?;
    say(&format!("ready: http://{}", listener.local_addr()?));
    let stop = stop_signal()?;
    let app = App::new(engine, args.serve.max_payload.0);
    http::serve(listener, app, stop.cancelled_owned()).await.context("the server failed")
}

/// Cancelled at the first SIGTERM or Ctrl-C; the second ends the process at once.
pub fn stop_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let told = token.clone();
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for Ctrl-C")?;
    tokio::spawn(async move {
        for again in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if again {
                std::process::exit(1);
            }
            tracing::info!("told to stop; once more ends it at once");
            told.cancel();
        }
    });
    Ok(token)
}
