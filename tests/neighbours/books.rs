//! When all is at rest: each order ended as it had to, and our books, both vendors' ledgers, the stock and the journal agree.

use std::{collections::BTreeMap, time::Duration};

use backstitch::orders::runs::ReconcileInput;
use serde_json::Value;

use crate::{
    customers::{End, Placed},
    stage::{ON_HAND, SKU, Stage},
};

/// All that there is at this moment.
const NOW: ReconcileInput = ReconcileInput { look_back_ms: 3_600_000, grace_ms: 0, second_look_ms: 0 };

pub(crate) async fn check(stage: &Stage, placed: &Placed) {
    assert_eq!(stage.engine.limbo().await.expect("reads"), []);
    each_order_ended_right(stage, placed).await;
    let sums = vendors_agree(stage, placed).await;
    assert_eq!(stage.orders.book_breaches().await.expect("reads"), Vec::<String>::new());
    let item = stage.orders.item(SKU).await.expect("an item");
    let committed = stage.orders.units_committed(SKU).await.expect("reads");
    assert_eq!((item.on_hand + committed, item.held), (ON_HAND, 0));
    let run = stage.orders.reconcile(&NOW).await.expect("it is started");
    let result = stage.engine.result(run, Duration::from_secs(60)).await.expect("a run");
    let found: Value = serde_json::from_str(result.output.expect("it is completed").get()).expect("JSON");
    let count = |what: &str| found[what].as_u64().expect("a number");
    assert_eq!(["differences", "under_way", "unknown"].map(count), [0; 3], "{found}");
    let paid: usize = sums.values().sum();
    assert!(count("payments") >= paid as u64 && count("orders") >= paid as u64, "{found} compared, {sums:?} paid");
    println!("paid {sums:?} at the vendors; compared: {found}");
}

async fn each_order_ended_right(stage: &Stage, placed: &Placed) {
    let query =
        "SELECT id::text, state, coalesce(cancel_reason, ''), captured > 0, captured = refunded FROM shop.orders";
    let ends: Vec<(String, String, String, bool, bool)> =
        sqlx::query_as(query).fetch_all(&stage.pool).await.expect("reads");
    let ids: Vec<&String> = ends.iter().map(|end| &end.0).collect();
    assert_eq!((ids.len(), ids.iter().all(|id| placed.contains_key(*id))), (placed.len(), true), "one order per key");
    for (id, state, reason, paid, even) in &ends {
        let (number, end) = placed[id];
        let is_right = match end {
            End::Kept => state == "processing" && *paid && !*even,
            End::Declined => state == "cancelled" && reason == "payment_failed" && !*paid,
            End::Cancelled => state == "cancelled" && reason == "seller" && *even,
        };
        assert!(is_right, "order {number}, {id}: {end:?}, and it is {state} {reason}, paid {paid}, even {even}");
    }
}

/// No order was charged twice, and each has in our books what vendors have. Gives how many each was paid at.
async fn vendors_agree(stage: &Stage, placed: &Placed) -> BTreeMap<String, usize> {
    let mut theirs: BTreeMap<String, (usize, i64, i64)> = BTreeMap::new();
    for payment in stage.payments().await {
        let order = payment["metadata"]["order_id"].as_str().expect("a payment names its order");
        assert!(placed.contains_key(order), "a payment for an order that there is not: {payment}");
        let amount = |name: &str| payment[name].as_i64().expect("an amount");
        let sums = theirs.entry(order.to_owned()).or_default();
        *sums =
            (sums.0 + usize::from(amount("captured") > 0), sums.1 + amount("captured"), sums.2 + amount("refunded"));
    }
    let query = "SELECT id::text, captured, refunded, coalesce(intent_id, '') FROM shop.orders";
    let ours: Vec<(String, i64, i64, String)> = sqlx::query_as(query).fetch_all(&stage.pool).await.expect("reads");
    let mut paid_at = BTreeMap::new();
    for (id, captured, refunded, intent) in ours {
        let (charges, taken, back) = theirs.get(&id).copied().unwrap_or_default();
        assert!(charges <= 1, "order {id} was charged {charges} times");
        assert_eq!((taken, back), (captured, refunded), "order {id}: theirs and ours");
        let vendor = intent.split_once(':').map_or("stripe", |(vendor, _)| vendor);
        *paid_at.entry(vendor.to_owned()).or_default() += usize::from(captured > 0);
    }
    paid_at
}
