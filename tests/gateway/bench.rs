//! A simulator on a port of its own, a client for it, and a merchant that collects webhooks.

use std::time::Duration;

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use backstitch::{
    gateway_sim::Config,
    payments::{GatewayError, Intent, NewIntent, NewRefund, PaymentGateway, SIGNATURE_HEADER, StripeGateway},
};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::support::shop::{Simulator, webhooks_to};

/// How long a test waits for a delivery before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A simulator and a port to it.
pub(crate) struct Bench {
    pub(crate) simulator: Simulator,
    pub(crate) gateway: StripeGateway,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let simulator = Simulator::start(config).await;
        Self { gateway: simulator.gateway(Duration::from_secs(5)), simulator }
    }

    /// A port that gives up sooner.
    pub(crate) fn hasty(&self) -> StripeGateway {
        self.simulator.gateway(Duration::from_secs(1))
    }

    /// Creates an intent over 1000 and gives its id.
    pub(crate) async fn intent(&self, token: &str) -> String {
        let key = format!("create-{token}-{}", uuid::Uuid::new_v4());
        let created = self.gateway.create_intent(&key, &new_intent(token)).await;
        created.expect("it is created").id
    }

    /// Creates and confirms an intent over 1000 under the key `pay-<token>`.
    pub(crate) async fn paid(&self, token: &str) -> String {
        let id = self.intent(token).await;
        let key = format!("pay-{token}-{id}");
        self.gateway.confirm_intent(&key, &id).await.expect("it is paid");
        id
    }

    pub(crate) async fn read(&self, id: &str) -> Intent {
        self.gateway.get_intent(id).await.expect("it can be read")
    }

    /// The ledger's row of an intent.
    pub(crate) async fn row(&self, id: &str) -> Value {
        let row = self.simulator.payments().await.into_iter().find(|row| row["id"] == id);
        row.expect("the ledger knows the intent")
    }

    /// What was really captured and refunded.
    pub(crate) async fn moved(&self, id: &str) -> (i64, i64) {
        let row = self.row(id).await;
        let amount = |name: &str| row[name].as_i64().expect("an amount");
        (amount("captured"), amount("refunded"))
    }

    /// A `/sim/...` call; an empty answer is null.
    pub(crate) async fn sim(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        self.simulator.sim(method, path, body.as_ref()).await
    }

    /// A raw POST with a key: status, whether it was a replay, body.
    pub(crate) async fn post(&self, path: &str, key: &str, form: &str) -> (u16, bool, Value) {
        let url = format!("{}{path}", self.simulator.url());
        let response = self
            .simulator
            .http
            .post(url)
            .bearer_auth("sk_test")
            .header("Idempotency-Key", key)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned())
            .send()
            .await
            .expect("an answer");
        let replayed = response.headers().contains_key("Idempotent-Replayed");
        let status = response.status().as_u16();
        (status, replayed, response.json().await.expect("JSON"))
    }
}

pub(crate) fn new_intent(token: &str) -> NewIntent {
    NewIntent {
        amount: 1000,
        currency: "EUR".into(),
        token: token.into(),
        vendor: None,
        order_id: "order-1".into(),
        metadata: [("step".to_owned(), "a b&c=d".to_owned())].into(),
    }
}

pub(crate) fn new_refund(intent_id: &str, amount: i64) -> NewRefund {
    NewRefund {
        intent_id: intent_id.into(),
        amount,
        order_id: "order-1".into(),
        metadata: [("step_key".to_owned(), "run-1:7".to_owned())].into(),
    }
}

/// The code of a call that must not have succeeded.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, GatewayError>) -> &'static str {
    result.expect_err("it must not succeed").code()
}

/// A delivery as it came in.
pub(crate) struct Delivery {
    pub(crate) signature: String,
    pub(crate) body: Bytes,
}

/// The merchant's side of webhooks.
pub(crate) struct Merchant {
    pub(crate) url: String,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
}

impl Merchant {
    /// Refuses the first `refusals` deliveries with a 500.
    pub(crate) async fn start(refusals: usize) -> Self {
        let (sender, deliveries) = mpsc::unbounded_channel();
        let left = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(refusals));
        let take = move |headers: HeaderMap, body: Bytes| async move {
            use std::sync::atomic::Ordering::SeqCst;
            let refused = left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1));
            if refused.is_ok() {
                return 500u16;
            }
            let signature = headers[SIGNATURE_HEADER].to_str().expect("ASCII").to_owned();
            let _ = sender.send(Delivery { signature, body });
            200
        };
        let answer = |status: u16| axum::http::StatusCode::from_u16(status).expect("a status");
        let app = Router::new()
            .route("/hook", post(async move |headers: HeaderMap, body: Bytes| answer(take(headers, body).await)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, deliveries }
    }

    pub(crate) fn config(&self) -> Config {
        webhooks_to(self.url.clone())
    }

    pub(crate) async fn next(&mut self) -> Delivery {
        let next = tokio::time::timeout(PATIENCE, self.deliveries.recv());
        next.await.expect("in time").expect("a delivery")
    }

    /// The type and id of the next delivery.
    pub(crate) async fn next_event(&mut self) -> (String, String) {
        let event: Value = serde_json::from_slice(&self.next().await.body).expect("JSON");
        let text = |name: &str| event[name].as_str().expect("text").to_owned();
        (text("type"), text("id"))
    }
}
