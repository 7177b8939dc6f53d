//! Assembles a process: the shop on a database and a gateway, its worker, and their shutdown.
//!
//! Only this module knows all parts. `serve`, `worker` and `dev` differ in which of them they start.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use sqlx::PgPool;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "kafka")]
use crate::sinks::KafkaSink;
use crate::{
    activities::ShopDeps,
    config::{GatewayArgs, RateLimits, SchemaArgs, ServeArgs, WorkArgs},
    engine::{
        self, DEFAULT_MAX_PAYLOAD, DEFAULT_RETENTION, Engine, MaintenanceConfig, Observer, Registry, WorkerConfig,
    },
    http::App,
    notices::NoticeSettings,
    orders::{self, Notices, Orders, ShopSettings},
    payments::{FIRST_VENDOR, Secret, Vendor, VendorPool, Vendors},
    shop::Shop,
    sinks::{Stdout, WebhookSink},
    telemetry::Recorder,
    transfer, workflows,
};

/// How long to wait before the schedules are tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// How long at most.
const TRY_AT_LEAST_EVERY: Duration = Duration::from_secs(30);

/// How much, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The largest payload, in bytes.
    pub(super) max_payload: usize,
    /// How long ended runs are kept.
    pub(super) retention: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_payload: DEFAULT_MAX_PAYLOAD, retention: DEFAULT_RETENTION }
    }
}

/// The order service, on an engine that knows the shop's workflows.
pub(super) fn shop(
    pool: PgPool,
    schema: &SchemaArgs,
    settings: ShopSettings,
    notices: &NoticeSettings,
    gateway: GatewayArgs,
    limits: Limits,
    sinks: Option<&ServeArgs>,
) -> anyhow::Result<Orders> {
    orders::check_schema(&schema.name)?;
    let timeout = gateway.gateway_timeout;
    let vendors = VendorPool::new(vendors(gateway)?, timeout, Some(engine::current_traceparent))?;
    let vendors = Arc::new(vendors);
    let deps = ShopDeps::new(pool.clone(), vendors.clone());
    let registry = transfer::register(workflows::register(Registry::new(), &deps), &transfer::Bank::default());
    let engine = Engine::new(pool, registry).with_schema(&schema.name)?;
    let notices = Notices::open(notices)?;
    let engine = engine.with_max_payload(limits.max_payload).with_retention(limits.retention);
    let engine = engine.with_local_sink(notices.sink());
    let engine = match sinks {
        Some(args) => with_sinks(engine, args)?,
        None => engine,
    };
    Ok(Orders::new(engine, settings).with_vendors(&vendors).with_notices(notices))
}

/// With where the settings send events that leave.
fn with_sinks(mut engine: Engine, args: &ServeArgs) -> anyhow::Result<Engine> {
    if args.events_stdout {
        engine = engine.with_sink(Stdout);
    }
    if let (Some(url), Some(secret)) = (&args.events_url, &args.events_secret) {
        let sink = WebhookSink::new(url, secret.clone()).context("--events-url (BACKSTITCH_EVENTS_URL)")?;
        engine = engine.with_sink(sink);
    }
    #[cfg(feature = "kafka")]
    if let Some(brokers) = &args.kafka {
        engine = engine.with_sink(KafkaSink::new(brokers.clone(), args.kafka_topics.clone()));
    }
    Ok(engine)
}

/// The payment vendors of the settings; unless they name several, the one gateway.
fn vendors(gateway: GatewayArgs) -> anyhow::Result<Vec<Vendor>> {
    if let Some(text) = &gateway.vendors {
        return read_vendors(text);
    }
    let only = Vendor::stripe(FIRST_VENDOR, gateway.gateway_url, gateway.gateway_key);
    Ok(vec![Vendor { webhook_secrets: gateway.webhook_secret.into_iter().collect(), ..only }])
}

/// The vendors of a setting.
pub(super) fn read_vendors(text: &Secret) -> anyhow::Result<Vec<Vendor>> {
    let read = text.expose().parse::<Vendors>();
    Ok(read.map_err(|error| anyhow::anyhow!("--vendors (BACKSTITCH_VENDORS): {error}"))?.0)
}

/// The name of this process's worker.
pub(super) fn worker_name() -> String {
    let host = nix::unistd::gethostname().map_or_else(|_| "worker".into(), |name| name.to_string_lossy().into_owned());
    format!("{host}:{}", std::process::id())
}

/// The state of a process that serves its health alone, with metrics: `recorder` is older than the shop's engine. `worker`: it
/// works too.
pub(super) fn app(orders: Orders, recorder: Recorder, worker: Option<&WorkArgs>) -> App {
    with_worker(crate::shop::app(orders).with_metrics(recorder), worker)
}

/// The same for a process that serves the API.
pub(super) fn api(orders: Orders, recorder: Recorder, args: &ServeArgs, worker: Option<&WorkArgs>) -> App {
    let RateLimits { key, customer } = args.rate_limit;
    let engine = orders.engine().clone();
    let shop = match customer {
        Some(rate) => Shop::new(orders).with_customer_limit(rate),
        None => Shop::new(orders),
    };
    let app = App::new(engine).with_plugin(shop).with_metrics(recorder);
    let app = app.without_keys(args.no_auth).with_body_memory(args.body_memory.0);
    let app = app.with_inbox(args.inbox.clone().unwrap_or_default());
    let app = match key {
        Some(rate) => app.with_key_limit(rate),
        None => app,
    };
    with_worker(app, worker)
}

fn with_worker(app: App, worker: Option<&WorkArgs>) -> App {
    match worker {
        Some(worker) => app.with_worker(worker_name(), worker.takeover_after),
        None => app,
    }
}

/// Executes runs until stopped. Waits for a database that can't be reached or whose schema is behind.
#[cfg(feature = "otlp")]
pub(super) async fn work(engine: Engine, args: WorkArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let Some(traces) = crate::telemetry::Traces::from_environment()? else {
        return work_with(engine, args, stop, None).await;
    };
    let worked = work_with(engine, args, stop, Some(traces.observer())).await;
    traces.finish().await;
    worked
}

/// The same for a build without traces.
#[cfg(not(feature = "otlp"))]
pub(super) async fn work(engine: Engine, args: WorkArgs, stop: CancellationToken) -> anyhow::Result<()> {
    if std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some_and(|value| !value.is_empty()) {
        tracing::warn!("OTEL_EXPORTER_OTLP_ENDPOINT is set, but this binary was built without the feature `otlp`");
    }
    work_with(engine, args, stop, None).await
}

async fn work_with(
    engine: Engine,
    args: WorkArgs,
    stop: CancellationToken,
    observer: Option<Arc<dyn Observer>>,
) -> anyhow::Result<()> {
    let config = WorkerConfig {
        name: worker_name(),
        queues: args.queues,
        slots: args.slots,
        takeover_after: args.takeover_after,
        drain: args.drain,
        observer,
        ..WorkerConfig::default()
    };
    engine.work(config, stop.cancelled()).await.context("the worker failed")
}

/// Reads the topics of the sources of events until stopped, where there are any.
///
/// # Errors
/// Sources have topics, and no broker is named.
#[cfg(feature = "kafka")]
pub(super) async fn read_topics(engine: &Engine, args: &ServeArgs, stop: &CancellationToken) -> anyhow::Result<()> {
    let inbox = args.inbox.clone().unwrap_or_default();
    let Some(source) = inbox.sources().iter().find(|source| !source.topics.is_empty()) else { return Ok(()) };
    let unset =
        || format!("source {} has topics: --kafka (BACKSTITCH_KAFKA) has to name brokers", source.mapping.source);
    let brokers = args.kafka.clone().with_context(unset)?;
    crate::inbox::read_topics(engine.clone(), inbox, brokers, stop.cancelled()).await;
    Ok(())
}

/// The same for a build without Kafka.
#[cfg(not(feature = "kafka"))]
pub(super) async fn read_topics(_: &Engine, args: &ServeArgs, _: &CancellationToken) -> anyhow::Result<()> {
    let has_topics = args.inbox.iter().flat_map(|inbox| inbox.sources()).any(|source| !source.topics.is_empty());
    anyhow::ensure!(!has_topics, "sources have topics, and this binary was built without the feature `kafka`");
    Ok(())
}

/// Runs maintenance alone until stopped, in a process that only serves.
pub(super) async fn maintain(engine: &Engine, stop: &CancellationToken) {
    engine.maintenance(MaintenanceConfig::default()).run(stop.cancelled()).await;
}

/// Creates the shop's missing schedules, once the shop's schema is up to date. Gives up when the process is to stop.
pub(super) async fn ensure_schedules(orders: &Orders, stop: &CancellationToken) {
    tokio::select! {
        () = try_schedules(orders) => {}
        () = stop.cancelled() => {}
    }
}

/// A database without the shop's schema belongs to another service: it gets no schedule of the shop's.
async fn try_schedules(orders: &Orders) {
    let brought = async || {
        if !orders.missing_migrations().await?.is_empty() {
            return Ok(false);
        }
        for (name, spec) in workflows::schedules()? {
            if orders.engine().ensure_schedule(name, &spec).await? {
                tracing::info!(schedule = name, "created a schedule");
            }
        }
        anyhow::Ok(true)
    };
    let mut pause = TRY_AGAIN;
    loop {
        match brought().await {
            Ok(true) => return,
            Ok(false) => tracing::debug!("the shop's schema is not up to date: its schedules have to wait"),
            Err(error) => tracing::debug!(%error, "can't create the schedules yet"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(TRY_AT_LEAST_EVERY);
    }
}

/// Refuses to serve other machines without API keys, unless `--no-auth` is given. If the database can't be reached, the
/// server starts, but refuses everybody until it can check.
pub(super) async fn require_keys(engine: &Engine, args: &ServeArgs) -> anyhow::Result<()> {
    if args.listen.ip().is_loopback() || args.no_auth {
        return Ok(());
    }
    match engine.keys_exist().await {
        Ok(true) => Ok(()),
        Ok(false) => anyhow::bail!(
            "{} can be reached from other machines, and there is no API key yet: anybody could do anything.\n\
             `backstitch key create NAME --role admin` makes the first key; --no-auth (BACKSTITCH_NO_AUTH=1) does without.",
            args.listen
        ),
        Err(error) => {
            tracing::warn!(%error, "can't check whether there are API keys: all requests are refused until that is possible");
            Ok(())
        }
    }
}

/// Binds an address.
pub(super) async fn listen(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("can't listen on {address}"))
}

/// Cancelled at the first SIGTERM, SIGHUP (its terminal is gone) or Ctrl-C; the second ends the process at once.
pub(super) fn stop_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let signalled = token.clone();
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("can't listen for SIGHUP")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for Ctrl-C")?;
    tokio::spawn(async move {
        for again in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                _ = interrupt.recv() => {}
            }
            if again {
                std::process::exit(1);
            }
            tracing::info!("stopping; a second signal ends the process at once");
            signalled.cancel();
        }
    });
    Ok(token)
}
