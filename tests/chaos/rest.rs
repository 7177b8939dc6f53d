//! At rest: an order that waits for fulfilment and for nothing else, or a cancelled one whose run has ended.
//!
//! Money that is on its way counts as unrest: the test waits until it has arrived and has been dealt with.

use std::time::{Duration, Instant};

use crate::{nemesis::Pool, stage::Stage};

/// From the last kill until everything has settled; far more than the windows and retries add up to.
const AT_MOST: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

const NOT_AT_REST: &str = include_str!("not_at_rest.sql");

/// Waits until every order is at rest and no money is on its way.
pub(crate) async fn until_all_rest(stage: &Stage, pool: &mut Pool) {
    let deadline = Instant::now() + AT_MOST;
    loop {
        pool.all_alive();
        let open = open(stage).await;
        // Only asked when all orders rest: `settle` hurries money along, and the gateway's own pace is part of the test.
        if open.is_empty() && stage.sim("POST", "settle").await["settled"] == 0 && settled(stage).await {
            return;
        }
        let shown = open.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(Instant::now() < deadline, "{} orders are not at rest:\n{shown}", open.len());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How many orders are not at rest.
pub(crate) async fn not_at_rest(stage: &Stage) -> usize {
    open(stage).await.len()
}

async fn open(stage: &Stage) -> Vec<String> {
    sqlx::query_scalar(NOT_AT_REST).fetch_all(&stage.pool).await.expect("the query works")
}

/// Whether what the gateway captured is what is booked. A webhook may still be on its way when no order is.
async fn settled(stage: &Stage) -> bool {
    let theirs: i64 = stage.simulator.moved().await.values().map(|moved| moved.captured).sum();
    let booked: i64 = stage.ask("SELECT coalesce(sum(captured), 0)::bigint FROM shop.orders").await;
    theirs == booked && open(stage).await.is_empty()
}
