//! `large`: runs of 1,000 and 10,000 steps, and of 1,000 side by side; and how long a parked run of 10,000 steps takes from its
//! signal to its end: to read them, to replay them, and to write the end.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use super::{
    measure::{self, Counters},
    place::Place,
    plain::Reserve,
    report::{Figures, percentiles},
};
use crate::engine::{Context, Engine, Failure, Registry, RunId, RunStatus, StartRun, Workflow, join_all};

const STEPS: u32 = 10_000;
const FEWER_STEPS: u32 = 1_000;
/// Runs of the large size.
const RUNS: usize = 3;
const SIGNAL: &str = "go_on";
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Runs it.
pub(super) async fn run(place: &Place) -> anyhow::Result<Figures> {
    let registry = Registry::new().workflow(BenchLong).activity(Reserve);
    let working = place.work(registry).await?;
    let engine = &working.engine;
    to_signal(engine, Shape { steps: 1, side_by_side: false }).await?;
    measure::forget_peak_rss();
    let (_, fewer) = to_signal(engine, Shape { steps: FEWER_STEPS, side_by_side: false }).await?;
    let (_, side_by_side) = to_signal(engine, Shape { steps: FEWER_STEPS, side_by_side: true }).await?;
    let runs = place.size.runs.unwrap_or(RUNS);
    let before = Counters::before(engine.pool()).await?;
    let began = Instant::now();
    let (mut spent, mut replays) = (Duration::ZERO, Vec::new());
    for n in 0..runs {
        let (run, taken) = to_signal(engine, Shape { steps: STEPS, side_by_side: false }).await?;
        spent += taken;
        let signalled = Instant::now();
        engine.signal(run, SIGNAL, None, None).await?;
        let ended = engine.result(run, PATIENCE).await?;
        ensure!(ended.status == RunStatus::Completed, "a long run is {}", ended.status);
        replays.push(signalled.elapsed().as_secs_f64() * 1e3);
        (place.progress)(n as u64 + 1, runs as u64);
    }
    let seconds = began.elapsed().as_secs_f64();
    let after = Counters::after(engine.pool()).await?;
    working.end().await;
    let large = f64::from(STEPS) * runs as f64 / spent.as_secs_f64();
    let small = f64::from(FEWER_STEPS) / fewer.as_secs_f64();
    let (replay, _) = percentiles(replays);
    Ok(Figures::new("large", runs, seconds, &before, &after)
        .with_latencies((spent.as_secs_f64() * 1e3 / runs as f64, 0.0))
        .with("steps_per_s", large)
        .with("steps_per_s_of_1000", small)
        .with("large_of_small", large / small)
        .with("side_by_side_steps_per_s", f64::from(FEWER_STEPS) / side_by_side.as_secs_f64())
        .with("replay_ms", replay))
}

/// Starts a run and waits until it waits for its signal; gives how long that took.
async fn to_signal(engine: &Engine, shape: Shape) -> anyhow::Result<(RunId, Duration)> {
    let began = Instant::now();
    let run = engine.start(StartRun::new::<BenchLong>(&shape)?).await?.run;
    loop {
        let waiting = measure::waits_for(engine, run).await?;
        if waiting.as_deref() == Some("signal") {
            return Ok((run, began.elapsed()));
        }
        ensure!(began.elapsed() < PATIENCE, "a run of {} steps is still at work", shape.steps);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Shape {
    steps: u32,
    side_by_side: bool,
}

struct BenchLong;

impl Workflow for BenchLong {
    const NAME: &'static str = "bench_long";
    type Input = Shape;
    type Output = ();

    async fn run(&self, cx: &Context, shape: Shape) -> Result<(), Failure> {
        if shape.side_by_side {
            for ended in join_all((0..shape.steps).map(|_| cx.call::<Reserve>(()))).await {
                ended?;
            }
        } else {
            for _ in 0..shape.steps {
                cx.call::<Reserve>(()).await?;
            }
        }
        cx.signal::<()>(SIGNAL).forever().await?;
        Ok(())
    }
}
