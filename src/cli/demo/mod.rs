//! `backstitch demo`: orders through every outcome, in under three minutes where the machine has nothing else to do.
//!
//! It starts an embedded Postgres, the API, a worker and a payment gateway with faults on demand, and plays orders as
//! customers, the shop and operators would. At the end it prints the outcomes, the timeline of one compensated order with
//! its events and notices, how many there are of each, and the ledger check: our books against the gateway's. Exit 0 only
//! if every outcome is right.

mod ledger;
mod messages;
mod pace;
mod play;
mod report;
mod scenario;
mod stage;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::PgPool;
use tokio::task::JoinSet;

use self::{pace::Pace, play::Outcome, report::Report, scenario::Scenario, stage::Stage};
use super::output::{Out, tell};
use crate::{config, embedded::Embedded};

const CONNECTIONS: u32 = 30;

/// Run orders through every outcome and check the books
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Orders to place; from 15 on every outcome is covered
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    orders: u16,
}

/// Plays all orders and reports.
///
/// # Errors
/// When something can't be started, an outcome is wrong, or the books don't add up.
pub(super) async fn run(args: Args, out: Out) -> anyhow::Result<()> {
    tell("starting a Postgres, the API, a worker and the payment gateway simulator …");
    let postgres = Embedded::temporary().await?;
    let played = on_stage(&postgres.url(), usize::from(args.orders)).await;
    postgres.stop().await;
    let report = played?;
    report.print(out)?;
    if !report.right() {
        bail!(
            "not every outcome is the right one, or the books don't add up: see above\n\
             With BACKSTITCH_LOG=info it says what happens on the way."
        );
    }
    Ok(())
}

async fn on_stage(url: &str, orders: usize) -> anyhow::Result<Report> {
    let pool = config::pool(url, CONNECTIONS)?;
    let pace = with_stage(&pool, Pace::IDLE, async |stage| stage.measure(orders).await).await?;
    pace.notice().iter().for_each(tell);
    let report = with_stage(&pool, pace, async |stage| play_all(stage, orders).await).await?;
    pool.close().await;
    Ok(report)
}

/// Sets a stage, does something on it, and clears it away whatever came of that.
async fn with_stage<T>(
    pool: &PgPool,
    pace: Pace,
    play: impl AsyncFnOnce(&Arc<Stage>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (stage, parts) = Stage::set(pool.clone(), pace).await?;
    let done = play(&stage).await;
    let struck = stage.strike(parts).await;
    let done = done?;
    struck?;
    Ok(done)
}

/// Plays the scenarios in turn, concurrently, up to the requested number of orders.
async fn play_all(stage: &Arc<Stage>, orders: usize) -> anyhow::Result<Report> {
    let bar = ProgressBar::new(orders as u64).with_message("orders");
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}  {elapsed}")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut playing = JoinSet::new();
    for number in 0..orders {
        let scenario = Scenario::ALL[number % Scenario::ALL.len()];
        let stage = stage.clone();
        playing.spawn(async move { (number, stage.play(scenario, number).await) });
    }
    let mut played = Vec::with_capacity(orders);
    while let Some(done) = playing.join_next().await {
        let (number, outcome) = done.context("a scenario's task was lost")?;
        bar.set_message(format!("orders: {}", outcome.scenario.title()));
        bar.inc(1);
        played.push((number, outcome));
    }
    bar.finish_and_clear();
    played.sort_by_key(|(number, _)| *number);
    let played: Vec<Outcome> = played.into_iter().map(|(_, outcome)| outcome).collect();
    let books = ledger::check(stage).await?;
    let messages = messages::collect(stage, placed(&played)).await?;
    Ok(Report::of(played, books, messages))
}

/// The ids of the orders that ended.
fn placed(played: &[Outcome]) -> impl Iterator<Item = uuid::Uuid> {
    played.iter().filter_map(|outcome| outcome.ended.as_ref().ok().map(|(order, _)| order.id))
}
