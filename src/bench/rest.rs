//! `rest`: plain runs through REST from another process: in batches on a few connections, then one by one on sixteen. A run counts
//! once it has ended.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    closed,
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

const BATCHED: usize = 20_000;
const SINGLE: usize = 5_000;
const BATCH: usize = 500;
const BATCH_CONNECTIONS: usize = 4;
const CONNECTIONS: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What the client is to post.
#[derive(Clone, Debug)]
pub struct Posting {
    /// The server.
    pub url: String,
    /// Runs in all.
    pub runs: usize,
    /// One run in each request, in place of many.
    pub single: bool,
}

/// What it tells its parent: milliseconds until each answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Posted {
    latencies: Vec<f64>,
}

/// Runs it. The figures are of the batches.
pub(super) async fn run(place: &Place) -> anyhow::Result<Figures> {
    let plain = Arc::new(Plain::new()?);
    let working = place.work(plain.register(Registry::new())).await?;
    let engine = &working.engine;
    closed::warm_up(engine, &plain).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let stop = CancellationToken::new();
    let app = http::App::new(engine.clone());
    let serving = tokio::spawn(http::serve(listener, app, stop.clone().cancelled_owned()));
    measure::forget_peak_rss();
    let batched = place.size.runs.unwrap_or(BATCHED);
    let single = batched.min(SINGLE);
    let before = Counters::before(engine.pool()).await?;
    let (seconds, _) = post(place, engine, &Posting { url: url.clone(), runs: batched, single: false }).await?;
    let after = Counters::after(engine.pool()).await?;
    let (single_seconds, posted) = post(place, engine, &Posting { url, runs: single, single: true }).await?;
    stop.cancel();
    serving.await??;
    working.end().await;
    let latencies = percentiles(posted.latencies);
    let figures = Figures::new("rest", batched, seconds, &before, &after).with_latencies(latencies);
    Ok(figures.with("single_runs_per_s", single as f64 / single_seconds))
}

/// Has a client post, and waits until all runs have ended; gives the seconds until then.
async fn post(place: &Place, engine: &Engine, posting: &Posting) -> anyhow::Result<(f64, Posted)> {
    let newest = measure::newest_run(engine).await?;
    let mut client = Command::new(&place.program);
    client.args(["bench", "--post-to", &posting.url, "--runs", &posting.runs.to_string()]);
    client.args(posting.single.then_some("--single")).stdin(Stdio::null()).kill_on_drop(true);
    let began = Instant::now();
    let output = client.output().await.context("the client can't be started")?;
    ensure!(output.status.success(), "the client failed: {}", String::from_utf8_lossy(&output.stderr));
    while measure::count_open(engine).await? > 0 {
        ensure!(began.elapsed() < PATIENCE, "runs are still at work");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    measure::check(engine, newest, posting.runs, (measure::COMPLETED, Plain::STEPS_PER_RUN)).await?;
    (place.progress)(posting.runs as u64, posting.runs as u64);
    Ok((seconds, serde_json::from_slice(&output.stdout)?))
}

/// The client: posts runs of the standard load.
///
/// # Errors
/// When an answer is not what it should be.
pub async fn post_runs(posting: &Posting) -> anyhow::Result<Posted> {
    let plain = Plain::new()?;
    let run = json!({"workflow": BenchOrder::NAME, "input": plain.next_run().input});
    let (connections, at_once) = if posting.single { (CONNECTIONS, 1) } else { (BATCH_CONNECTIONS, BATCH) };
    let http = tls::client(&posting.url.parse()?, TIMEOUT)?;
    let begun = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let (http, begun, posting, run) = (http.clone(), begun.clone(), posting.clone(), run.clone());
        clients.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let first = begun.fetch_add(at_once, Ordering::Relaxed);
                let runs = posting.runs.saturating_sub(first).min(at_once);
                if runs == 0 {
                    return anyhow::Ok(latencies);
                }
                let sent = Instant::now();
                if posting.single {
                    let url = format!("{}/v1/runs", posting.url);
                    http.post(url).json(&run).send().await?.error_for_status()?.bytes().await?;
                } else {
                    let (url, batch) = (format!("{}/v1/runs/batch", posting.url), vec![&run; runs]);
                    let answer: Value = http.post(url).json(&batch).send().await?.error_for_status()?.json().await?;
                    let taken = answer["items"].as_array().into_iter().flatten().filter(|item| item["status"] == 201);
                    ensure!(taken.count() == runs, "a run of a batch was refused");
                }
                latencies.push(sent.elapsed().as_secs_f64() * 1e3);
            }
        });
    }
    let mut latencies = Vec::new();
    while let Some(client) = clients.join_next().await {
        latencies.extend(client??);
    }
    Ok(Posted { latencies })
}
