//! Promise: when all is at rest, our books, the gateway's ledger, the stock and the journal agree.

use std::fmt::Write;

use crate::{
    customers::{ORDERS, Tally},
    stage::{SHELVES, Stage},
    support::at_rest,
};

/// Checks everything; gives what it counted, to be printed.
pub(crate) async fn check(stage: &Stage, tally: &Tally) -> String {
    assert_eq!(stage.engine.limbo().await.expect("reads"), []);
    assert_eq!(stage.orders.book_breaches().await.expect("reads"), Vec::<String>::new());
    assert_eq!(stage.ask::<i64>("SELECT count(*) FROM shop.orders").await, ORDERS as i64, "one order per key");
    assert!(tally.twice > 0 && tally.cancels.0 > 0, "{tally:?}");
    assert_eq!(
        at_rest::ledgers_agree(&stage.pool, &stage.simulator).await,
        [""; 0],
        "payments for orders that there are not"
    );
    shelves_add_up(stage).await;
    journal_is_whole(stage).await;
    summary(stage).await
}

async fn shelves_add_up(stage: &Stage) {
    for (sku, at_first) in SHELVES {
        let item = stage.orders.item(sku).await.expect("an item");
        let committed = stage.orders.units_committed(sku).await.expect("reads");
        assert_eq!((item.on_hand + committed, item.held), (at_first, 0), "{sku}");
    }
}

/// Each step has its outcome, but for the one that a resting order waits at.
async fn journal_is_whole(stage: &Stage) {
    let open = "SELECT count(*) FROM backstitch.step s JOIN backstitch.run r ON r.id = s.run_id
        WHERE s.outcome IS NULL AND s.kind = 0";
    assert_eq!(stage.ask::<i64>(open).await, 0, "activities without an outcome");
    let waits = "SELECT count(*) FROM backstitch.step WHERE outcome IS NULL AND kind = 2 AND due_at IS NULL";
    let resting = "SELECT count(*) FROM shop.orders WHERE state = 'processing'";
    assert_eq!(stage.ask::<i64>(waits).await, stage.ask::<i64>(resting).await, "who rests waits at one signal");
    // Who waits for nothing but a signal has a timer that never comes.
    let timers = "SELECT count(*) FROM backstitch.timer WHERE due_at < 'infinity'";
    for query in ["SELECT count(*) FROM backstitch.ready", timers] {
        assert_eq!(stage.ask::<i64>(query).await, 0, "{query}");
    }
}

async fn summary(stage: &Stage) -> String {
    let again = stage.ask::<i64>("SELECT count(*) FROM backstitch.step WHERE kind = 0 AND attempts > 1").await;
    let unknown = stage.ask::<i64>("SELECT count(*) FROM backstitch.step WHERE outcome = 3").await;
    let lanes = stage.ask::<i32>("SELECT coalesce(max(lane), 0) FROM backstitch.step").await;
    let mut text = format!("{lanes} lanes; {again} activities attempted again, {unknown} outcomes left unknown");
    let query = "SELECT concat_ws(' ', state, cancel_reason, payment_state), count(*) FROM shop.orders
        GROUP BY 1 ORDER BY 2 DESC";
    let outcomes: Vec<(String, i64)> = sqlx::query_as(query).fetch_all(&stage.pool).await.expect("reads");
    for (outcome, count) in outcomes {
        let _ = write!(text, "\n  {count:5} {outcome}");
    }
    text
}
