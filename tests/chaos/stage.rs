//! What stays up: a Postgres that syncs, the gateway simulator, and the API, where the gateway's webhooks come in.

use std::{sync::Arc, time::Duration};

use backstitch::{
    embedded::Embedded,
    engine::Engine,
    gateway_sim, http,
    orders::{Orders, ShopSettings},
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::shop::{self, GATEWAY_TIMEOUT, Simulator};

const PAYMENT_WINDOW: Duration = Duration::from_secs(10);
const REFUND_TIERS: &str = "4s:70,8s:40";

/// There is enough of the first; the second runs out. Units on hand at the start.
pub(crate) const SHELVES: [(&str, i64); 2] = [("plenty", 100_000), ("scarce", 150)];

/// Where it all happens.
pub(crate) struct Stage {
    pub(crate) orders: Orders,
    pub(crate) engine: Engine,
    pub(crate) pool: PgPool,
    pub(crate) simulator: Simulator,
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
        let config = gateway_sim::Config { hold: Duration::from_secs(3), ..shop::webhooks_to(hook) };
        let simulator = Simulator::start(config).await;
        // This process places, cancels and takes webhooks; it never pays.
        let gateway = Arc::new(simulator.gateway(GATEWAY_TIMEOUT));
        let engine = Engine::new(pool.clone(), shop::shop_registry(&pool, gateway));
        let settings = ShopSettings {
            payment_window: PAYMENT_WINDOW,
            refund_tiers: REFUND_TIERS.parse().expect("tiers"),
            ..ShopSettings::default()
        };
        let orders = shop::open_orders(&engine, settings);
        orders.migrate().await.expect("migrates");
        for (sku, on_hand) in SHELVES {
            shop::put_item(&orders, sku, on_hand).await;
        }
        let stop = CancellationToken::new();
        tokio::spawn(http::serve(listener, backstitch::shop::app(orders.clone()), stop.clone().cancelled_owned()));
        Self { orders, engine, pool, simulator, server, _stop: stop.drop_guard() }
    }

    /// The one value that a query gives.
    pub(crate) async fn ask<T>(&self, query: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.expect("the query works")
    }

    pub(crate) fn database_url(&self) -> String {
        self.server.url()
    }

    pub(crate) async fn strike(self) {
        self.pool.close().await;
        self.server.stop().await;
    }
}
