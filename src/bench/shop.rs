//! The shop as a load: REST, worker, gateway simulator with webhooks and the client in this process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{measure, place::Place};
use crate::{
    Secret,
    activities::{About, Notification, Notifier, NotifyFuture, Recipient, ShopDeps},
    engine::{Engine, Registry, WorkerConfig},
    gateway_sim, http,
    orders::{Orders, PutItem, ShopSettings},
    payments::{GatewayConfig, StripeGateway},
    shop, tls, workflows,
};

const ON_HAND: i64 = 10_000_000;
const PRICE: i64 = 1_250;
/// An order that is not placed by then is lost.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The parts of a running shop.
pub(super) struct Shop {
    pub(super) orders: Orders,
    pub(super) engine: Engine,
    skus: usize,
    base: String,
    gateway: String,
    http: reqwest::Client,
    placed: Arc<Placed>,
    stop: CancellationToken,
    parts: JoinSet<anyhow::Result<()>>,
}

/// Counts the orders whose customer was told that they are placed: the client knows by it without asking the database.
#[derive(Default)]
struct Placed(AtomicU64);

impl Notifier for Placed {
    fn send<'a>(&'a self, notification: &'a Notification) -> NotifyFuture<'a> {
        let notice = notification.notice;
        if notice.to == Recipient::Customer && matches!(notice.about, About::Placed) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Box::pin(async { Ok(()) })
    }
}

impl Shop {
    /// Migrates, starts all parts and puts `skus` items on sale.
    pub(super) async fn open(place: &Place, skus: usize) -> anyhow::Result<Self> {
        let (api, sim) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
        let (base, gateway) = (format!("http://{}", api.local_addr()?), format!("http://{}", sim.local_addr()?));
        let secret = Secret::new("whsec_bench");
        let client = StripeGateway::new(&GatewayConfig::new(&*gateway, "sk_test_bench"))?;
        let placed = Arc::new(Placed::default());
        let deps = ShopDeps { notifier: placed.clone(), ..ShopDeps::new(place.pool.clone(), Arc::new(client)) };
        let registry = workflows::register(Registry::new(), &deps);
        let engine = Engine::new(place.pool.clone(), registry).with_schema(&place.schema)?;
        let orders = Orders::new(engine.clone(), ShopSettings::default()).with_webhook_secrets(vec![secret.clone()]);
        orders.migrate().await?;

        let (stop, mut parts) = (CancellationToken::new(), JoinSet::new());
        let simulator = gateway_sim::Config {
            webhook_url: Some(format!("{base}/v1/webhooks/stripe")),
            webhook_secret: secret,
            ..gateway_sim::Config::default()
        };
        let stopped = stop.clone().cancelled_owned();
        parts.spawn(async move { gateway_sim::serve(sim, simulator, stopped).await.context("the gateway simulator") });
        let (app, stopped) = (shop::app(orders.clone()), stop.clone().cancelled_owned());
        parts.spawn(async move { http::serve(api, app, stopped).await.context("the API") });
        for n in 0..place.workers.max(1) {
            let config = WorkerConfig { name: format!("bench-{n}"), ..WorkerConfig::default() };
            let (worker, stopped) = (engine.clone(), stop.clone().cancelled_owned());
            parts.spawn(async move { worker.work(config, stopped).await.context("the worker") });
        }
        for sku in 0..skus {
            let (price, on_hand) = (PRICE, ON_HAND);
            let item =
                PutItem { name: format!("Item {sku}"), price, currency: "EUR".to_owned(), on_hand, seller: None };
            orders.put_item(&format!("sku-{sku}"), &item).await?;
        }
        let http = tls::client(&base.parse()?, ANSWER_WITHIN)?;
        Ok(Self { orders, engine, skus, base, gateway, http, placed, stop, parts })
    }

    /// Orders that have been placed so far.
    pub(super) fn count_placed(&self) -> u64 {
        self.placed.0.load(Ordering::Relaxed)
    }

    /// Waits until so many orders have been placed in all; gives the moment.
    pub(super) async fn until_placed(&self, orders: u64) -> anyhow::Result<Instant> {
        let began = Instant::now();
        while self.count_placed() < orders {
            ensure!(began.elapsed() < PATIENCE, "{} of {orders} orders are placed", self.count_placed());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(Instant::now())
    }

    /// Waits until no run is at work: placed orders are parked until their refund window ends.
    pub(super) async fn until_quiet(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        while measure::count_open(&self.engine).await? > 0 {
            ensure!(began.elapsed() < PATIENCE, "runs are still at work");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Places the `n`th order, of one item; gives the milliseconds until the answer. `wait`: until it is placed.
    pub(super) async fn place(&self, n: usize, wait: bool) -> anyhow::Result<f64> {
        let body = json!({
            "customer_id": format!("customer-{}", n % 10_000),
            "items": [{"sku": format!("sku-{}", n % self.skus), "quantity": 1}],
            "payment": {"token": "tok_ok"},
            "delivery": {"address": "1 Long Street, Some Town"},
        });
        let url = format!("{}/v1/orders{}", self.base, if wait { "?wait=30s" } else { "" });
        let began = Instant::now();
        let answer = self.http.post(url).json(&body).send().await?.error_for_status()?;
        let order: Value = answer.json().await?;
        let ms = began.elapsed().as_secs_f64() * 1e3;
        ensure!(!wait || order["state"] == "placed", "an order is {} after 30 s", order["state"]);
        Ok(ms)
    }

    /// Checks that so many orders are placed, each charged once, and that the books are equal.
    pub(super) async fn check(&self, orders: u64) -> anyhow::Result<()> {
        let breaches = self.orders.book_breaches().await?;
        ensure!(breaches.is_empty(), "the books don't add up: {}", breaches.join("; "));
        let ledger: Value = self.http.get(format!("{}/sim/ledger", self.gateway)).send().await?.json().await?;
        let payments = ledger["payments"].as_array().context("the gateway's ledger is a list of payments")?;
        let charged = payments.iter().filter(|payment| payment["captured"] == PRICE);
        let mut charged: Vec<&str> = charged.filter_map(|payment| payment["metadata"]["order_id"].as_str()).collect();
        charged.sort_unstable();
        charged.dedup();
        let once = charged.len() == payments.len() && charged.len() as u64 == orders;
        ensure!(once, "{orders} orders, {} payments, {} orders charged in full", payments.len(), charged.len());
        let mut sold = 0;
        for sku in 0..self.skus {
            let item = self.orders.item(&format!("sku-{sku}")).await?;
            sold += ON_HAND - item.on_hand;
            ensure!(item.held == 0, "{} units of sku-{sku} are still reserved", item.held);
        }
        ensure!(sold as u64 == orders, "{orders} orders of one unit each, and {sold} units are gone");
        Ok(())
    }

    /// Stops all parts; gives the first failure.
    pub(super) async fn close(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let mut first = Ok(());
        while let Some(ended) = self.parts.join_next().await {
            first = first.and(ended.map_err(anyhow::Error::from).and_then(|ended| ended));
        }
        first
    }
}
