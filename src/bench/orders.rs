//! `orders`: the shop's real workflow through REST, from POST to `placed`, over a thousand items; and `hot-item`: the same, with
//! one item in every order.
//!
//! First a closed loop with enough orders on their way, for throughput and cost; then orders at a fixed pace, however slow the answers are,
//! for latency: each is timed from the moment when it was due. With a number of orders there is only the closed loop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use tokio::task::JoinSet;

use super::{
    measure::{self, Counters},
    place::Place,
    report::{Figures, percentiles},
    shop::Shop,
};

/// Posting at a time, and orders on their way at most.
const CONNECTIONS: usize = 16;
const ON_THEIR_WAY: u64 = 384;
/// Seconds of the closed loop, and of each pace.
const SECONDS: u64 = 8;
const SECONDS_OF_A_PACE: u64 = 3;
/// How long a client waits that has enough on their way.
const PAUSE: Duration = Duration::from_millis(2);

/// What differs.
struct Kind {
    name: &'static str,
    skus: usize,
    /// Orders a second at which accepting is timed.
    paces: &'static [u64],
    /// The same, waiting until they are placed.
    waiting_pace: Option<u64>,
}

const ORDERS: Kind = Kind { name: "orders", skus: 1_000, paces: &[100, 300], waiting_pace: Some(25) };
const HOT_ITEM: Kind = Kind { name: "hot-item", skus: 1, paces: &[100], waiting_pace: None };

/// Runs `orders`.
pub(super) async fn run(place: &Place) -> anyhow::Result<Figures> {
    run_kind(place, &ORDERS).await
}

/// Runs `hot-item`.
pub(super) async fn run_hot_item(place: &Place) -> anyhow::Result<Figures> {
    run_kind(place, &HOT_ITEM).await
}

async fn run_kind(place: &Place, kind: &Kind) -> anyhow::Result<Figures> {
    let shop = Arc::new(Shop::open(place, kind.skus).await?);
    shop.place(0, true).await?;
    shop.until_quiet().await?;
    measure::forget_peak_rss();
    let newest = measure::newest_run(&shop.engine).await?;
    let before = Counters::before(shop.engine.pool()).await?;
    let (orders, seconds, accepted) = closed_loop(&shop, place).await?;
    shop.until_quiet().await?;
    let after = Counters::after(shop.engine.pool()).await?;
    let (placed_p50, placed_p99) = measure::placed_latencies(shop.engine.pool(), newest).await?;
    let (accept_p50, accept_p99) = percentiles(accepted);
    let mut figures = Figures::new(kind.name, orders, seconds, &before, &after)
        .with_latencies((placed_p50, placed_p99))
        .with("orders_per_s", orders as f64 / seconds)
        .with("accept_ms_p50", accept_p50)
        .with("accept_ms_p99", accept_p99)
        .with("placed_ms_p50", placed_p50)
        .with("placed_ms_p99", placed_p99);
    let mut all = orders as u64 + 1;
    let (paces, waiting_pace) = match place.size.runs {
        Some(_) => (&[][..], None),
        None => (kind.paces, kind.waiting_pace),
    };
    for pace in paces {
        let accepted = at_pace(&shop, *pace, false).await?;
        all += accepted.len() as u64;
        let (p50, p99) = percentiles(accepted);
        let name = |percent| format!("accept_ms_{percent}_at_{pace}");
        figures = figures.with(&name("p50"), p50).with(&name("p99"), p99);
        shop.until_placed(all).await?;
    }
    if let Some(pace) = waiting_pace {
        let placed = at_pace(&shop, pace, true).await?;
        all += placed.len() as u64;
        let (p50, p99) = percentiles(placed);
        let name = |percent| format!("wait_placed_ms_{percent}_at_{pace}");
        figures = figures.with(&name("p50"), p50).with(&name("p99"), p99);
    }
    shop.until_placed(all).await?;
    shop.until_quiet().await?;
    shop.check(all).await?;
    let shop = Arc::into_inner(shop);
    ensure!(shop.is_some(), "a client is still at work");
    if let Some(shop) = shop {
        shop.close().await?;
    }
    Ok(figures)
}

/// Posts as fast as the shop places; gives the number of orders, the seconds until the last was placed, and how long the answer to
/// each POST took.
async fn closed_loop(shop: &Arc<Shop>, place: &Place) -> anyhow::Result<(usize, f64, Vec<f64>)> {
    let (most, span) = (place.size.runs.unwrap_or(usize::MAX), place.size.span(SECONDS));
    let earlier = shop.count_placed();
    let (begun, posted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(earlier)));
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (shop, begun, posted, progress) = (shop.clone(), begun.clone(), posted.clone(), place.progress.clone());
        let timed = place.size.runs.is_none();
        clients.spawn(async move {
            let mut accepted = Vec::new();
            while !timed || began.elapsed() < span {
                if posted.load(Ordering::Relaxed) >= shop.count_placed() + ON_THEIR_WAY {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                let n = begun.fetch_add(1, Ordering::Relaxed);
                if n >= most {
                    break;
                }
                posted.fetch_add(1, Ordering::Relaxed);
                accepted.push(shop.place(n + 1, false).await?);
                progress(began.elapsed().as_secs().min(span.as_secs()), span.as_secs());
            }
            anyhow::Ok(accepted)
        });
    }
    let mut accepted = Vec::new();
    while let Some(client) = clients.join_next().await {
        accepted.extend(client??);
    }
    let orders = accepted.len();
    let ended = shop.until_placed(earlier + orders as u64).await?;
    Ok((orders, (ended - began).as_secs_f64(), accepted))
}

/// Milliseconds from when each order was due to its answer, at so many orders a second.
async fn at_pace(shop: &Arc<Shop>, per_second: u64, wait: bool) -> anyhow::Result<Vec<f64>> {
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for n in 0..per_second * SECONDS_OF_A_PACE {
        let due = began + Duration::from_micros(n * 1_000_000 / per_second);
        tokio::time::sleep_until(due.into()).await;
        let shop = shop.clone();
        clients.spawn(async move {
            shop.place(n as usize, wait).await?;
            anyhow::Ok(due.elapsed().as_secs_f64() * 1e3)
        });
    }
    let mut taken = Vec::new();
    while let Some(client) = clients.join_next().await {
        taken.push(client??);
    }
    Ok(taken)
}
