//! Runs a load: N runs, started through the library as fast as it takes them, by one process that also executes them; then
//! some one at a time on the idle engine.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::PgPool;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    measure::{self, Counters},
    report::{Report, percentile},
    scenario::Scenario,
};
use crate::engine::{Engine, Error, Registry, WorkerConfig};

/// How many runs are started one at a time.
const IDLE_RUNS: usize = 200;
/// Runs in one start.
const START_AT_ONCE: usize = 500;
/// How often the runs that have ended are counted.
const COUNT_EVERY: Duration = Duration::from_millis(25);
/// Longest wait for a single run.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much to run, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Runs in all.
    pub runs: usize,
    /// Workers in this process.
    pub workers: usize,
    /// Slots of each.
    pub slots: usize,
}

/// Runs the scenario and reports on it, if the database confirms that every run has ended as it should.
pub(super) async fn run<S: Scenario>(
    scenario: S,
    (pool, schema): (&PgPool, &str),
    load: Load,
    progress: impl Fn(u64),
) -> Result<Report, Error> {
    let scenario = Arc::new(scenario);
    let engine = Engine::new(pool.clone(), scenario.register(Registry::new())).with_schema(schema)?;
    engine.migrate().await?;
    let stop = CancellationToken::new();
    let mut workers = spawn_workers(&engine, load, &stop);
    warm_up(&engine, &*scenario).await?;

    let before = Counters::read(&engine).await?;
    let seconds = run_all(&engine, &scenario, load.runs, progress).await?;
    let after = Counters::read(&engine).await?;
    measure::check(&engine, before.newest, load.runs, S::STEPS_PER_RUN).await?;
    let latencies = time_idle_runs(&engine, &*scenario).await?;
    stop.cancel();
    while workers.join_next().await.is_some() {}

    let runs = load.runs as f64;
    Ok(Report {
        runs: load.runs,
        seconds,
        runs_per_s: runs / seconds,
        steps_per_s: f64::from(S::STEPS_PER_RUN) * runs / seconds,
        latency_ms_p50: percentile(&latencies, 50),
        latency_ms_p99: percentile(&latencies, 99),
        wal_bytes_per_run: (after.wal - before.wal) / load.runs as i64,
        commits_per_run: (after.commits - before.commits) as f64 / runs,
        db_bytes_per_run: (after.size - before.size) / load.runs as i64,
        rss_mb: measure::read_peak_rss_mb(),
        postgres: measure::read_settings(pool).await?,
    })
}

fn spawn_workers(engine: &Engine, load: Load, stop: &CancellationToken) -> JoinSet<Result<(), Error>> {
    let mut workers = JoinSet::new();
    for n in 0..load.workers.max(1) {
        let config = WorkerConfig { name: format!("bench-{n}"), slots: load.slots, ..WorkerConfig::default() };
        workers.spawn(engine.worker(config).run(stop.clone().cancelled_owned()));
    }
    workers
}

/// One run, so that the workflow is registered and connections and statements are ready.
async fn warm_up(engine: &Engine, scenario: &impl Scenario) -> Result<(), Error> {
    let started = engine.start(scenario.next_run()).await?;
    engine.result(started.run, PATIENCE).await.map(drop)
}

/// Starts all runs and waits until they have ended; gives the seconds from the first start to the last end.
async fn run_all<S: Scenario>(
    engine: &Engine,
    scenario: &Arc<S>,
    runs: usize,
    progress: impl Fn(u64),
) -> Result<f64, Error> {
    let began = Instant::now();
    let started = Arc::new(AtomicU64::new(0));
    let starting: JoinHandle<Result<(), Error>> =
        tokio::spawn(start_all(engine.clone(), scenario.clone(), runs, started.clone()));
    let mut ended = 0;
    while ended < runs as u64 && !(starting.is_finished() && started.load(Ordering::Relaxed) < runs as u64) {
        tokio::time::sleep(COUNT_EVERY).await;
        // A started run that is no longer open has ended. Started is read first, so that this is never too many.
        let begun = started.load(Ordering::Relaxed);
        ended = begun.saturating_sub(measure::count_open(engine).await?);
        progress(ended);
    }
    let seconds = began.elapsed().as_secs_f64();
    starting.await.map_err(|error| Error::InvalidRequest(format!("the starting task was lost: {error}")))??;
    Ok(seconds)
}

async fn start_all<S: Scenario>(
    engine: Engine,
    scenario: Arc<S>,
    runs: usize,
    count: Arc<AtomicU64>,
) -> Result<(), Error> {
    let mut left = runs;
    while left > 0 {
        let now = left.min(START_AT_ONCE);
        let batch = (0..now).map(|_| scenario.next_run()).collect();
        for started in engine.start_batch(batch).await? {
            started?;
        }
        left -= now;
        count.fetch_add(now as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// Milliseconds from start to result of each run on the idle engine, sorted.
async fn time_idle_runs(engine: &Engine, scenario: &impl Scenario) -> Result<Vec<f64>, Error> {
    let mut latencies = Vec::with_capacity(IDLE_RUNS);
    for _ in 0..IDLE_RUNS {
        let began = Instant::now();
        let started = engine.start(scenario.next_run()).await?;
        engine.result(started.run, PATIENCE).await?;
        latencies.push(began.elapsed().as_secs_f64() * 1e3);
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}
