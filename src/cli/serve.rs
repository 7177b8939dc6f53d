//! `backstitch serve`: the API in one process, by default with a worker.
//!
//! It starts without its database: `/healthz` answers, `/readyz` says what is missing, and requests fail with
//! `database_unavailable` until the database is there. It never changes the schema: `backstitch migrate` does. On an
//! address that other machines can reach, it needs API keys or `--no-auth` to start.

use anyhow::Context;

use super::{output::say, wiring};
use crate::{
    config::{DatabaseArgs, GatewayArgs, ServeArgs, WorkArgs},
    http,
    notices::NoticeSettings,
    orders::ShopSettings,
    telemetry,
};

/// Connections shared by requests and the worker's slow path.
const CONNECTIONS: u32 = 20;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(flatten)]
    shop: ShopSettings,
    #[command(flatten)]
    notices: NoticeSettings,
    /// Serve only; workers elsewhere execute the runs
    #[arg(long)]
    no_worker: bool,
}

/// Serves until a stop signal.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let pool = args.database.pool(CONNECTIONS)?;
    let recorder = telemetry::record()?;
    let orders = wiring::shop(
        pool,
        &args.database.schema,
        args.shop,
        &args.notices,
        args.gateway,
        wiring::Limits { max_payload: args.serve.max_payload.0, retention: args.work.retention },
        Some(&args.serve),
    )?;
    wiring::require_keys(orders.engine(), &args.serve).await?;
    let listener = wiring::listen(args.serve.listen).await?;
    let stop = wiring::stop_signal()?;
    say(&format!("ready: http://{}", listener.local_addr()?))?;
    let engine = orders.engine().clone();
    let app = wiring::api(orders.clone(), recorder, &args.serve, (!args.no_worker).then_some(&args.work));
    let api = async {
        let served = http::serve(listener, app, stop.clone().cancelled_owned()).await;
        stop.cancel();
        served.context("the server failed")
    };
    let worker = async {
        if args.no_worker {
            wiring::maintain(&engine, &stop).await;
            return Ok(());
        }
        // A process whose worker has failed must not look healthy.
        let notices = orders.deliver_notices(stop.cancelled());
        let working = wiring::work(engine.clone(), args.work, stop.clone());
        let working = async { working.await.inspect_err(|_| stop.cancel()) };
        tokio::join!(working, notices).0
    };
    let topics = async { wiring::read_topics(&engine, &args.serve, &stop).await.inspect_err(|_| stop.cancel()) };
    let schedules = wiring::ensure_schedules(&orders, &stop);
    let (served, worked, read, ()) = tokio::join!(api, worker, topics, schedules);
    served.and(worked).and(read)
}
