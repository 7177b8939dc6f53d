//! Customers: they place orders over HTTP, eight at a time, and insist where nobody answers. Some cancel.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::{stage::SKU, support::shop::NORTH};

const AT_ONCE: usize = 8;
/// After so long a customer takes it that no answer comes.
const PATIENCE: Duration = Duration::from_secs(10);
/// And after so long that there never will be one.
const AT_MOST: Duration = Duration::from_secs(60);

/// An order, and how it has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Paid, at whatever vendor.
    Kept,
    /// No vendor takes the card.
    Declined,
    /// By the seller, before or after it was paid: nothing is left of it.
    Cancelled,
}

/// The orders that were placed, by id, each with its customer's number and its end.
pub(crate) type Placed = BTreeMap<String, (usize, End)>;

/// The API as a customer sees it.
#[derive(Clone)]
pub(crate) struct Front {
    url: String,
    http: reqwest::Client,
}

impl Front {
    pub(crate) fn at(url: String) -> Self {
        backstitch::tls::install_crypto_provider();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        Self { url, http }
    }

    pub(crate) async fn is_ready(&self) -> bool {
        self.http.get(format!("{}/readyz", self.url)).send().await.is_ok_and(|answer| answer.status().is_success())
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) {
        let put = self.http.put(format!("{}{path}", self.url)).json(body).send().await.expect("an answer");
        assert!(put.status().is_success(), "{path}: {}", put.status());
    }

    /// Asks until somebody answers who can.
    async fn insist(&self, path: &str, key: &str, body: &Value) -> Value {
        let began = Instant::now();
        loop {
            let request = self.http.post(format!("{}{path}", self.url)).header("idempotency-key", key).json(body);
            if let Ok(answer) = request.send().await {
                let status = answer.status();
                let text = answer.text().await.unwrap_or_default();
                match serde_json::from_str(&text) {
                    Ok(json) if status.is_success() => return json,
                    _ => assert!(status.is_success() || status.as_u16() == 503, "POST {path}: {status}: {text}"),
                }
            }
            assert!(began.elapsed() < AT_MOST, "nobody answers POST {path}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn order(&self, number: usize) -> (String, (usize, End)) {
        let (payment, end) = plan(number);
        let order = json!({
            "customer_id": format!("customer-{number}"), "items": [{"sku": SKU, "quantity": 1 + number % 3}],
            "payment": payment, "contact": {"email": address_of(number)},
        });
        let key = format!("order-{number}");
        let order = self.insist("/v1/orders", &key, &order).await;
        let id = order["id"].as_str().expect("an order has an id").to_owned();
        if end == End::Cancelled {
            self.insist(&format!("/v1/orders/{id}/cancel"), &key, &json!({"by": "seller", "reason": "a test"})).await;
        }
        (id, (number, end))
    }
}

/// Where a customer is written to.
pub(crate) fn address_of(number: usize) -> String {
    format!("c{number}@example.com")
}

/// With a token of the first vendor, of the second, or of both; and with vendors' own faults among them.
fn plan(number: usize) -> (Value, End) {
    let both = |token: &str| json!({"token": token, "tokens": {NORTH: token}});
    match number % 10 {
        0 => (json!({"token": "tok_ok"}), End::Kept),
        1 => (json!({"tokens": {NORTH: "tok_ok"}}), End::Kept),
        2 => (json!({"token": "tok_timeout_after_effect"}), End::Kept),
        3 => (json!({"tokens": {NORTH: "tok_timeout_after_effect"}}), End::Kept),
        4 => (json!({"token": "tok_500_after_effect"}), End::Kept),
        5 => (both("tok_declined"), End::Declined),
        6 => (both("tok_ok"), End::Cancelled),
        _ => (both("tok_ok"), End::Kept),
    }
}

/// Customers at work.
pub(crate) struct Customers {
    may_place: watch::Sender<usize>,
    placed: watch::Receiver<usize>,
    working: JoinSet<Vec<(String, (usize, End))>>,
}

impl Customers {
    /// They place so many orders in all, as they may.
    pub(crate) fn come(front: &Front, orders: usize) -> Self {
        let ((count, placed), (may_place, allowed)) = (watch::channel(0), watch::channel(0));
        let (count, next) = (Arc::new(count), Arc::new(AtomicUsize::new(0)));
        let one = |_| {
            let (front, count, next, mut allowed) = (front.clone(), count.clone(), next.clone(), allowed.clone());
            async move {
                let mut mine = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= orders || allowed.wait_for(|allowed| number < *allowed).await.is_err() {
                        return mine;
                    }
                    mine.push(front.order(number).await);
                    count.send_modify(|placed| *placed += 1);
                }
            }
        };
        Self { may_place, placed, working: (0..AT_ONCE).map(one).collect() }
    }

    /// From now on, so many in all.
    pub(crate) fn may_place(&self, orders: usize) {
        self.may_place.send_replace(orders);
    }

    pub(crate) async fn until_placed(&mut self, orders: usize) {
        self.placed.wait_for(|placed| *placed >= orders).await.expect("customers are at work");
    }

    /// They go when each has been answered.
    pub(crate) async fn go(self) -> Placed {
        let all = self.working.join_all().await;
        all.into_iter().flatten().collect()
    }
}
