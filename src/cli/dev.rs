//! `backstitch dev`: everything in one process: an embedded Postgres that keeps its data, migrations, API, worker and
//! gateway simulator.
//!
//! For local development only. With `DATABASE_URL`, that database is used instead of an embedded one.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context;

use super::{
    output::{say, tell},
    wiring,
};
use crate::{
    config::{self, GatewayArgs, SchemaArgs, ServeArgs, WorkArgs},
    embedded::{self, Embedded},
    gateway_sim, http,
    notices::NoticeSettings,
    orders::ShopSettings,
    payments::Secret,
    telemetry,
};

const CONNECTIONS: u32 = 20;

/// The simulator's default signing secret. It protects nothing: simulator and server are one process.
const DEV_SECRET: &str = "whsec_dev";

/// Arguments of `dev`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    schema: SchemaArgs,
    /// Data directory of the embedded Postgres
    #[arg(long, value_name = "DIR", default_value = ".backstitch")]
    data_dir: PathBuf,
    /// Listen address of the gateway simulator
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    gateway_listen: SocketAddr,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(flatten)]
    shop: ShopSettings,
    #[command(flatten)]
    notices: NoticeSettings,
}

/// Serves until a stop signal.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let stop = wiring::stop_signal()?;
    let (postgres, url) = match embedded::url_from_environment() {
        Some(url) => (None, url),
        None => {
            let server = Embedded::start(&args.data_dir).await?;
            let url = server.url();
            tell(format!("database: {url}"));
            (Some(server), url)
        }
    };
    let served = serve(args, &url, stop).await;
    if let Some(server) = postgres {
        server.stop().await;
    }
    served
}

async fn serve(args: Args, url: &str, stop: tokio_util::sync::CancellationToken) -> anyhow::Result<()> {
    let listener = wiring::listen(args.serve.listen).await?;
    let address = listener.local_addr()?;
    let sim_listener = wiring::listen(args.gateway_listen).await?;
    let sim_address = sim_listener.local_addr()?;
    let secret = args.gateway.webhook_secret.clone().unwrap_or_else(|| Secret::new(DEV_SECRET));
    // The database keeps its orders, so the simulator has to know their payments.
    std::fs::create_dir_all(&args.data_dir).with_context(|| format!("can't create {}", args.data_dir.display()))?;
    let simulator = gateway_sim::Config {
        ledger: Some(args.data_dir.join("gateway.jsonl")),
        webhook_url: Some(format!("http://{address}/v1/webhooks/stripe")),
        webhook_secret: secret.clone(),
        ..gateway_sim::Config::default()
    };
    let gateway =
        GatewayArgs { gateway_url: format!("http://{sim_address}"), webhook_secret: Some(secret), ..args.gateway };
    let recorder = telemetry::record()?;
    let orders = wiring::shop(
        config::pool(url, CONNECTIONS)?,
        &args.schema,
        args.shop,
        &args.notices,
        gateway,
        wiring::Limits { max_payload: args.serve.max_payload.0, retention: args.work.retention },
        Some(&args.serve),
    )?;
    let engine = orders.engine().clone();
    orders.migrate().await.context("the schema could not be brought up to date")?;
    wiring::require_keys(&engine, &args.serve).await?;

    say(&format!("ready: http://{address}"))?;
    tell(format!("gateway simulator: http://{sim_address} (what it did: /sim/ledger)"));
    let stopping = |result: anyhow::Result<()>| result.inspect_err(|_| stop.cancel());
    let app = wiring::api(orders.clone(), recorder, &args.serve, Some(&args.work));
    let api = async {
        stopping(http::serve(listener, app, stop.clone().cancelled_owned()).await.context("the server failed"))
    };
    let work = async { stopping(wiring::work(engine.clone(), args.work, stop.clone()).await) };
    let topics = async { stopping(wiring::read_topics(&engine, &args.serve, &stop).await) };
    let schedules = wiring::ensure_schedules(&orders, &stop);
    let notices = orders.deliver_notices(stop.cancelled());
    let sim = async {
        // Stops last: a draining worker may still call it.
        let served = gateway_sim::serve(sim_listener, simulator, std::future::pending());
        served.await.context("the gateway simulator failed")
    };
    tokio::select! {
        (served, worked, read, (), ()) = async { tokio::join!(api, work, topics, schedules, notices) } => {
            served.and(worked).and(read)
        }
        failed = sim => failed,
    }
}
