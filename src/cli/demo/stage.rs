//! The demo's stage: API, worker, order domain and gateway simulator in this process, on an embedded Postgres.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use serde_json::json;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use crate::{
    cli::wiring,
    config::{GatewayArgs, SchemaArgs},
    engine::{Engine, WorkerConfig},
    gateway_sim, http,
    notices::NoticeSettings,
    orders::{Orders, PutItem, ShopSettings},
    payments::{FIRST_VENDOR, Secret, VendorKind},
    shop, tls,
};

/// Payment window in the demo; ten minutes by default elsewhere. This and what follows is for an idle machine.
const PAYMENT_WINDOW: Duration = Duration::from_secs(4);
/// Until when the first and the second refund tier apply; `10m:70,30m:40` by default elsewhere.
const TIERS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(10)];
const GATEWAY_TIMEOUT: Duration = Duration::from_millis(800);
/// How long a silent gateway is silent.
const SILENCE: Duration = Duration::from_secs(3);

/// An item that is in stock, and one that is not.
pub(super) const PLENTY: &str = "espresso";
pub(super) const SOLD_OUT: &str = "white-truffle";
/// Units of the first at the start.
pub(super) const ON_HAND: i64 = 10_000;
pub(super) const PRICE: i64 = 1_250;

/// The demo's processes.
pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) orders: Orders,
    pub(super) gateway_url: String,
    /// The second payment vendor.
    pub(super) second_url: String,
    pub(super) http: reqwest::Client,
    pub(super) pace: Pace,
    stop: CancellationToken,
}

/// The name of the second vendor, an acquirer.
pub(super) const SECOND_VENDOR: &str = "north";
const WEBHOOK_SECRET: &str = "whsec_demo";

/// Both vendors as the setting has them; the second is asked where the first does not serve an order.
fn vendors(first: &str, second: &str) -> String {
    json!([
        {"name": FIRST_VENDOR, "kind": "stripe", "url": first, "key": "sk_test_demo", "webhook_secret": WEBHOOK_SECRET},
        {"name": SECOND_VENDOR, "kind": "acquirer", "url": second, "key": "key_demo", "webhook_secret": WEBHOOK_SECRET,
            "weight": 0},
    ])
    .to_string()
}

/// What runs behind the stage.
pub(super) type Parts = JoinSet<anyhow::Result<()>>;

impl Stage {
    /// Migrates, starts everything and creates the items.
    pub(super) async fn set(pool: PgPool, pace: Pace) -> anyhow::Result<(Arc<Self>, Parts)> {
        let local = ([127, 0, 0, 1], 0).into();
        let (api, sim, acquiring) =
            (wiring::listen(local).await?, wiring::listen(local).await?, wiring::listen(local).await?);
        let events =
            |vendor: &str| Ok::<_, std::io::Error>(format!("http://{}/v1/webhooks/{vendor}", api.local_addr()?));
        let (of_first, of_second) = (events(FIRST_VENDOR)?, events(SECOND_VENDOR)?);
        let gateway_url = format!("http://{}", sim.local_addr()?);
        let second_url = format!("http://{}", acquiring.local_addr()?);
        let secret = Secret::new(WEBHOOK_SECRET);
        let gateway = GatewayArgs {
            gateway_url: gateway_url.clone(),
            gateway_key: Secret::new("sk_test_demo"),
            vendors: Some(Secret::new(vendors(&gateway_url, &second_url))),
            gateway_timeout: pace.of(GATEWAY_TIMEOUT),
            webhook_secret: Some(secret.clone()),
        };
        let [first, second] = TIERS.map(|until| pace.of(until));
        let shop = ShopSettings {
            payment_window: pace.of(PAYMENT_WINDOW),
            refund_tiers: format!("{}ms:70,{}ms:40", first.as_millis(), second.as_millis()).parse()?,
            ..ShopSettings::default()
        };
        let (schema, notices) = (SchemaArgs::default(), NoticeSettings::default());
        let orders = wiring::shop(pool, &schema, shop, &notices, gateway, wiring::Limits::default(), None)?;
        let engine = orders.engine().clone();
        orders.migrate().await?;

        let stop = CancellationToken::new();
        let mut parts = Parts::new();
        let simulator = gateway_sim::Config {
            webhook_url: Some(of_first),
            webhook_secret: secret.clone(),
            hold: pace.of(SILENCE),
            ..gateway_sim::Config::default()
        };
        let stopped = stop.clone().cancelled_owned();
        parts.spawn(async move { gateway_sim::serve(sim, simulator, stopped).await.context("the gateway simulator") });
        let acquirer = gateway_sim::Config {
            kind: VendorKind::Acquirer,
            webhook_url: Some(of_second),
            webhook_secret: secret,
            ..gateway_sim::Config::default()
        };
        let stopped = stop.clone().cancelled_owned();
        parts.spawn(async move { gateway_sim::serve(acquiring, acquirer, stopped).await.context("the second vendor") });
        let (app, stopped) = (shop::app(orders.clone()), stop.clone().cancelled_owned());
        parts.spawn(async move { http::serve(api, app, stopped).await.context("the API") });
        let config = WorkerConfig { name: "demo".to_owned(), drain: Duration::from_secs(5), ..WorkerConfig::default() };
        let (worker, stopped) = (engine.clone(), stop.clone().cancelled_owned());
        parts.spawn(async move { worker.work(config, stopped).await.context("the worker") });
        let (teller, stopped) = (orders.clone(), stop.clone().cancelled_owned());
        parts.spawn(async move {
            teller.deliver_notices(stopped).await;
            Ok(())
        });

        let item = |name: &str, on_hand| PutItem {
            name: name.to_owned(),
            price: PRICE,
            currency: "EUR".to_owned(),
            on_hand,
            seller: None,
        };
        orders.put_item(PLENTY, &item("Espresso beans, 1 kg", ON_HAND)).await?;
        orders.put_item(SOLD_OUT, &item("White truffle", 0)).await?;
        let http = tls::client(&gateway_url.parse()?, Duration::from_secs(10))?;
        Ok((Arc::new(Self { engine, orders, gateway_url, second_url, http, pace, stop }), parts))
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
