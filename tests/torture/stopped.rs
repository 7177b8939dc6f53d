//! A worker is stopped (SIGSTOP) in the middle of a step's transaction that holds its lane's fence, and another is killed at that
//! moment.
//!
//! What both had is done by others while the first is still stopped; when it goes on, it finds itself fenced and takes part again.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    books,
    customers::Crowd,
    stage::{GOES_ON_WITHIN, Stage, dice, rounds},
    support::{at_rest, process, wait_for_within},
};

/// Each message takes so long: so a transaction of three statements is open most of the time.
const DELAY: Duration = Duration::from_millis(10);

/// A step of the stopped worker may hold the item that all order for as long as an attempt may take,
const ITEM_LOCKED: Duration = Duration::from_secs(10);
/// and then the orders that have waited for it take turns.
const BACKLOG: Duration = Duration::from_secs(8);

/// Sessions of this role that have taken their lane's fence in a transaction that is still open.
const IN_TRANSACTION: &str = "SELECT count(*) > 0 FROM pg_stat_activity a
    JOIN pg_locks l ON l.pid = a.pid JOIN pg_class c ON c.oid = l.relation
    WHERE a.usename = $1 AND a.state = 'idle in transaction' AND c.relname = 'lane' AND l.mode LIKE 'Row%'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_stopped_in_a_transaction() {
    let mut dice = dice();
    let mut stage = Stage::set("stopped", 3).await;
    let crowd = Crowd::come(&stage.front, &mut dice, true);
    for _ in 0..rounds() {
        stage.proxy.delay(DELAY);
        let victim = stage.worker(0);
        // Shorter than a takeover: nobody may notice.
        stop_in_transaction(&stage, victim).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        process::go_on(victim);
        tokio::time::sleep(Duration::from_secs(1)).await;

        stop_in_transaction(&stage, victim).await;
        stage.kill_worker(1).await;
        // One item over a slow network is less than the customers ask for: that is another trouble.
        stage.proxy.delay(Duration::ZERO);
        under_way_rests(&stage).await;
        books::work_goes_on(&mut stage, "a stop in a transaction").await;
        process::go_on(victim);
        stage.replace_worker(1);
    }
    crowd.go().await;
    books::close(stage).await;
}

/// Stops it again and again, until it is stopped inside a transaction.
async fn stop_in_transaction(stage: &Stage, victim: u32) {
    let is_in = async || -> bool {
        sqlx::query_scalar(IN_TRANSACTION).bind("w0").fetch_one(&stage.pool).await.expect("the query works")
    };
    wait_for_within(Duration::from_secs(20), "it is stopped in a transaction", async || {
        if !is_in().await {
            return Err("it is in none".to_owned());
        }
        process::stop(victim);
        // Whatever it had already sent has been carried out by then.
        tokio::time::sleep(3 * DELAY).await;
        if is_in().await {
            return Ok(());
        }
        process::go_on(victim);
        Err("it was just leaving".to_owned())
    })
    .await;
}

/// What is under way at this moment comes to rest.
async fn under_way_rests(stage: &Stage) {
    let names = async || -> BTreeSet<String> {
        let open = at_rest::not_at_rest(&stage.pool).await.expect("the query works");
        open.iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
    };
    let before = names().await;
    assert!(!before.is_empty(), "nothing is under way");
    wait_for_within(GOES_ON_WITHIN + ITEM_LOCKED + BACKLOG, "what was under way rests", async || {
        let left: Vec<String> = names().await.intersection(&before).cloned().collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{} of {}: {left:?}", left.len(), before.len())) }
    })
    .await;
}
