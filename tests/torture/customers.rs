//! Customers who order while trouble is made, and insist: without an answer, or with 503, they ask again with the same key.
//!
//! An answer is an acknowledgement: what it names has to be there in the end. No other refusal is excused by trouble.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    sync::{OnceCell, watch},
    task::JoinSet,
};

use crate::{rng::Rng, stage::SKU};

const CUSTOMERS: u64 = 6;
/// After so long a customer takes it that no answer comes.
const PATIENCE: Duration = Duration::from_secs(10);
/// And after so long that there never will be one.
const AT_MOST: Duration = Duration::from_secs(40);
/// Tokens that need no operator; most orders are simply paid.
const TOKENS: [&str; 8] = [
    "tok_ok",
    "tok_ok",
    "tok_ok",
    "tok_ok",
    "tok_declined",
    "tok_timeout_after_effect",
    "tok_flaky_2",
    "tok_duplicate_webhooks",
];

/// What they have been answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) orders: BTreeSet<String>,
    pub(crate) runs: BTreeSet<String>,
    /// Answers that trouble does not excuse.
    pub(crate) wrong: Vec<String>,
    /// How often a customer had to ask again: 503, and no answer at all.
    pub(crate) again: (usize, usize),
    pub(crate) slowest: Duration,
}

/// The API as a customer sees it.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) url: String,
    http: reqwest::Client,
    answers: Arc<Mutex<Answers>>,
    /// Whether the binary has the public workflow.
    has_transfers: Arc<OnceCell<bool>>,
}

impl Front {
    pub(crate) fn at(url: String) -> Self {
        backstitch::tls::install_crypto_provider();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        Self { url, http, answers: Arc::default(), has_transfers: Arc::default() }
    }

    pub(crate) fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it could be put.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> bool {
        let put = self.http.put(format!("{}{path}", self.url)).json(body).send().await;
        put.is_ok_and(|answer| answer.status().is_success())
    }

    /// The status that `/readyz` answers with, if it answers.
    pub(crate) async fn readiness(&self) -> Option<u16> {
        self.http.get(format!("{}/readyz", self.url)).send().await.ok().map(|answer| answer.status().as_u16())
    }

    /// Asks until there is an answer that is none of trouble's.
    pub(crate) async fn insist(&self, path: &str, key: &str, body: &Value) -> (StatusCode, Value) {
        let began = Instant::now();
        loop {
            let since = Instant::now();
            let request = self.http.post(format!("{}{path}", self.url)).header("idempotency-key", key).json(body);
            let answer = match request.send().await {
                Ok(answer) => Some((answer.status(), answer.text().await.unwrap_or_default())),
                Err(_) => None,
            };
            {
                let mut answers = self.answers();
                answers.slowest = answers.slowest.max(since.elapsed());
                match answer {
                    Some((status, text)) if status != StatusCode::SERVICE_UNAVAILABLE => {
                        if status.is_server_error() {
                            answers.wrong.push(format!("POST {path}: {status}: {text}"));
                        } else if let Ok(json) = serde_json::from_str(&text) {
                            return (status, json);
                        }
                    }
                    Some(_) => answers.again.0 += 1,
                    None => answers.again.1 += 1,
                }
            }
            assert!(began.elapsed() < AT_MOST, "nobody answers POST {path}: {:?}", self.answers());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Places an order and gives its id.
    pub(crate) async fn order(&self, key: &str, token: &str) -> String {
        let (status, order) = self.insist("/v1/orders", key, &order(token)).await;
        assert!(status.is_success(), "an order is refused: {status}: {order}");
        let id = order["id"].as_str().expect("an order has an id").to_owned();
        self.answers().orders.insert(id.clone());
        id
    }

    /// Starts a run of the public workflow, or of an older release's most harmless one.
    pub(crate) async fn run(&self, key: &str) -> String {
        let run = self.a_run(key).await;
        let (status, run) = self.insist("/v1/runs", key, &run).await;
        assert!(status.is_success(), "a run is refused: {status}: {run}");
        let id = run["id"].as_str().expect("a run has an id").to_owned();
        self.answers().runs.insert(id.clone());
        id
    }

    /// Asks for a run once, and without a key.
    pub(crate) async fn run_without_key(&self, name: &str) {
        let run = self.a_run(name).await;
        let Ok(answer) = self.http.post(format!("{}/v1/runs", self.url)).json(&run).send().await else { return };
        if answer.status().is_success() {
            let run: Value = answer.json().await.expect("JSON");
            self.answers().runs.insert(run["id"].as_str().expect("a run has an id").to_owned());
        }
    }

    async fn a_run(&self, key: &str) -> Value {
        // Whether an older release has the workflow is asked; the one under test has it, even before a worker lists it.
        let older = std::env::var_os("BACKSTITCH_BIN").is_some();
        let public = !older || *self.has_transfers.get_or_init(|| self.ask_for_transfers()).await;
        let transfer = json!({"workflow": "transfer", "input": {"id": key, "from": "ada", "to": "bob", "cents": 1}});
        if public { transfer } else { json!({"workflow": "archive_sweep", "input": {}}) }
    }

    async fn ask_for_transfers(&self) -> bool {
        let answer = self.http.get(format!("{}/v1/workflows", self.url)).send().await.expect("an answer");
        answer.text().await.expect("a body").contains("\"transfer\"")
    }
}

pub(crate) fn order(token: &str) -> Value {
    json!({"customer_id": "ada", "items": [{"sku": SKU, "quantity": 1}], "payment": {"token": token}})
}

/// Customers at work.
pub(crate) struct Crowd {
    stop: watch::Sender<bool>,
    customers: JoinSet<()>,
}

impl Crowd {
    /// They come; and some change their minds, if they may.
    pub(crate) fn come(front: &Front, dice: &mut Rng, may_cancel: bool) -> Self {
        let (stop, stopped) = watch::channel(false);
        let one = |number: u64| {
            let (front, stopped, dice) = (front.clone(), stopped.clone(), Rng::new(dice.next()));
            buy(front, dice, stopped, number, may_cancel)
        };
        let customers = (0..CUSTOMERS).map(one).collect();
        Self { stop, customers }
    }

    /// They go when each has been answered.
    pub(crate) async fn go(mut self) {
        self.stop.send_replace(true);
        while let Some(customer) = self.customers.join_next().await {
            customer.expect("a customer is answered");
        }
    }
}

async fn buy(front: Front, mut dice: Rng, stopped: watch::Receiver<bool>, number: u64, may_cancel: bool) {
    for round in 0.. {
        if *stopped.borrow() {
            return;
        }
        let key = format!("{number}-{round}-{}", dice.next());
        if dice.chance(30) {
            front.run(&key).await;
        } else {
            let order = front.order(&key, dice.pick(&TOKENS)).await;
            if may_cancel && dice.chance(10) {
                // Accepted, or too late: either is an answer.
                front.insist(&format!("/v1/orders/{order}/cancel"), &key, &json!({"by": "seller"})).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(100 + dice.below(300))).await;
    }
}
