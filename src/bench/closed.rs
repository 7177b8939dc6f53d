//! Runs a load: N runs, or for a time, started through the library as fast as it takes them by one process that also executes
//! them; then some one at a time on the idle engine.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    measure::{self, Counters},
    place::Place,
    report::{Figures, percentiles},
    scenario::Scenario,
};
use crate::engine::{Engine, Error, Registry};

/// Runs in one start.
const START_AT_ONCE: usize = 500;
/// Started and not ended, at most, where there is a time and no number of runs: it has to come to its end soon after.
const MOST_OPEN: u64 = 20_000;
/// How often we look whether all runs have ended.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// How often those that have ended are counted in the database. Counting takes it milliseconds that belong to the load.
const COUNT_EVERY: Duration = Duration::from_millis(250);
/// Longest wait for a single run.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the scenario and gives its figures, if the database confirms that every run has ended as it should.
pub(super) async fn run<S: Scenario>(scenario: S, place: &Place) -> anyhow::Result<Figures> {
    let scenario = Arc::new(scenario);
    let working = place.work(scenario.register(Registry::new())).await?;
    let engine = working.engine.clone();
    scenario.prepare(&engine).await?;
    warm_up(&engine, &scenario).await?;
    measure::forget_peak_rss();
    let figures = under_load(&engine, &scenario, place).await?;
    // A small load is for what it costs: its latencies would tell little and take most of its time.
    let idle_runs = place.size.runs.map_or(S::IDLE_RUNS, |runs| S::IDLE_RUNS.min(runs / 20));
    let figures = match idle_runs {
        0 => figures,
        runs => figures.with_latencies(percentiles(time_idle_runs(&engine, &*scenario, runs).await?)),
    };
    working.end().await;
    Ok(figures)
}

/// The load alone, on an engine whose workers are warm.
pub(super) async fn under_load<S: Scenario>(
    engine: &Engine,
    scenario: &Arc<S>,
    place: &Place,
) -> anyhow::Result<Figures> {
    let newest = measure::newest_run(engine).await?;
    let before = Counters::before(engine.pool()).await?;
    let (runs, seconds) = run_all(engine, scenario, place).await?;
    let after = Counters::after(engine.pool()).await?;
    measure::check(engine, newest, runs, (S::ENDS_AS, S::STEPS_PER_RUN)).await?;
    scenario.check(engine, runs).await?;
    let latencies = measure::latencies(engine, newest).await?;
    let figures = Figures::new(S::NAME, runs, seconds, &before, &after).with_latencies(latencies);
    let steps_per_s = f64::from(S::STEPS_PER_RUN) * figures.runs_per_s;
    Ok(figures.with("steps_per_s", steps_per_s))
}

/// One run, so that the workflow is registered and connections and statements are ready.
pub(super) async fn warm_up<S: Scenario>(engine: &Engine, scenario: &Arc<S>) -> Result<(), Error> {
    let started = engine.start(scenario.next_run()).await?;
    scenario.accompany(engine, vec![started.run]);
    engine.result(started.run, PATIENCE).await.map(drop)
}

/// How much to start.
#[derive(Clone, Copy)]
enum Until {
    Runs(usize),
    Elapsed(Duration),
}

/// What has been started and has ended so far.
#[derive(Default)]
struct Progress {
    started: AtomicU64,
    ended: AtomicU64,
}

/// Starts all runs and waits until they have ended; gives their number and the seconds from the first start to the last end.
async fn run_all<S: Scenario>(engine: &Engine, scenario: &Arc<S>, place: &Place) -> anyhow::Result<(usize, f64)> {
    let until = match (place.size.runs, place.size.seconds) {
        (Some(runs), _) => Until::Runs(runs),
        (None, Some(seconds)) => Until::Elapsed(Duration::from_secs(seconds)),
        (None, None) => Until::Runs(S::RUNS),
    };
    // The warm-up has come to its last step, too.
    let earlier = scenario.count_ended().unwrap_or_default();
    let progress = Arc::new(Progress::default());
    let began = Instant::now();
    let starting = tokio::spawn(start_all(engine.clone(), scenario.clone(), until, progress.clone()));
    let mut counted = Instant::now();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let all = starting.is_finished();
        // A started run that is no longer open has ended. Started is read first, so that this is never too many.
        let started = progress.started.load(Ordering::Relaxed);
        if let Some(ended) = scenario.count_ended() {
            progress.ended.store(ended - earlier, Ordering::Relaxed);
        } else if counted.elapsed() >= COUNT_EVERY {
            let ended = started.saturating_sub(measure::count_open(engine).await?);
            progress.ended.store(ended, Ordering::Relaxed);
            counted = Instant::now();
        }
        let ended = progress.ended.load(Ordering::Relaxed);
        match until {
            Until::Runs(runs) => (place.progress)(ended, runs as u64),
            Until::Elapsed(span) => (place.progress)(began.elapsed().as_secs().min(span.as_secs()), span.as_secs()),
        }
        // A run that waits is not open; and the last step is not yet the end.
        let may_have_ended = scenario.count_ended().is_none() || ended >= started;
        if all && may_have_ended && !measure::any_open(engine).await? {
            break;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    starting.await??;
    Ok((progress.started.load(Ordering::Relaxed) as usize, seconds))
}

async fn start_all<S: Scenario>(
    engine: Engine,
    scenario: Arc<S>,
    until: Until,
    progress: Arc<Progress>,
) -> Result<(), Error> {
    let began = Instant::now();
    let mut count = 0_usize;
    loop {
        let now = match until {
            Until::Runs(runs) => (runs - count).min(START_AT_ONCE),
            Until::Elapsed(span) if began.elapsed() < span => START_AT_ONCE,
            Until::Elapsed(_) => 0,
        };
        if now == 0 {
            return Ok(());
        }
        let open = || progress.started.load(Ordering::Relaxed) - progress.ended.load(Ordering::Relaxed);
        while matches!(until, Until::Elapsed(_)) && open() > MOST_OPEN {
            tokio::time::sleep(COUNT_EVERY).await;
        }
        let batch = (0..now).map(|_| scenario.next_run()).collect();
        let mut runs = Vec::with_capacity(now);
        for started in engine.start_batch(batch).await? {
            runs.push(started?.run);
        }
        scenario.accompany(&engine, runs);
        count += now;
        progress.started.fetch_add(now as u64, Ordering::Relaxed);
    }
}

/// Milliseconds from start to result of each run on the idle engine.
pub(super) async fn time_idle_runs(engine: &Engine, scenario: &impl Scenario, runs: usize) -> Result<Vec<f64>, Error> {
    let mut latencies = Vec::with_capacity(runs);
    for _ in 0..runs {
        let began = Instant::now();
        let started = engine.start(scenario.next_run()).await?;
        engine.result(started.run, PATIENCE).await?;
        latencies.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(latencies)
}
