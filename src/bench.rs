//! The standard load: the same work that other engines are measured on (docs/benchmarks.md).
//!
//! N runs of five sequential in-process steps, started through the library as fast as it takes them, by one process that
//! also executes them; then 200 one at a time on the idle engine. What is reported is counted in the database: every run
//! must have ended with its five steps, or there is no report.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::{PgPool, Row};
use tokio::task::JoinSet;

use crate::engine::{
    Activity, ActivityContext, ActivityError, Context, Engine, Error, Failure, Registry, StartRun, WorkerConfig,
    Workflow, to_json,
};

/// How many runs of the idle part.
const IDLE_RUNS: usize = 200;
/// Runs in one start.
const START_AT_ONCE: usize = 500;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Runs in all.
    pub runs: usize,
    /// Workers in this process.
    pub workers: usize,
    /// Slots of each.
    pub slots: usize,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Runs in all.
    pub runs: usize,
    /// From the first start to the last end.
    pub seconds: f64,
    /// Runs a second.
    pub runs_per_s: f64,
    /// Steps a second.
    pub steps_per_s: f64,
    /// Start to result of a run on the idle engine.
    pub latency_ms_p50: f64,
    /// The same, of the slowest but one in a hundred.
    pub latency_ms_p99: f64,
    /// Write-ahead log, per run.
    pub wal_bytes_per_run: i64,
    /// Commits in the database, per run.
    pub commits_per_run: f64,
    /// Growth of the database, per run.
    pub db_bytes_per_run: i64,
    /// The largest resident size of this process so far.
    pub rss_mb: f64,
    /// The settings of Postgres that matter here.
    pub postgres: serde_json::Map<String, serde_json::Value>,
}

/// The input: an order of about 500 bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    id: String,
    customer: String,
    items: Vec<Item>,
    address: String,
    note: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Item {
    sku: String,
    quantity: u32,
    price: u64,
}

/// Each step's output: about 100 bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    hold: String,
    at: String,
    note: String,
}

/// The five steps differ in their names only.
macro_rules! step {
    ($type:ident, $name:literal) => {
        struct $type;
        impl Activity for $type {
            const NAME: &'static str = $name;
            type Input = ();
            type Output = Note;
            async fn run(&self, _: &ActivityContext, (): &()) -> Result<Note, ActivityError> {
                Ok(Note { hold: "h-123456".into(), at: "2026-11-21T00:00:00Z".into(), note: "y".repeat(44) })
            }
        }
    };
}
step!(Reserve, "reserve");
step!(Charge, "charge");
step!(Confirm, "confirm");
step!(Notify, "notify");
step!(Archive, "archive");

struct BenchOrder;

impl Workflow for BenchOrder {
    const NAME: &'static str = "bench_order";
    type Input = Order;
    type Output = Note;

    async fn run(&self, cx: &Context, _: Order) -> Result<Note, Failure> {
        cx.call::<Reserve>(()).await?;
        cx.call::<Charge>(()).await?;
        cx.call::<Confirm>(()).await?;
        cx.call::<Notify>(()).await?;
        Ok(cx.call::<Archive>(()).await?)
    }
}

fn order() -> Order {
    let item = |n: u32| Item { sku: format!("sku-{n:05}"), quantity: n, price: 1999 };
    Order {
        id: "order-000000000001".into(),
        customer: "customer-0000000001".into(),
        items: (1..=4).map(item).collect(),
        address: "1 Long Street, Some Town, Some Country, 12345".into(),
        note: "x".repeat(180),
    }
}

/// Runs the load on a database that it migrates and leaves its runs in. `progress` is told how many runs have ended.
///
/// # Errors
/// When the database fails, or the count in the database is not what was to be done.
pub async fn run(pool: &PgPool, load: Load, progress: impl Fn(u64)) -> Result<Report, Error> {
    let registry =
        Registry::new().workflow(BenchOrder).activity(Reserve).activity(Charge).activity(Confirm).activity(Notify);
    let engine = Engine::new(pool.clone(), registry.activity(Archive));
    engine.migrate().await?;
    let stop = tokio_util::sync::CancellationToken::new();
    let mut workers = JoinSet::new();
    for n in 0..load.workers.max(1) {
        let config = WorkerConfig { name: format!("bench-{n}"), slots: load.slots, ..WorkerConfig::default() };
        workers.spawn(engine.worker(config).run(stop.clone().cancelled_owned()));
    }
    let input = to_json(&order()).map_err(|error| Error::InvalidRequest(error.to_string()))?;
    warm_up(&engine, &input).await?;

    let before = Counters::read(pool).await?;
    let began = Instant::now();
    let started = Arc::new(AtomicU64::new(0));
    let starting = tokio::spawn(start_all(engine.clone(), input.clone(), load.runs, started.clone()));
    let mut ended = 0;
    while ended < load.runs as u64 && !(starting.is_finished() && started.load(Ordering::Relaxed) < load.runs as u64) {
        tokio::time::sleep(Duration::from_millis(25)).await;
        // What is started and not in `ready` any more has ended. Started is read first, so that this is never too many.
        let begun = started.load(Ordering::Relaxed);
        let open: i64 = sqlx::query_scalar("SELECT count(*) FROM backstitch.ready").fetch_one(pool).await?;
        ended = begun.saturating_sub(open.unsigned_abs());
        progress(ended);
    }
    let seconds = began.elapsed().as_secs_f64();
    starting.await.map_err(|error| Error::InvalidRequest(format!("the starting task was lost: {error}")))??;
    let mut latencies = Vec::with_capacity(IDLE_RUNS);
    let wal_after = Counters::read(pool).await?;
    check(pool, &before.newest, load.runs).await?;
    for _ in 0..IDLE_RUNS {
        let began = Instant::now();
        let started = engine.start(StartRun::named(BenchOrder::NAME, input.clone())).await?;
        engine.result(started.run, Duration::from_secs(30)).await?;
        latencies.push(began.elapsed().as_secs_f64() * 1e3);
    }
    latencies.sort_by(f64::total_cmp);
    stop.cancel();
    while workers.join_next().await.is_some() {}
    let runs = load.runs as f64;
    Ok(Report {
        runs: load.runs,
        seconds,
        runs_per_s: runs / seconds,
        steps_per_s: 5.0 * runs / seconds,
        latency_ms_p50: latencies[IDLE_RUNS / 2],
        latency_ms_p99: latencies[IDLE_RUNS * 99 / 100],
        wal_bytes_per_run: (wal_after.wal - before.wal) / load.runs as i64,
        commits_per_run: (wal_after.commits - before.commits) as f64 / runs,
        db_bytes_per_run: (wal_after.size - before.size) / load.runs as i64,
        rss_mb: peak_rss_mb(),
        postgres: settings(pool).await?,
    })
}

async fn start_all(engine: Engine, input: Arc<RawValue>, runs: usize, count: Arc<AtomicU64>) -> Result<(), Error> {
    let mut left = runs;
    while left > 0 {
        let now = left.min(START_AT_ONCE);
        let batch = (0..now).map(|_| StartRun::named(BenchOrder::NAME, input.clone())).collect();
        for started in engine.start_batch(batch).await? {
            started?;
        }
        left -= now;
        count.fetch_add(now as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// One run, so that the workflow is registered and connections and statements are ready.
async fn warm_up(engine: &Engine, input: &Arc<RawValue>) -> Result<(), Error> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match engine.start(StartRun::named(BenchOrder::NAME, input.clone())).await {
            Ok(started) => return engine.result(started.run, Duration::from_secs(30)).await.map(drop),
            Err(Error::UnknownWorkflow(_)) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

struct Counters {
    wal: i64,
    commits: i64,
    size: i64,
    newest: uuid::Uuid,
}

impl Counters {
    async fn read(pool: &PgPool) -> Result<Self, Error> {
        // Backends report their commits about once a second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let row = sqlx::query(
            "SELECT (pg_current_wal_lsn() - '0/0')::bigint AS wal,
                (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS commits,
                pg_database_size(current_database()) AS size,
                (SELECT id FROM backstitch.run ORDER BY id DESC LIMIT 1) AS newest",
        )
        .fetch_one(pool)
        .await?;
        Ok(Self {
            wal: row.try_get("wal")?,
            commits: row.try_get("commits")?,
            size: row.try_get("size")?,
            newest: row.try_get("newest")?,
        })
    }
}

/// Every run has ended with its five steps.
async fn check(pool: &PgPool, newest: &uuid::Uuid, runs: usize) -> Result<(), Error> {
    let query = "SELECT count(*), (SELECT count(*) FROM backstitch.step WHERE run_id > $1 AND outcome = 1)
        FROM backstitch.run WHERE id > $1 AND status = 5";
    let (ended, steps): (i64, i64) = sqlx::query_as(query).bind(newest).fetch_one(pool).await?;
    if (ended, steps) == (runs as i64, 5 * runs as i64) {
        return Ok(());
    }
    let message = format!("{ended} of {runs} runs are completed, with {steps} steps in place of {}", 5 * runs);
    Err(Error::WrongState(message))
}

async fn settings(pool: &PgPool) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    let query = "SELECT name, setting || coalesce(unit, '') FROM pg_settings WHERE name IN ('server_version', 'fsync',
        'synchronous_commit', 'full_page_writes', 'wal_compression', 'shared_buffers', 'max_wal_size', 'wal_level')";
    let rows: Vec<(String, String)> = sqlx::query_as(query).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|(name, value)| (name, value.into())).collect())
}

/// From the kernel's account of this process; 0 where it gives none.
fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1024.0
}
