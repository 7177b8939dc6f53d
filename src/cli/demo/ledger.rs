//! The ledger check: our books against the gateway's, and the stock against the orders.

use std::collections::HashMap;

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

use super::stage::{ON_HAND, PLENTY, Stage};

/// Result of the check.
#[derive(Debug, Serialize)]
pub(super) struct Books {
    /// Payments in the gateway's ledger.
    pub(super) payments: usize,
    /// Minor units that it captured, and that we booked.
    pub(super) captured: (i64, i64),
    /// Minor units that it refunded, and that we booked.
    pub(super) refunded: (i64, i64),
    /// Units on hand and reserved, actual and expected.
    pub(super) on_hand: (i64, i64),
    pub(super) held: (i64, i64),
    /// Descriptions of inconsistencies.
    pub(super) breaches: Vec<String>,
}

/// Compares what both vendors' ledgers say of each order with our books, and the stock with the orders' lines.
pub(super) async fn check(stage: &Stage) -> anyhow::Result<Books> {
    let mut payments = read_ledger(stage, &stage.gateway_url).await?;
    payments.extend(read_ledger(stage, &stage.second_url).await?);
    let mut breaches = stage.orders.book_breaches().await?;
    let (mut captured, mut refunded) = ((0, 0), (0, 0));
    let mut charged: HashMap<&str, i64> = HashMap::new();
    let mut moved: HashMap<&str, (i64, i64)> = HashMap::new();
    for payment in &payments {
        let id = payment["metadata"]["order_id"].as_str().context("a payment names its order")?;
        let (taken, back) = (amount(payment, "captured"), amount(payment, "refunded"));
        let sums = moved.entry(id).or_default();
        *sums = (sums.0 + taken, sums.1 + back);
        *charged.entry(id).or_default() += i64::from(taken > 0);
    }
    for (id, theirs) in moved {
        let order = stage.orders.get(id.parse()?).await?;
        let ours = (order.captured, order.refunded);
        if theirs != ours {
            breaches.push(format!("order {id}: the vendors have (captured, refunded) {theirs:?}, our books {ours:?}"));
        }
        captured = (captured.0 + theirs.0, captured.1 + ours.0);
        refunded = (refunded.0 + theirs.1, refunded.1 + ours.1);
    }
    let twice = charged.iter().filter(|(_, times)| **times > 1);
    breaches.extend(twice.map(|(id, times)| format!("order {id} was charged {times} times")));
    let item = stage.orders.item(PLENTY).await?;
    let taken = stage.orders.units_committed(PLENTY).await?;
    let books = Books {
        payments: payments.len(),
        captured,
        refunded,
        on_hand: (item.on_hand, ON_HAND - taken),
        held: (item.held, 0),
        breaches,
    };
    Ok(books.with_stock())
}

async fn read_ledger(stage: &Stage, url: &str) -> anyhow::Result<Vec<Value>> {
    let answer = stage.http.get(format!("{url}/sim/ledger")).send().await?.error_for_status()?;
    let mut ledger: Value = serde_json::from_str(&answer.text().await?)?;
    match ledger["payments"].take() {
        Value::Array(payments) => Ok(payments),
        _ => anyhow::bail!("a vendor's ledger is a list of payments"),
    }
}

impl Books {
    fn with_stock(mut self) -> Self {
        for (what, (is, should)) in [("on hand", self.on_hand), ("held", self.held)] {
            if is != should {
                self.breaches.push(format!("{is} units of {PLENTY} are {what}, and {should} should be"));
            }
        }
        self
    }

    /// Whether everything adds up.
    pub(super) fn add_up(&self) -> bool {
        self.breaches.is_empty()
    }
}

fn amount(payment: &Value, field: &str) -> i64 {
    payment[field].as_i64().unwrap_or(-1)
}
