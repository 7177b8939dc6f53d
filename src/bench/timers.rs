//! `timers`: plain runs beside very many parked ones, compared with an empty database; then timers that become due at 5,000 a
//! second, and how late they fire.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::{
    closed,
    measure::{self, Counters},
    place::{Place, Size},
    plain::Plain,
    report::Figures,
    scenario::Scenario,
};
use crate::engine::{Context, Engine, Failure, Registry, StartRun, Time, Workflow};

/// Parked runs, by default and in full.
const PARKED: usize = 20_000;
const PARKED_IN_FULL: usize = 1_000_000;
/// Plain runs, before and beside them.
const PLAIN: usize = 10_000;
/// Runs whose timers fire, how many a second, and how long before the first of them they are started.
const FIRING: u32 = 10_000;
const FIRING_IN_FULL: u32 = 100_000;
const PER_SECOND: u32 = 5_000;
/// Runs a second that park, at least: by then all of them have to be parked.
const PARK_AT_LEAST: u32 = 1_000;
const START_AT_ONCE: usize = 500;
/// Not within this load.
const FAR: Duration = Duration::from_hours(24);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs it.
pub(super) async fn run(place: &Place) -> anyhow::Result<Figures> {
    let plain = Arc::new(Plain::new()?);
    let working = place.work(plain.register(Registry::new()).workflow(BenchAsleep)).await?;
    let engine = &working.engine;
    closed::warm_up(engine, &plain).await?;
    measure::forget_peak_rss();
    let (parked, firing) = match (place.size.runs, place.size.full) {
        (Some(runs), _) => (runs, FIRING),
        (None, true) => (PARKED_IN_FULL, FIRING_IN_FULL),
        (None, false) => (PARKED, FIRING),
    };
    let plainly = Place { size: Size { runs: Some(PLAIN), ..Size::default() }, ..place.clone() };
    let empty = closed::under_load(engine, &plain, &plainly).await?;

    let before = Counters::before(engine.pool()).await?;
    let began = Instant::now();
    let due = engine.now().await? + FAR;
    park(engine, parked, |_| due).await?;
    until_parked(engine, parked).await?;
    let seconds = began.elapsed().as_secs_f64();
    let after = Counters::after(engine.pool()).await?;
    let beside = closed::under_load(engine, &plain, &plainly).await?;

    let newest = measure::newest_run(engine).await?;
    let first = engine.now().await? + Duration::from_secs(u64::from(firing / PARK_AT_LEAST));
    park(engine, firing as usize, |n| first + Duration::from_secs(1) / PER_SECOND * n).await?;
    let firing_began = Instant::now();
    while measure::count_unended(engine, newest).await? > 0 {
        ensure!(firing_began.elapsed() < PATIENCE, "timers have not fired after {PATIENCE:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let late = measure::lateness(engine, newest).await?;
    working.end().await;
    ensure!(late.fired == i64::from(firing), "{} of {firing} timers fired", late.fired);
    Ok(Figures::new("timers", parked, seconds, &before, &after)
        .with_latencies((late.ms_p50, late.ms_p99))
        .with("parked", parked)
        .with("plain_runs_per_s", beside.runs_per_s)
        .with("plain_of_empty", beside.runs_per_s / empty.runs_per_s)
        .with("fired_per_s", f64::from(firing) / late.seconds)
        .with("lateness_ms_p50", late.ms_p50)
        .with("lateness_ms_p99", late.ms_p99))
}

/// Starts runs that sleep until a moment each.
async fn park(engine: &Engine, runs: usize, due: impl Fn(u32) -> Time) -> anyhow::Result<()> {
    let mut begun = 0;
    while begun < runs {
        let now = (runs - begun).min(START_AT_ONCE);
        let batch = (begun..begun + now).map(|n| StartRun::new::<BenchAsleep>(&due(n as u32)));
        for started in engine.start_batch(batch.collect::<Result<_, _>>()?).await? {
            started?;
        }
        begun += now;
    }
    Ok(())
}

async fn until_parked(engine: &Engine, runs: usize) -> anyhow::Result<()> {
    let began = Instant::now();
    while measure::count_open(engine).await? > 0 {
        ensure!(began.elapsed() < PATIENCE, "{runs} runs are not parked after {PATIENCE:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

struct BenchAsleep;

impl Workflow for BenchAsleep {
    const NAME: &'static str = "bench_asleep";
    type Input = Time;
    type Output = ();

    async fn run(&self, cx: &Context, due: Time) -> Result<(), Failure> {
        cx.sleep_until(due).await;
        Ok(())
    }
}
