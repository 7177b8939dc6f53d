//! The demo's stage: API, worker, order domain and gateway simulator in this process, on an embedded Postgres.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::wiring,
    config::{GatewayArgs, SchemaArgs},
    engine::{DEFAULT_MAX_PAYLOAD, DEFAULT_RETENTION, Engine, WorkerConfig},
    gateway_sim, http,
    orders::{Orders, PutItem, ShopSettings},
    payments::Secret,
    shop, tls,
};

/// Payment window in the demo; ten minutes by default elsewhere.
const PAYMENT_WINDOW: Duration = Duration::from_secs(4);
/// Refund tiers in the demo; `10m:70,30m:40` by default elsewhere.
const REFUND_TIERS: &str = "5s:70,10s:40";

/// An item that is in stock, and one that is not.
pub(super) const PLENTY: &str = "espresso";
pub(super) const SOLD_OUT: &str = "white-truffle";
/// Units of the first at the start.
pub(super) const ON_HAND: i64 = 10_000;
const PRICE: i64 = 1_250;

/// The demo's processes.
pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) orders: Orders,
    pub(super) gateway_url: String,
    pub(super) http: reqwest::Client,
    stop: CancellationToken,
}

/// What runs behind the stage.
pub(super) type Parts = JoinSet<anyhow::Result<()>>;

impl Stage {
    /// Migrates, starts everything and creates the items.
    pub(super) async fn set(pool: PgPool) -> anyhow::Result<(Arc<Self>, Parts)> {
        let local = ([127, 0, 0, 1], 0).into();
        let (api, sim) = (wiring::listen(local).await?, wiring::listen(local).await?);
        let events = format!("http://{}/v1/webhooks/stripe", api.local_addr()?);
        let gateway_url = format!("http://{}", sim.local_addr()?);
        let secret = Secret::new("whsec_demo");
        let gateway = GatewayArgs {
            gateway_url: gateway_url.clone(),
            gateway_key: Secret::new("sk_test_demo"),
            gateway_timeout: Duration::from_millis(800),
            webhook_secret: Some(secret.clone()),
        };
        let shop = ShopSettings {
            payment_window: PAYMENT_WINDOW,
            refund_tiers: REFUND_TIERS.parse()?,
            ..ShopSettings::default()
        };
        let orders = wiring::shop(pool, &SchemaArgs::default(), shop, gateway, DEFAULT_MAX_PAYLOAD, DEFAULT_RETENTION)?;
        let engine = orders.engine().clone();
        orders.migrate().await?;

        let stop = CancellationToken::new();
        let mut parts = Parts::new();
        let simulator = gateway_sim::Config {
            webhook_url: Some(events),
            webhook_secret: secret,
            hold: Duration::from_secs(3),
            ..gateway_sim::Config::default()
        };
        let stopped = stop.clone().cancelled_owned();
        parts.spawn(async move { gateway_sim::serve(sim, simulator, stopped).await.context("the gateway simulator") });
        let (app, stopped) = (shop::app(orders.clone()), stop.clone().cancelled_owned());
        parts.spawn(async move { http::serve(api, app, stopped).await.context("the API") });
        let config = WorkerConfig { name: "demo".to_owned(), drain: Duration::from_secs(5), ..WorkerConfig::default() };
        let (worker, stopped) = (engine.clone(), stop.clone().cancelled_owned());
        parts.spawn(async move { worker.work(config, stopped).await.context("the worker") });

        let item =
            |name: &str, on_hand| PutItem { name: name.to_owned(), price: PRICE, currency: "EUR".to_owned(), on_hand };
        orders.put_item(PLENTY, &item("Espresso beans, 1 kg", ON_HAND)).await?;
        orders.put_item(SOLD_OUT, &item("White truffle", 0)).await?;
        let http = tls::client(&gateway_url.parse()?, Duration::from_secs(10))?;
        Ok((Arc::new(Self { engine, orders, gateway_url, http, stop }), parts))
    }

    /// Drains and stops everything; returns the first failure.
    pub(super) async fn strike(&self, mut parts: Parts) -> anyhow::Result<()> {
        self.stop.cancel();
        let mut first = Ok(());
        while let Some(ended) = parts.join_next().await {
            first = first.and(ended.map_err(anyhow::Error::from).and_then(|ended| ended));
        }
        first
    }
}
