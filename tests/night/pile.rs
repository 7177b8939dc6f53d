//! The customers of the night: five hundred orders are paid in the evening; then the gateway goes, sellers cancel three
//! hundred of them, and five hundred more are placed.
//!
//! What piles up: refunds that can't be made (stuck after eight attempts), refunds that the bank refuses even when the
//! gateway is back, new orders that are tried for half a minute, given up and undone in vain, and new orders that a hold
//! saves from that: they wait, and are placed in the end.

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::stage::{SKU, Stage};

/// The activities that call the gateway, as docs/runbook.md lists them.
pub(crate) const CALLS_THE_GATEWAY: [&str; 6] =
    ["create_intent", "charge", "check_payment", "settle_payment", "refund", "check_refund"];

const PAID: usize = 400;
const REFUND_REFUSED: usize = 100;
const CANCELLED: usize = 300;
const IN_THE_OUTAGE: usize = 250;
const DURING_THE_HOLD: usize = 250;
const AT_ONCE: usize = 25;

/// What was placed.
pub(crate) struct Pile {
    paid: Vec<String>,
}

impl Pile {
    /// Places, breaks the gateway, cancels, places more, and waits until it has gone wrong in every way.
    pub(crate) async fn heap(stage: &Stage) -> Self {
        let mut paid = place(stage, "tok_ok", PAID).await;
        paid.extend(place(stage, "tok_refund_fails", REFUND_REFUSED).await);
        let placed = "SELECT count(*) = 500 FROM shop.orders WHERE state = 'placed'";
        stage.until("the evening's orders are paid", async || stage.ask(placed).await).await;
        stage.gateway_is("unavailable").await;
        // The last hundred are the ones whose refund the bank is going to refuse.
        let from = paid.len() - CANCELLED;
        let cancels = paid[from..].iter().map(|id| cancel(stage, id));
        stream::iter(cancels).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        place(stage, "tok_ok", IN_THE_OUTAGE).await;
        let stuck = "SELECT count(*) >= 300 FROM backstitch.run WHERE status = 4";
        stage.until("the cancelled orders are stuck", async || stage.ask(stuck).await).await;
        Self { paid }
    }

    /// More orders, while the gateway is held back; gives the run of one of them.
    pub(crate) async fn more_come(&self, stage: &Stage) -> String {
        let placed = place(stage, "tok_ok", DURING_THE_HOLD).await;
        run_of(stage, &placed[0]).await
    }

    pub(crate) fn stuck_at_least(&self) -> i64 {
        CANCELLED as i64
    }

    /// Everything else has gone on, by itself or by the retry.
    pub(crate) async fn only_refused_refunds_are_stuck(&self, stage: &Stage) -> bool {
        let stuck = "SELECT count(*) = 100 AND count(*) FILTER (WHERE failure ->> 'code' <> 'gateway_rejected') = 0
            FROM backstitch.run WHERE status = 4";
        let refunded = "SELECT count(*) = 200 FROM shop.orders WHERE state = 'cancelled' AND refunded > 0";
        stage.ask::<bool>(stuck).await && stage.ask::<bool>(refunded).await
    }

    /// The run of an order that was paid in the evening and never cancelled.
    pub(crate) async fn a_placed_order(&self, stage: &Stage) -> String {
        run_of(stage, &self.paid[0]).await
    }

    /// Each order is placed and waits, or is cancelled with its run at its end.
    pub(crate) async fn at_rest(&self, stage: &Stage) -> bool {
        let query = "SELECT count(*) = 0 FROM shop.orders o JOIN backstitch.run r ON r.id = o.run_id
            WHERE NOT (o.state = 'placed' AND r.status = 1) AND NOT (o.state = 'cancelled' AND r.status >= 5)";
        let due = "SELECT count(*) = 0 FROM backstitch.ready";
        stage.ask::<bool>(query).await && stage.ask::<bool>(due).await
    }
}

async fn run_of(stage: &Stage, order: &str) -> String {
    let order = stage.call("GET", &format!("/v1/orders/{order}"), &Value::Null).await;
    order["run_id"].as_str().expect("an order names its run").to_owned()
}

async fn place(stage: &Stage, token: &str, count: usize) -> Vec<String> {
    let order = json!({
        "customer_id": "night", "items": [{"sku": SKU, "quantity": 1}], "payment": {"token": token},
        "delivery": {"address": "1 Dark Street"},
    });
    let placing = (0..count).map(async |_| {
        let placed = stage.call("POST", "/v1/orders", &order).await;
        placed["id"].as_str().expect("an id").to_owned()
    });
    stream::iter(placing).buffer_unordered(AT_ONCE).collect().await
}

async fn cancel(stage: &Stage, id: &str) {
    stage.call("POST", &format!("/v1/orders/{id}/cancel"), &json!({"by": "seller", "reason": "recall"})).await;
}
