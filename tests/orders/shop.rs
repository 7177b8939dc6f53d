//! A whole shop for one test: database, worker, order service, gateway simulator, and a receiver for its webhooks.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Bytes, http::HeaderMap, http::StatusCode, routing::post};
use backstitch::{
    activities::ShopDeps,
    engine::{Engine, Operator, Registry, WorkerConfig},
    gateway_sim::{self, Config, Running},
    orders::{CancelOrder, Item, Order, Orders, Payment, PlaceOrder, PutItem, ShopSettings, Wanted, state::CancelBy},
    payments::{PaymentGateway, SIGNATURE_HEADER, Secret, StripeConfig, StripeGateway},
    workflows,
};
use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::{support::TestDatabase, wrong_amount::ShortChange};

/// Retries of a step that keeps failing take about half a minute before the run is stuck; nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(90);
const SECRET: &str = "whsec_test";

/// Everything that an order needs.
pub(crate) struct Shop {
    pub(crate) orders: Orders,
    pub(crate) engine: Engine,
    pub(crate) pool: PgPool,
    simulator: Running,
    http: reqwest::Client,
    _stop: DropGuard,
    database: TestDatabase,
}

/// How a shop differs from the usual one.
pub(crate) struct Opening {
    pub(crate) settings: ShopSettings,
    pub(crate) gateway: Config,
    pub(crate) webhooks: bool,
    pub(crate) worker: bool,
    pub(crate) short_change: bool,
    pub(crate) gateway_timeout: Duration,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            settings: ShopSettings::default(),
            gateway: Config::default(),
            webhooks: true,
            worker: true,
            short_change: false,
            gateway_timeout: Duration::from_millis(500),
        }
    }
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::with(Opening::default()).await
    }

    /// The service and a worker that has registered the workflows, but does no work: what the service alone does.
    pub(crate) async fn without_worker() -> Self {
        Self::with(Opening { worker: false, ..Opening::default() }).await
    }

    pub(crate) async fn with(opening: Opening) -> Self {
        let database = TestDatabase::new().await;
        let pool = database.pool().clone();
        let stop = CancellationToken::new();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let hook = format!("http://{}/hook", listener.local_addr().expect("it is bound"));
        let gateway = Config {
            webhook_url: opening.webhooks.then_some(hook),
            webhook_secret: Secret::new(SECRET),
            ..opening.gateway
        };
        let any = "127.0.0.1:0".parse().expect("an address");
        let simulator = gateway_sim::start(any, gateway).await.expect("it starts");
        let config = StripeConfig {
            timeout: opening.gateway_timeout,
            ..StripeConfig::new(simulator.url(), Secret::new("sk_test"))
        };
        let gateway = StripeGateway::new(&config).expect("a gateway");
        let gateway: Arc<dyn PaymentGateway> =
            if opening.short_change { Arc::new(ShortChange(gateway)) } else { Arc::new(gateway) };
        let registry = workflows::register(Registry::new(), &ShopDeps::new(pool.clone(), gateway));
        let engine = Engine::new(pool.clone(), registry);
        let secrets = vec![Secret::new(SECRET)];
        let orders = Orders::new(engine.clone(), opening.settings).with_webhook_secrets(secrets);
        let config = WorkerConfig { poll_interval: Duration::from_millis(50), ..WorkerConfig::default() };
        let queues = if opening.worker { config.queues.clone() } else { vec!["nobody's".to_owned()] };
        let worker = engine.worker(WorkerConfig { queues, ..config });
        tokio::spawn(worker.run(stop.clone().cancelled_owned()));
        tokio::spawn(receive(listener, orders.clone(), stop.clone()));
        let url = reqwest::Url::parse(&simulator.url()).expect("a URL");
        let http = backstitch::tls::client(&url, Duration::from_secs(5)).expect("a client");
        let shop = Self { orders, engine, pool, simulator, http, _stop: stop.drop_guard(), database };
        shop.until_registered().await;
        shop
    }

    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }

    pub(crate) fn gateway_url(&self) -> String {
        self.simulator.url()
    }

    async fn until_registered(&self) {
        let query = "SELECT count(*) FROM backstitch.workflow WHERE name IN ('order', 'late_payment')";
        eventually("the workflows are registered", async || {
            let known: i64 = sqlx::query_scalar(query).fetch_one(&self.pool).await.expect("reads");
            (known == 2).then_some(())
        })
        .await;
    }

    /// Puts an item on the shelf: 10.00 EUR each.
    pub(crate) async fn stock(&self, sku: &str, on_hand: i64) {
        let item = PutItem { name: sku.to_owned(), price: 1000, currency: "EUR".to_owned(), on_hand };
        self.orders.put_item(sku, &item).await.expect("an item");
    }

    /// Places an order over `quantity` of `tea`.
    pub(crate) async fn order(&self, token: &str, quantity: i64) -> Uuid {
        self.orders.place(&request(token, &[("tea", quantity)]), None).await.expect("an order").order.id
    }

    pub(crate) async fn get(&self, id: Uuid) -> Order {
        self.orders.get(id).await.expect("an order")
    }

    pub(crate) async fn item(&self, sku: &str) -> Item {
        self.orders.item(sku).await.expect("an item")
    }

    /// `(on_hand, held)` of an item.
    pub(crate) async fn shelf(&self, sku: &str) -> (i64, i64) {
        let item = self.item(sku).await;
        assert_eq!(item.available, item.on_hand - item.held);
        (item.on_hand, item.held)
    }

    pub(crate) async fn cancel(&self, id: Uuid, by: CancelBy) -> Result<Order, String> {
        let request = CancelOrder { reason: None, by: Some(by) };
        self.orders.cancel(id, &request).await.map_err(|error| error.code().to_owned())
    }

    /// Waits until an order is as `fact` says.
    pub(crate) async fn until(&self, id: Uuid, what: &str, fact: impl Fn(&Order) -> bool) -> Order {
        eventually(what, async || Some(self.get(id).await).filter(&fact)).await
    }

    /// Waits until an order's run has this status.
    pub(crate) async fn until_run(&self, id: Uuid, status: &str) -> backstitch::engine::Run {
        eventually(&format!("the run is {status}"), async || {
            let run = self.engine.run(self.get(id).await.run_id).await.expect("a run");
            (run.status == status).then_some(run)
        })
        .await
    }

    pub(crate) async fn retry(&self, id: Uuid) {
        let by = Operator { actor: "test".into(), reason: Some("it is healed".into()), ..Default::default() };
        self.engine.retry(self.get(id).await.run_id, &by).await.expect("it can be tried again");
    }

    /// What the gateway says really moved for an order: `(captured, refunded)`, in all.
    pub(crate) async fn moved(&self, id: Uuid) -> (i64, i64) {
        let ledger = self.sim("GET", "ledger").await;
        let payments = ledger["payments"].as_array().expect("payments").clone();
        let ours = payments.iter().filter(|row| row["metadata"]["order_id"] == id.to_string());
        ours.fold((0, 0), |(captured, refunded), row| {
            let amount = |name: &str| row[name].as_i64().expect("an amount");
            (captured + amount("captured"), refunded + amount("refunded"))
        })
    }

    pub(crate) async fn sim(&self, method: &str, path: &str) -> Value {
        let method = method.parse().expect("a method");
        let request = self.http.request(method, format!("{}/sim/{path}", self.simulator.url()));
        request.send().await.expect("an answer").json().await.expect("JSON")
    }

    /// Shifts the database's clock.
    pub(crate) async fn pass(&self, span: Duration) {
        let query = "UPDATE backstitch.clock SET shift = shift + make_interval(secs => $1)";
        sqlx::query(query).bind(span.as_secs_f64()).execute(&self.pool).await.expect("shifts");
    }
}

/// A request for these items.
pub(crate) fn request(token: &str, items: &[(&str, i64)]) -> PlaceOrder {
    let wanted = |(sku, quantity): &(&str, i64)| Wanted { sku: (*sku).to_owned(), quantity: *quantity };
    PlaceOrder {
        customer_id: "ada".to_owned(),
        items: items.iter().map(wanted).collect(),
        currency: None,
        payment: Payment { token: token.to_owned() },
        delivery: None,
    }
}

/// The merchant's webhook address.
async fn receive(listener: tokio::net::TcpListener, orders: Orders, stop: CancellationToken) {
    let hook = async move |headers: HeaderMap, body: Bytes| {
        let signature = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match orders.webhook(signature, &body).await {
            Ok(_) => StatusCode::OK,
            Err(_) => StatusCode::BAD_REQUEST,
        }
    };
    let app = Router::new().route("/hook", post(hook));
    let _ = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await;
}

/// Waits until `probe` gives something.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(std::time::Instant::now() < until, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
