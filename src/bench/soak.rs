//! `soak`: 2,000 plain runs a second for long, and in the middle a snapshot that is held open, so that nothing that was deleted
//! since can be cleared away. What matters is that the end is as fast as the beginning, of which a schema remains that nothing else
//! was done to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use sqlx::Connection;

use super::{
    beside_few::Pair,
    measure::{self, Counters},
    pace,
    place::Place,
    plain::Plain,
    report::Figures,
    scenario::Scenario,
};
use crate::engine::Engine;

const PER_SECOND: u32 = 2_000;
const SECONDS: u64 = 12;
const SECONDS_IN_FULL: u64 = 3_600;
/// The snapshot is held for this part of the time, in the middle.
const HELD: u32 = 6;
const SAMPLES: u32 = 60;
const PATIENCE: Duration = Duration::from_secs(120);

/// How things stood at a moment.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) second: f64,
    /// Runs so far, and those of them that have not ended.
    pub(super) started: usize,
    pub(super) open_runs: i64,
    pub(super) dead_rows: i64,
    pub(super) index_mb: f64,
    pub(super) rss_mb: f64,
    pub(super) snapshot: bool,
}

/// What only this scenario's figures have, for its drawing.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Soaked {
    /// Runs a second at full speed after it, of those in a schema that is as it was at the start.
    pub(super) plain_of_start: f64,
    pub(super) samples: Vec<Sample>,
}

/// Runs it.
pub(super) async fn run(place: &Place) -> anyhow::Result<Figures> {
    let pair = Pair::open(place).await?;
    let engine = pair.engine();
    let span = place.size.span(if place.size.full { SECONDS_IN_FULL } else { SECONDS });
    measure::forget_peak_rss();
    let newest = measure::newest_run(engine).await?;
    let before = Counters::before(engine.pool()).await?;
    let began = Instant::now();
    let started = Arc::new(AtomicUsize::new(0));
    let passing = tokio::spawn(pace::start(engine.clone(), pair.plain.clone(), PER_SECOND, span, started.clone()));
    let samples = watch(engine, place, span, &started).await?;
    let runs = passing.await??;
    let waiting = Instant::now();
    while measure::count_open(engine).await? > 0 {
        ensure!(waiting.elapsed() < PATIENCE, "runs are still at work");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let after = Counters::after(engine.pool()).await?;
    measure::check(engine, newest, runs, (measure::COMPLETED, Plain::STEPS_PER_RUN)).await?;
    let latencies = measure::latencies(engine, newest).await?;
    let compared = pair.compare(place).await?;
    pair.end().await;
    let figures = Figures::new("soak", runs, seconds, &before, &after).with_latencies(latencies);
    let figures = figures.with("plain_of_start", compared.ratio());
    let figures = figures.with("runs_per_s_at_end", compared.of_many).with("runs_per_s_of_few", compared.of_few);
    Ok(figures.with("samples", serde_json::to_value(samples)?))
}

/// Samples until the time is over, and holds the snapshot meanwhile.
async fn watch(engine: &Engine, place: &Place, span: Duration, started: &AtomicUsize) -> anyhow::Result<Vec<Sample>> {
    let began = Instant::now();
    let (from, until) = ((span - span / HELD) / 2, (span + span / HELD) / 2);
    let (mut samples, mut held) = (Vec::new(), None);
    for n in 0..SAMPLES {
        tokio::time::sleep_until((began + span / SAMPLES * n).into()).await;
        let at = began.elapsed();
        if (from..until).contains(&at) && held.is_none() {
            held = Some(measure::hold_snapshot(engine.pool()).await?);
        }
        if let Some(conn) = held.take_if(|_| at >= until) {
            conn.close().await?;
        }
        let started = started.load(Ordering::Relaxed);
        let state = measure::read_state(engine).await?;
        samples.push(Sample {
            second: at.as_secs_f64(),
            started,
            open_runs: state.open,
            dead_rows: state.dead_rows,
            index_mb: state.index_bytes as f64 / f64::from(1 << 20),
            rss_mb: measure::read_rss_mb(),
            snapshot: held.is_some(),
        });
        (place.progress)(at.as_secs(), span.as_secs());
    }
    Ok(samples)
}
