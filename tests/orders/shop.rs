//! A whole shop for one test: database, worker, order service, gateway simulator, and a receiver for its webhooks.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Bytes, extract::Path, http::HeaderMap, http::StatusCode, routing::post};
use backstitch::{
    engine::{Engine, Operator, WorkerConfig},
    gateway_sim::Config,
    orders::{
        CancelOrder, Item, Order, Orders, Payment, PlaceOrder, ShopSettings, runs::ReconcileInput, state::CancelBy,
    },
    payments::{FIRST_VENDOR, PaymentGateway, StripeGateway, VendorKind, VendorPool},
};
use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::support::{
    TestDatabase,
    shop::{
        GATEWAY_TIMEOUT, NORTH, ORDER_WORKFLOWS, Simulator, open_orders, order_request, put_item, shop_registry,
        two_vendors, wait_until_registered, webhooks_to,
    },
    wait_for_within,
};

/// Retries of a step that keeps failing take about half a minute before the run is stuck; nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// Everything that an order needs.
pub(crate) struct Shop {
    pub(crate) orders: Orders,
    pub(crate) engine: Engine,
    pub(crate) pool: PgPool,
    pub(crate) simulator: Simulator,
    pub(crate) second: Option<Simulator>,
    _stop: DropGuard,
    database: TestDatabase,
}

/// How a shop differs from the usual one.
pub(crate) struct Opening {
    pub(crate) settings: ShopSettings,
    pub(crate) gateway: Config,
    /// A second vendor, an acquirer.
    pub(crate) second: Option<Config>,
    pub(crate) webhooks: bool,
    pub(crate) worker: bool,
    /// What stands between the shop and the simulator.
    pub(crate) port: fn(StripeGateway) -> Arc<dyn PaymentGateway>,
    pub(crate) gateway_timeout: Duration,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            settings: ShopSettings::default(),
            gateway: Config::default(),
            second: None,
            webhooks: true,
            worker: true,
            port: |gateway| Arc::new(gateway),
            gateway_timeout: GATEWAY_TIMEOUT,
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
        let signed = webhooks_to(hook);
        let simulator = Simulator::start(Config {
            webhook_url: signed.webhook_url.filter(|_| opening.webhooks),
            webhook_secret: signed.webhook_secret,
            ..opening.gateway
        });
        let simulator = simulator.await;
        let second = match opening.second {
            Some(config) => Some(start_second(config, &listener).await),
            None => None,
        };
        let vendors = second.as_ref().map(|second| two_vendors(simulator.url(), second.url(), opening.gateway_timeout));
        let gateway = match vendors.clone() {
            Some(vendors) => vendors as Arc<_>,
            None => (opening.port)(simulator.gateway(opening.gateway_timeout)),
        };
        let engine = Engine::new(pool.clone(), shop_registry(&pool, gateway));
        let orders = open_orders(&engine, opening.settings);
        let orders = match &vendors {
            Some(vendors) => orders.with_vendors(vendors),
            None => orders,
        };
        let config = WorkerConfig { poll_interval: Duration::from_millis(50), ..WorkerConfig::default() };
        let queues = if opening.worker { config.queues.clone() } else { vec!["nobody's".to_owned()] };
        let worker = engine.worker(WorkerConfig { queues, ..config });
        tokio::spawn(worker.run(stop.clone().cancelled_owned()));
        tokio::spawn(receive(listener, orders.clone(), stop.clone()));
        wait_until_registered(&engine, &ORDER_WORKFLOWS).await;
        Self { orders, engine, pool, simulator, second, _stop: stop.drop_guard(), database }
    }

    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }

    /// Puts an item on the shelf: 10.00 EUR each.
    pub(crate) async fn stock(&self, sku: &str, on_hand: i64) {
        put_item(&self.orders, sku, on_hand).await;
    }

    /// Places an order over `quantity` of `tea`.
    pub(crate) async fn order(&self, token: &str, quantity: i64) -> Uuid {
        self.orders.place(&order_request(token, &[("tea", quantity)]), None).await.expect("an order").order.id
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
        wait_for_within(PATIENCE, what, async || {
            let order = self.get(id).await;
            if fact(&order) { Ok(order) } else { Err(format!("{order:?}")) }
        })
        .await
    }

    /// Waits until an order's run has this status.
    pub(crate) async fn until_run(&self, id: Uuid, status: &str) -> backstitch::engine::Run {
        wait_for_within(PATIENCE, &format!("the run is {status}"), async || {
            let run = self.engine.run(self.get(id).await.run_id).await.expect("a run");
            if run.status == status { Ok(run) } else { Err(format!("{:?}", run.status)) }
        })
        .await
    }

    pub(crate) async fn retry(&self, id: Uuid) {
        let by = Operator { actor: "test".into(), reason: Some("it is healed".into()), ..Default::default() };
        self.engine.retry(self.get(id).await.run_id, &by).await.expect("it can be tried again");
    }

    /// What the gateway says really moved for an order: `(captured, refunded)`, in all.
    pub(crate) async fn moved(&self, id: Uuid) -> (i64, i64) {
        let mut all = self.moved_at(&self.simulator, id).await;
        if let Some(second) = &self.second {
            let there = self.moved_at(second, id).await;
            all = (all.0 + there.0, all.1 + there.1);
        }
        all
    }

    /// The same at one vendor.
    pub(crate) async fn moved_at(&self, simulator: &Simulator, id: Uuid) -> (i64, i64) {
        let moved = simulator.moved().await.remove(&id.to_string()).unwrap_or_default();
        (moved.captured, moved.refunded)
    }

    /// Places an order over one `tea` with a token for each vendor that has one.
    pub(crate) async fn order_with(&self, tokens: &[(&str, &str)]) -> Uuid {
        let request = request_with(tokens);
        self.orders.place(&request, None).await.expect("an order").order.id
    }

    /// A port to both vendors, without breakers.
    pub(crate) fn both(&self) -> Arc<VendorPool> {
        let second = self.second.as_ref().expect("a second vendor");
        two_vendors(self.simulator.url(), second.url(), GATEWAY_TIMEOUT)
    }

    /// Our books against those of both vendors.
    pub(crate) async fn books_agree(&self) {
        let now = ReconcileInput { grace_ms: 0, second_look_ms: 0, ..ReconcileInput::default() };
        let found = self.orders.compare(self.both().as_ref(), &now).await.expect("all can be read");
        assert_eq!((found.differences, found.unknown), (vec![], 0));
        assert_eq!(self.orders.book_breaches().await.expect("reads"), Vec::<String>::new());
    }

    pub(crate) async fn sim(&self, method: &str, path: &str) -> Value {
        self.simulator.sim(method, path, None).await
    }

    /// Shifts the database's clock.
    pub(crate) async fn pass(&self, span: Duration) {
        let query = "UPDATE backstitch.clock SET shift = shift + make_interval(secs => $1)";
        sqlx::query(query).bind(span.as_secs_f64()).execute(&self.pool).await.expect("shifts");
    }
}

/// Ada's request for one `tea`, with these tokens by vendor.
pub(crate) fn request_with(tokens: &[(&str, &str)]) -> PlaceOrder {
    let tokens = tokens.iter().map(|(vendor, token)| ((*vendor).to_owned(), (*token).to_owned())).collect();
    PlaceOrder { payment: Payment { token: None, tokens }, ..order_request("", &[("tea", 1)]) }
}

async fn start_second(config: Config, hooks: &tokio::net::TcpListener) -> Simulator {
    let signed = webhooks_to(format!("http://{}/hook/{NORTH}", hooks.local_addr().expect("it is bound")));
    let (webhook_url, webhook_secret) = (signed.webhook_url, signed.webhook_secret);
    Simulator::start(Config { kind: VendorKind::Acquirer, webhook_url, webhook_secret, ..config }).await
}

/// The merchant's webhook addresses.
async fn receive(listener: tokio::net::TcpListener, orders: Orders, stop: CancellationToken) {
    let take = async |orders: Orders, vendor: &str, headers: HeaderMap, body: Bytes| {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        match orders.webhook(vendor, header, &body).await {
            Ok(_) => StatusCode::OK,
            Err(_) => StatusCode::BAD_REQUEST,
        }
    };
    let of_first = {
        let orders = orders.clone();
        move |headers: HeaderMap, body: Bytes| async move { take(orders, FIRST_VENDOR, headers, body).await }
    };
    let of_any = move |Path(vendor): Path<String>, headers: HeaderMap, body: Bytes| async move {
        take(orders, &vendor, headers, body).await
    };
    let app = Router::new().route("/hook", post(of_first)).route("/hook/{vendor}", post(of_any));
    let _ = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await;
}
