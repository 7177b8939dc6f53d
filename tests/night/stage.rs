//! The deployment: a Postgres that syncs, the gateway simulator, an API without a worker, two workers, and two keys.

use std::{process::Stdio, time::Duration};

use backstitch::{embedded::Embedded, gateway_sim};
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::process::Child;

use crate::support::{
    process,
    shop::{Simulator, webhooks_to},
    wait_until_within,
};

const AT_MOST: Duration = Duration::from_secs(240);

/// Units on hand in the evening.
pub(crate) const ON_HAND: i64 = 100_000;
pub(crate) const SKU: &str = "plenty";

/// What stays up all night.
pub(crate) struct Stage {
    pub(crate) pool: PgPool,
    pub(crate) url: String,
    /// The customers' shop front may start runs and place orders.
    pub(crate) starter_key: String,
    /// The person on call.
    pub(crate) operator_key: String,
    pub(crate) http: reqwest::Client,
    pub(crate) simulator: Simulator,
    server: Embedded,
    _processes: Vec<Child>,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let server = Embedded::temporary().await.expect("the server starts");
        let database = server.url();
        process::run(&database, &["migrate"]).await;
        let address = process::free_address();
        let signed = webhooks_to(format!("http://{address}/v1/webhooks/stripe"));
        let simulator = Simulator::start(gateway_sim::Config { hold: Duration::from_secs(3), ..signed }).await;
        let operator_key = key(&database, "night-shift", "operator").await;
        let starter_key = key(&database, "shop-front", "operator").await;
        let spawn = |args: &[&str]| member(&database, &simulator.url(), args);
        let mut api = spawn(&["serve", "--no-worker", "--listen", &address.to_string()]);
        let url = process::ready(&mut api).await;
        let processes = vec![api, spawn(&["worker"]), spawn(&["worker"])];
        let pool = PgPoolOptions::new().max_connections(5).connect(&database).await.expect("it takes connections");
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().expect("a client");
        let stage = Self { pool, url, starter_key, operator_key, http, simulator, server, _processes: processes };
        let registered = "SELECT count(*) > 0 FROM backstitch.workflow WHERE name = 'order'";
        stage.until("the workers are up", async || stage.ask(registered).await).await;
        let item = json!({"name": "Plenty", "price": 1000, "currency": "EUR", "on_hand": ON_HAND});
        stage.call("PUT", &format!("/v1/items/{SKU}"), &item).await;
        stage
    }

    /// The one value that a query gives.
    pub(crate) async fn ask<T>(&self, query: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.expect("the query works")
    }

    /// A call of the shop front; it has to succeed.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let method = method.parse().expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.starter_key);
        let answer = request.json(body).send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert!(status.is_success(), "{path}: {status}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    pub(crate) async fn gateway_is(&self, how: &str) {
        self.simulator.sim("PUT", "faults", Some(&json!({"unavailable": how == "unavailable"}))).await;
    }

    pub(crate) async fn bank_lifts_its_block(&self) {
        self.simulator.sim("POST", "refunds/heal", Some(&json!({}))).await;
    }

    /// Waits for a fact.
    pub(crate) async fn until(&self, what: &str, fact: impl AsyncFnMut() -> bool) {
        wait_until_within(AT_MOST, what, fact).await;
    }

    pub(crate) fn database_url(&self) -> String {
        self.server.url()
    }

    pub(crate) async fn strike(self) {
        self.pool.close().await;
        drop(self._processes);
        self.server.stop().await;
    }
}

async fn key(database: &str, name: &str, role: &str) -> String {
    process::run(database, &["key", "create", name, "--role", role]).await.trim().to_owned()
}

fn member(database: &str, gateway: &str, args: &[&str]) -> Child {
    process::shop(database, gateway, args)
        .env("BACKSTITCH_PAYMENT_WINDOW", "30m")
        .env("BACKSTITCH_REFUND_TIERS", "60m:70")
        .env("BACKSTITCH_LOG", "error")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts")
}
