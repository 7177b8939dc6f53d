//! What stays up: a Postgres that syncs, the gateway simulator, and the API, where the gateway's webhooks come in.

use std::{sync::Arc, time::Duration};

use backstitch::{
    activities::ShopDeps,
    embedded::Embedded,
    engine::{Engine, Registry},
    gateway_sim,
    http::{self, App},
    orders::{Orders, PutItem, ShopSettings},
    payments::{Secret, StripeConfig, StripeGateway},
    workflows,
};
use serde_json::Value;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::rest::until;

const SECRET: &str = "whsec_chaos";
/// Of the gateway's answers; its silences last until the client hangs up.
pub(crate) const GATEWAY_TIMEOUT: &str = "500ms";
const PAYMENT_WINDOW: Duration = Duration::from_secs(10);
const REFUND_TIERS: &str = "4s:70,8s:40";

/// There is enough of the first; the second runs out. Units on hand at the start.
pub(crate) const SHELVES: [(&str, i64); 2] = [("plenty", 100_000), ("scarce", 150)];

/// Where it all happens.
pub(crate) struct Stage {
    pub(crate) orders: Orders,
    pub(crate) engine: Engine,
    pub(crate) pool: PgPool,
    simulator: gateway_sim::Running,
    client: reqwest::Client,
    server: Embedded,
    _stop: DropGuard,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let server = Embedded::temporary().await.expect("the server starts");
        let patient = PgPoolOptions::new().max_connections(40).acquire_timeout(Duration::from_secs(20));
        let pool = patient.connect(&server.url()).await.expect("it takes connections");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let hook = format!("http://{}/v1/webhooks/stripe", listener.local_addr().expect("it is bound"));
        let config = gateway_sim::Config {
            webhook_url: Some(hook),
            webhook_secret: Secret::new(SECRET),
            hold: Duration::from_secs(3),
            ..gateway_sim::Config::default()
        };
        let any = "127.0.0.1:0".parse().expect("an address");
        let simulator = gateway_sim::start(any, config).await.expect("it starts");
        // This process places, cancels and takes webhooks; it never pays.
        let gateway = StripeConfig::new(simulator.url(), Secret::new("sk_test"));
        let gateway = Arc::new(StripeGateway::new(&gateway).expect("a gateway"));
        let registry = workflows::register(Registry::new(), &ShopDeps::new(pool.clone(), gateway));
        let engine = Engine::new(pool.clone(), registry);
        engine.migrate().await.expect("migrates");
        let settings = ShopSettings {
            payment_window: PAYMENT_WINDOW,
            refund_tiers: REFUND_TIERS.parse().expect("tiers"),
            ..ShopSettings::default()
        };
        let orders = Orders::new(engine.clone(), settings).with_webhook_secrets(vec![Secret::new(SECRET)]);
        for (sku, on_hand) in SHELVES {
            let item = PutItem { name: sku.to_owned(), price: 1000, currency: "EUR".to_owned(), on_hand };
            orders.put_item(sku, &item).await.expect("an item");
        }
        let stop = CancellationToken::new();
        tokio::spawn(http::serve(listener, App::new(orders.clone()), stop.clone().cancelled_owned()));
        let url = reqwest::Url::parse(&simulator.url()).expect("a URL");
        let client = backstitch::tls::client(&url, Duration::from_secs(10)).expect("a client");
        Self { orders, engine, pool, simulator, client, server, _stop: stop.drop_guard() }
    }

    pub(crate) async fn until_registered(&self) {
        let query = "SELECT count(*) = 2 FROM backstitch.workflow WHERE name IN ('order', 'late_payment')";
        until("the workflows are registered", Duration::from_secs(30), async || self.ask::<bool>(query).await).await;
    }

    /// The one value that a query gives.
    pub(crate) async fn ask<T>(&self, query: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.expect("the query works")
    }

    pub(crate) async fn sim(&self, method: &str, path: &str) -> Value {
        let method = method.parse().expect("a method");
        let request = self.client.request(method, format!("{}/sim/{path}", self.simulator.url()));
        request.send().await.expect("an answer").json().await.expect("JSON")
    }

    pub(crate) fn database_url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn gateway_url(&self) -> String {
        self.simulator.url()
    }

    pub(crate) async fn strike(self) {
        self.pool.close().await;
        self.server.stop().await;
    }
}
