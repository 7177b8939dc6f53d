//! Promise: orders survive `kill -9`. Three real workers over one real Postgres with fsync, orders of every kind, and a worker
//! killed about once a second.
//!
//! | part | is |
//! |---|---|
//! | `stage` | server, gateway simulator, and the API that takes its webhooks: these stay up |
//! | `nemesis` | the worker processes, and who kills them |
//! | `customers` | who places orders, some of them twice, and cancels some |
//! | `rest` | waiting until every order is at rest |
//! | `books` | what has to add up then |
//!
//! `BACKSTITCH_TEST_SEED` repeats the choices of an earlier run, though not its interleaving.

mod books;
mod customers;
mod nemesis;
mod rest;
#[path = "../simulation/rng.rs"]
mod rng;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use std::time::Instant;

use self::{
    customers::Customers,
    nemesis::Nemesis,
    rng::Rng,
    stage::Stage,
    support::shop::{ORDER_WORKFLOWS, wait_until_registered},
};

/// Fewer than this, and it was no chaos.
const FEWEST_KILLS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_survive_a_worker_crash_every_second() {
    let seed = std::env::var("BACKSTITCH_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u32>);
    println!("BACKSTITCH_TEST_SEED={seed}");
    let stage = Stage::set().await;
    let nemesis = Nemesis::start(&stage, Rng::new(u64::from(seed)));
    wait_until_registered(&stage.engine, &ORDER_WORKFLOWS).await;
    let began = Instant::now();
    let customers = Customers::new(stage.orders.clone(), Rng::new(u64::from(seed) + 1));
    let tally = customers.all_come(nemesis.kills()).await;
    let placed = began.elapsed();
    let (mut pool, kills) = nemesis.relent_after(FEWEST_KILLS + 4).await;
    let (calm, open) = (began.elapsed(), rest::not_at_rest(&stage).await);
    rest::until_all_rest(&stage, &mut pool).await;
    let rested = began.elapsed();
    let summary = books::check(&stage, &tally).await;
    let rate = (customers::ORDERS as f64) / rested.as_secs_f64();
    println!("{} orders in {placed:.1?}, {kills} kills until {calm:.1?} ({open} orders open then)", customers::ORDERS);
    println!("all at rest after {rested:.1?}: {rate:.0} orders/s; {tally:?}\n{summary}");
    assert!(kills >= FEWEST_KILLS, "{kills} kills");
    pool.stop().await;
    stage.strike().await;
}
