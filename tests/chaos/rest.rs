//! Waiting until every order is at rest, in the sense of tests/support/at_rest.rs.

use std::time::{Duration, Instant};

use crate::{nemesis::Pool, stage::Stage, support::at_rest};

/// From the last kill until everything has settled; far more than the windows and retries add up to: a late payment looks once a
/// minute whether its order has been undone.
const AT_MOST: Duration = Duration::from_secs(200);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits until every order is at rest and no money is on its way.
pub(crate) async fn until_all_rest(stage: &Stage, pool: &mut Pool) {
    let deadline = Instant::now() + AT_MOST;
    while !at_rest::all_rest(&stage.pool, &stage.simulator).await.expect("the queries work") {
        pool.all_alive();
        if Instant::now() > deadline {
            let open = open(stage).await;
            let shown = open.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
            panic!("{} orders are not at rest, or money is on its way:\n{shown}", open.len());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How many orders are not at rest.
pub(crate) async fn not_at_rest(stage: &Stage) -> usize {
    open(stage).await.len()
}

async fn open(stage: &Stage) -> Vec<String> {
    at_rest::not_at_rest(&stage.pool).await.expect("the query works")
}
