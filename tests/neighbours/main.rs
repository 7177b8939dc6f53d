//! Promise: orders, events, notices and books survive `kill -9` of every process that takes part: of those beside us (payment vendors
//! of both kinds, broker, mail server, a receiver of webhooks) and of ours (API with the relay, worker).
//!
//! | part | is |
//! |---|---|
//! | `stage` | Postgres and all processes, at addresses that stay theirs |
//! | `customers` | who places orders, and how each has to end |
//! | `nemesis` | who is killed when: facts, such as so many orders placed, decide |
//! | `arrivals` | what came out of it: at the broker, the receiver and the mailbox |
//! | `books` | what has to add up when all is at rest |
//!
//! `BACKSTITCH_ORDERS` is how many orders there are.
//!
//! The broker keeps its records in memory. So before it is killed the relay is stopped (SIGSTOP), the broker's connections are cut
//! with what is under way, and what it has acknowledged is read, as a consumer would have; its topics are made anew. No other process
//! is spared anything.

mod arrivals;
mod books;
#[path = "../kafka/broker.rs"]
#[allow(dead_code, reason = "tests/kafka uses the rest")]
mod broker;
mod customers;
mod nemesis;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use std::time::Instant;

use self::{arrivals::Arrivals, customers::Customers, stage::Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_survive_the_crash_of_every_neighbour() {
    let orders = std::env::var("BACKSTITCH_ORDERS").ok().and_then(|orders| orders.parse().ok()).unwrap_or(500);
    let Some(mut stage) = Stage::set().await else { return };
    let began = Instant::now();
    let mut customers = Customers::come(&stage.front(), orders);
    let mut arrivals = Arrivals::default();
    let kills = nemesis::rage(&mut stage, &mut arrivals, &mut customers, orders).await;
    let placed = customers.go().await;
    println!("{orders} orders placed after {:.1?}; killed: {kills:?}", began.elapsed());
    stage.until_all_rest().await;
    println!("all at rest after {:.1?}", began.elapsed());
    stage.until_all_is_delivered().await;
    println!("all delivered after {:.1?}", began.elapsed());
    arrivals.read_topics(&stage.broker).await;
    arrivals.check(&stage, &placed).await;
    books::check(&stage, &placed).await;
    stage.strike().await;
}
