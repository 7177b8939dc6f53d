//! `idle`: one run of five plain steps at a time, through the library and through REST, beside six bare commits on one
//! connection: a start, and one commit a step.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    closed, floor,
    measure::{self, Counters},
    place::Place,
    plain::{BenchOrder, Plain},
    report::{Figures, percentiles},
    scenario::Scenario,
};
use crate::{
    engine::{Engine, Registry, Workflow},
    http, tls,
};

const RUNS: usize = 500;
const REST_RUNS: usize = 200;
const COMMITS: usize = 6;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs it.
pub(super) async fn run(place: &Place) -> anyhow::Result<Figures> {
    let plain = std::sync::Arc::new(Plain::new()?);
    let working = place.work(plain.register(Registry::new())).await?;
    let engine = &working.engine;
    closed::warm_up(engine, &plain).await?;
    measure::forget_peak_rss();
    let runs = place.size.runs.unwrap_or(RUNS);
    let newest = measure::newest_run(engine).await?;
    let before = Counters::before(engine.pool()).await?;
    let began = Instant::now();
    let latencies = closed::time_idle_runs(engine, &*plain, runs).await?;
    let seconds = began.elapsed().as_secs_f64();
    let after = Counters::after(engine.pool()).await?;
    measure::check(engine, newest, runs, (measure::COMPLETED, Plain::STEPS_PER_RUN)).await?;
    let (rest_p50, rest_p99) = percentiles(through_rest(engine, &plain, REST_RUNS.min(runs)).await?);
    let (commits, _) = percentiles(floor::time_commits(engine.pool(), COMMITS, REST_RUNS.min(runs)).await?);
    working.end().await;
    let figures = Figures::new("idle", runs, seconds, &before, &after).with_latencies(percentiles(latencies));
    let of_commits = figures.latency_ms_p50 / commits;
    let rest_of_library = rest_p50 / figures.latency_ms_p50;
    let figures = figures.with("six_commits_ms_p50", commits).with("of_six_commits", of_commits);
    Ok(figures.with("rest_ms_p50", rest_p50).with("rest_ms_p99", rest_p99).with("rest_of_library", rest_of_library))
}

/// Milliseconds from POST to result of each.
async fn through_rest(engine: &Engine, plain: &Plain, runs: usize) -> anyhow::Result<Vec<f64>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}/v1/runs", listener.local_addr()?);
    let stop = CancellationToken::new();
    let app = http::App::new(engine.clone());
    let serving = tokio::spawn(http::serve(listener, app, stop.clone().cancelled_owned()));
    let client = tls::client(&base.parse()?, TIMEOUT)?;
    let body = json!({"workflow": BenchOrder::NAME, "input": plain.next_run().input});
    let mut latencies = Vec::with_capacity(runs);
    for _ in 0..runs {
        let began = Instant::now();
        let run: Value = client.post(&base).json(&body).send().await?.error_for_status()?.json().await?;
        let id = run["id"].as_str().context("a run has an id")?;
        let ended = client.get(format!("{base}/{id}/result?wait=30s")).send().await?.error_for_status()?;
        ensure!(ended.status() == 200, "a run had not ended after 30 s");
        latencies.push(began.elapsed().as_secs_f64() * 1e3);
    }
    stop.cancel();
    serving.await??;
    Ok(latencies)
}
