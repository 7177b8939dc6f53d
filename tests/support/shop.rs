//! A shop for tests: the gateway simulator with what it says really moved, the order service over an engine, and how an order
//! is placed. Where these run (in this process, behind HTTP, as processes of their own) is each test's own affair.

use std::{collections::HashMap, sync::Arc, time::Duration};

use backstitch::{
    activities::ShopDeps,
    engine::{Engine, Registry},
    gateway_sim::{self, Config, Running},
    orders::{Orders, Payment, PlaceOrder, PutItem, ShopSettings, Wanted},
    payments::{FIRST_VENDOR, GatewayConfig, PaymentGateway, Secret, StripeGateway, Vendor, VendorKind, VendorPool},
    workflows,
};
use serde_json::Value;
use sqlx::PgPool;

use super::wait_for_within;

/// What the gateway signs its webhooks with.
pub const WEBHOOK_SECRET: &str = "whsec_test";

/// Long enough for a good answer of the simulator; its silences last longer.
pub const GATEWAY_TIMEOUT: Duration = Duration::from_millis(500);

/// The workflows that an order needs.
pub const ORDER_WORKFLOWS: [&str; 2] = ["order", "late_payment"];

/// A gateway simulator on a port of its own, with a client that asks it what happened.
pub struct Simulator {
    pub running: Running,
    pub http: reqwest::Client,
}

/// What the gateway did for one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Payments that captured something.
    pub charges: usize,
    pub captured: i64,
    pub refunded: i64,
}

impl Simulator {
    pub async fn start(config: Config) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), config).await
    }

    pub async fn start_at(address: std::net::SocketAddr, config: Config) -> Self {
        let running = gateway_sim::start(address, config).await.expect("it starts");
        let url = reqwest::Url::parse(&running.url()).expect("a URL");
        let http = backstitch::tls::client(&url, Duration::from_secs(10)).expect("a client");
        Self { running, http }
    }

    pub fn url(&self) -> String {
        self.running.url()
    }

    /// A port to it that waits so long for an answer.
    pub fn gateway(&self, timeout: Duration) -> StripeGateway {
        gateway_at(self.url(), timeout)
    }

    /// A `/sim/...` call, which has to succeed; an empty answer is null.
    pub async fn sim(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}/sim/{path}", self.url());
        let mut request = self.http.request(method.parse().expect("a method"), url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.expect("an answer");
        let (status, text) = (response.status(), response.text().await.expect("a body"));
        assert!(status.is_success(), "{path}: {status}: {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") }
    }

    /// The ledger's payments.
    pub async fn payments(&self) -> Vec<Value> {
        let ledger = self.sim("GET", "ledger", None).await;
        ledger["payments"].as_array().expect("payments").clone()
    }

    /// What really moved, by order.
    pub async fn moved(&self) -> HashMap<String, Moved> {
        let mut moved: HashMap<String, Moved> = HashMap::new();
        for payment in self.payments().await {
            let order = payment["metadata"]["order_id"].as_str().expect("a payment names its order");
            let amount = |name: &str| payment[name].as_i64().expect("an amount");
            let sums = moved.entry(order.to_owned()).or_default();
            sums.charges += usize::from(amount("captured") > 0);
            sums.captured += amount("captured");
            sums.refunded += amount("refunded");
        }
        moved
    }
}

/// A port to what answers at this address.
pub fn gateway_at(url: String, timeout: Duration) -> StripeGateway {
    let config = GatewayConfig { timeout, ..GatewayConfig::new(url, "sk_test") };
    StripeGateway::new(&config).expect("a usable configuration")
}

/// The name of the second vendor.
pub const NORTH: &str = "north";

/// Stripe, and an acquirer that is the second choice.
pub fn two_vendors(stripe: String, north: String, timeout: Duration) -> Arc<VendorPool> {
    let secrets = vec![Secret::new(WEBHOOK_SECRET)];
    let first = Vendor { webhook_secrets: secrets, ..Vendor::stripe(FIRST_VENDOR, stripe, "sk_test") };
    let kind = VendorKind::Acquirer;
    let second = Vendor { name: NORTH.to_owned(), kind, url: north, weight: 0, ..first.clone() };
    Arc::new(VendorPool::new(vec![first, second], timeout, None).expect("usable settings"))
}

/// A simulator that sends signed webhooks to this address.
pub fn webhooks_to(url: String) -> Config {
    Config { webhook_url: Some(url), webhook_secret: Secret::new(WEBHOOK_SECRET), ..Config::default() }
}

/// The shop's workflows and activities over a gateway.
pub fn shop_registry(pool: &PgPool, gateway: Arc<dyn PaymentGateway>) -> Registry {
    workflows::register(Registry::new(), &ShopDeps::new(pool.clone(), gateway))
}

/// The order service, which takes the simulator's webhooks.
pub fn open_orders(engine: &Engine, settings: ShopSettings) -> Orders {
    Orders::new(engine.clone(), settings).with_webhook_secrets(vec![Secret::new(WEBHOOK_SECRET)])
}

/// Waits until some worker has registered these workflows.
pub async fn wait_until_registered(engine: &Engine, workflows: &[&str]) {
    wait_for_within(Duration::from_secs(60), "the workflows are registered", async || {
        let known = engine.workflows().await.map_err(|error| error.to_string())?;
        let names: Vec<String> = known.items.into_iter().map(|workflow| workflow.name).collect();
        let all = workflows.iter().all(|wanted| names.iter().any(|known| known == wanted));
        if all { Ok(()) } else { Err(names.join(", ")) }
    })
    .await;
}

/// Puts an item on the shelf: 10.00 EUR each.
pub async fn put_item(orders: &Orders, sku: &str, on_hand: i64) {
    let item = PutItem { name: sku.to_owned(), price: 1000, currency: "EUR".to_owned(), on_hand, seller: None };
    orders.put_item(sku, &item).await.expect("an item");
}

/// Ada's request for these items.
pub fn order_request(token: &str, items: &[(&str, i64)]) -> PlaceOrder {
    let wanted = |(sku, quantity): &(&str, i64)| Wanted { sku: (*sku).to_owned(), quantity: *quantity };
    PlaceOrder {
        customer_id: "ada".to_owned(),
        items: items.iter().map(wanted).collect(),
        currency: None,
        payment: Payment::of(token),
        delivery: None,
        contact: None,
    }
}
