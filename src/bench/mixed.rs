//! `mixed`: 2,000 plain runs a second pass through while single runs are started; timed is from the call that starts one until its
//! first step is at work.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::{
    closed,
    measure::{self, Counters},
    pace,
    place::Place,
    plain::Plain,
    report::{Figures, percentiles},
    scenario::Scenario,
};
use crate::engine::{Activity, ActivityContext, ActivityError, Context, Failure, Registry, StartRun, Workflow};

const PER_SECOND: u32 = 2_000;
const SECONDS: u64 = 10;
/// Between two single starts.
const PROBE_EVERY: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);

/// When single runs were begun, in microseconds from this moment, and how long each took to its first step.
#[derive(Clone)]
struct Watch {
    since: Instant,
    taken: Arc<Mutex<Vec<f64>>>,
}

/// Runs it.
pub(super) async fn run(place: &Place) -> anyhow::Result<Figures> {
    let plain = Arc::new(Plain::new()?);
    let watch = Watch { since: Instant::now(), taken: Arc::default() };
    let registry = plain.register(Registry::new()).workflow(BenchProbe).activity(First(watch.clone()));
    let working = place.work(registry).await?;
    let engine = &working.engine;
    closed::warm_up(engine, &plain).await?;
    measure::forget_peak_rss();
    let span = place.size.span(SECONDS);
    let before = Counters::before(engine.pool()).await?;
    let began = Instant::now();
    let passing = tokio::spawn(pace::start(engine.clone(), plain.clone(), PER_SECOND, span, Arc::default()));
    let mut probes = 0;
    while began.elapsed() < span {
        let begun = u64::try_from(watch.since.elapsed().as_micros())?;
        engine.start(StartRun::new::<BenchProbe>(&begun)?).await?;
        probes += 1;
        (place.progress)(began.elapsed().as_secs(), span.as_secs());
        tokio::time::sleep(PROBE_EVERY).await;
    }
    let passed = passing.await??;
    while measure::count_open(engine).await? > 0 {
        ensure!(began.elapsed() < span + PATIENCE, "runs are still at work");
        tokio::time::sleep(PROBE_EVERY).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let after = Counters::after(engine.pool()).await?;
    working.end().await;
    let taken = std::mem::take(&mut *watch.taken.lock().unwrap_or_else(PoisonError::into_inner));
    ensure!(taken.len() == probes, "{} of {probes} single runs came to their first step", taken.len());
    let figures = Figures::new("mixed", passed + probes, seconds, &before, &after);
    Ok(figures.with_latencies(percentiles(taken)).with("single_runs", probes))
}

/// The first step of a single run.
struct First(Watch);

impl Activity for First {
    const NAME: &'static str = "first";
    type Input = u64;
    type Output = ();

    async fn run(&self, _: &ActivityContext, begun: &u64) -> Result<(), ActivityError> {
        let taken = self.0.since.elapsed().saturating_sub(Duration::from_micros(*begun));
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner).push(taken.as_secs_f64() * 1e3);
        Ok(())
    }
}

struct BenchProbe;

impl Workflow for BenchProbe {
    const NAME: &'static str = "bench_probe";
    type Input = u64;
    type Output = ();

    async fn run(&self, cx: &Context, begun: u64) -> Result<(), Failure> {
        cx.call::<First>(begun).await?;
        Ok(())
    }
}
