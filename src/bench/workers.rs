//! `workers`: the standard load, executed by one, two and four processes of their own on one database.

use std::{
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::{
    closed, measure,
    place::{Place, Size},
    plain::Plain,
    report::Figures,
    scenario::Scenario,
};
use crate::engine::{Engine, Registry};

const PROCESSES: [usize; 3] = [1, 2, 4];
const RUNS: usize = 20_000;
/// Before they are measured, so that each process has its connections and plans.
const WARM_UP: usize = 5_000;
/// Each number of processes is measured so often, in turn: the database grows meanwhile, and a machine changes.
const ROUNDS: usize = 3;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs it. The figures are of the four processes.
pub(super) async fn run(place: &Place) -> anyhow::Result<Figures> {
    let plain = Arc::new(Plain::new()?);
    // This process only starts.
    let engine = place.engine(plain.register(Registry::new())).await?;
    let size = Size { runs: Some(place.size.runs.unwrap_or(RUNS)), ..Size::default() };
    let place = Place { size, ..place.clone() };
    let mut last = None;
    let mut rates: [Vec<f64>; PROCESSES.len()] = Default::default();
    let mut waits = Vec::new();
    for _ in 0..ROUNDS {
        for (processes, rates) in PROCESSES.iter().zip(&mut rates) {
            let figures = with_processes(*processes, &engine, &plain, &place, &mut waits).await?;
            rates.push(figures.runs_per_s);
            last = Some(figures);
        }
    }
    waits.sort_by(f64::total_cmp);
    let mut figures = Figures { scenario: "workers", ..last.context("there is a number of processes")? };
    for (processes, rates) in PROCESSES.iter().zip(&rates) {
        figures = figures.with(&format!("runs_per_s_of_{processes}"), rates.clone());
    }
    let sums = rates.map(|rates| rates.iter().sum::<f64>());
    let of_one = sums.iter().copied().fold(f64::INFINITY, f64::min) / sums[0];
    let longest = waits.last().copied().unwrap_or_default();
    Ok(figures.with("least_of_one", of_one).with("lock_wait_ms_max", longest))
}

/// The load, executed by so many processes.
async fn with_processes(
    processes: usize,
    engine: &Engine,
    plain: &Arc<Plain>,
    place: &Place,
    waits: &mut Vec<f64>,
) -> anyhow::Result<Figures> {
    let children: Vec<Child> = (0..processes).map(|_| spawn(place)).collect::<Result<_, _>>()?;
    // The first process registers the workflow.
    let began = Instant::now();
    while let Err(error) = closed::warm_up(engine, plain).await {
        ensure!(began.elapsed() < Duration::from_secs(30), "no worker has come up: {error}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let small = Place { size: Size { runs: Some(WARM_UP), ..Size::default() }, ..place.clone() };
    closed::under_load(engine, plain, &small).await?;
    let stop = CancellationToken::new();
    let watching = tokio::spawn(watch_locks(engine.pool().clone(), stop.clone()));
    let figures = closed::under_load(engine, plain, place).await?;
    stop.cancel();
    waits.extend(watching.await??);
    for child in children {
        end(child).await?;
    }
    Ok(figures)
}

/// A process that works until its input ends.
fn spawn(place: &Place) -> anyhow::Result<Child> {
    let mut child = Command::new(&place.program);
    child.args(["bench", "--work", "--schema", &place.schema, "--slots", &place.slots.to_string()]);
    child.env("DATABASE_URL", &place.url).stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
    child.spawn().context("a worker can't be started")
}

async fn end(mut child: Child) -> anyhow::Result<()> {
    drop(child.stdin.take());
    let status = child.wait().await?;
    ensure!(status.success(), "a worker failed: {status}");
    Ok(())
}

/// The waits for locks, as they are seen by looking often.
async fn watch_locks(pool: sqlx::PgPool, stop: CancellationToken) -> anyhow::Result<Vec<f64>> {
    let mut waits = Vec::new();
    while !stop.is_cancelled() {
        waits.push(measure::longest_lock_wait(&pool).await?);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(waits)
}

/// What such a process does: works on the standard load until its input ends.
///
/// # Errors
/// When the worker fails.
pub async fn work(place: &Place) -> anyhow::Result<()> {
    let working = place.work(Plain::new()?.register(Registry::new())).await?;
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    working.end().await;
    Ok(())
}
