//! `backstitch worker`: a member of a worker pool. When stopped it drains; other workers take over unfinished runs.

use std::net::SocketAddr;

use anyhow::Context;

use super::{output::say, wiring};
use crate::{
    config::{ByteSize, DatabaseArgs, GatewayArgs, WorkArgs},
    http,
    notices::NoticeSettings,
    orders::ShopSettings,
    telemetry,
};

/// Connections in addition to those of its lanes.
const CONNECTIONS: u32 = 10;

/// Arguments of `worker`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(flatten)]
    shop: ShopSettings,
    #[command(flatten)]
    notices: NoticeSettings,
    /// Maximum size of a payload
    #[arg(long, value_name = "SIZE", env = "BACKSTITCH_MAX_PAYLOAD", default_value = "1MiB")]
    max_payload: ByteSize,
    /// Listen address for health and metrics; without it, none are served
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

/// Works until a stop signal.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let recorder = telemetry::record()?;
    let orders = wiring::shop(
        args.database.pool(CONNECTIONS)?,
        &args.database.schema,
        args.shop,
        &args.notices,
        args.gateway,
        wiring::Limits { max_payload: args.max_payload.0, retention: args.work.retention },
        None,
    )?;
    let stop = wiring::stop_signal()?;
    let engine = orders.engine().clone();
    let app = wiring::app(orders.clone(), recorder, Some(&args.work));
    let health = async {
        let Some(address) = args.listen else { return Ok(()) };
        let listener = wiring::listen(address).await?;
        say(&format!("ready: http://{}", listener.local_addr()?))?;
        let served = http::serve_health(listener, app, stop.clone().cancelled_owned()).await;
        served.context("the health server failed")
    };
    let worker = async {
        let worked = wiring::work(engine.clone(), args.work, stop.clone()).await;
        stop.cancel();
        worked
    };
    let health = async { health.await.inspect_err(|_| stop.cancel()) };
    let notices = orders.deliver_notices(stop.cancelled());
    let schedules = wiring::ensure_schedules(&orders, &stop);
    let (served, worked, (), ()) = tokio::join!(health, worker, schedules, notices);
    served.and(worked)
}
