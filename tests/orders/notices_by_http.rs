//! Notices by a provider of the shop's own that answers slowly or badly: how often it is called, and by whom.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use backstitch::{
    Secret,
    engine::{BreakerState, Engine, Registry, guarded},
    notices::NoticeSettings,
    orders::{Notices, NotificationState, Orders, ShopSettings},
};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;

use crate::{notices::Teller, support::wait_until_within};

const PATIENCE: Duration = Duration::from_secs(60);

/// What it answers: a status, or nothing at all.
#[derive(Clone)]
struct Provider {
    answers: Arc<Mutex<Option<u16>>>,
    calls: Arc<Mutex<Vec<Value>>>,
}

async fn take(State(provider): State<Provider>, Json(body): Json<Value>) -> StatusCode {
    provider.calls.lock().expect("no panic").push(body["id"].clone());
    let status = *provider.answers.lock().expect("no panic");
    match status {
        Some(status) => StatusCode::from_u16(status).expect("a status"),
        None => std::future::pending().await,
    }
}

impl Provider {
    /// It, and settings by which it tells the operator of each order that is placed, and nobody anything else.
    async fn start(answers: Option<u16>) -> (Self, NoticeSettings) {
        let provider = Self { answers: Arc::new(Mutex::new(answers)), calls: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
        let app = Router::new().route("/", post(take)).with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/orders/placed_by_webhook.json");
        let (notices_url, notices) = (Some(Secret::new(url)), Some(file.into()));
        (provider, NoticeSettings { notices_url, notices, ..NoticeSettings::default() })
    }

    fn answer(&self, status: u16) {
        *self.answers.lock().expect("no panic") = Some(status);
    }

    fn calls(&self) -> Vec<Value> {
        self.calls.lock().expect("no panic").clone()
    }
}

#[tokio::test]
async fn a_provider_is_left_alone_sooner_than_a_vendor() {
    let (provider, settings) = Provider::start(Some(503)).await;
    let teller = Teller::open(&settings, 1).await;
    for _ in 0..5 {
        teller.place("ada@example.com").await;
    }
    wait_until_within(PATIENCE, "its breaker is open", async || {
        let known = teller.orders.notice_breakers().await.expect("the breakers");
        known.iter().flat_map(|known| &known.operations).any(|breaker| breaker.state == BreakerState::Open)
    })
    .await;
    // Each once or twice. Of fewer than twenty calls nothing follows for a vendor.
    assert!(provider.calls().len() < 20, "{:?}", provider.calls());
}

#[tokio::test]
async fn what_a_killed_worker_was_sending_is_soon_sent() {
    let (provider, settings) = Provider::start(None).await;
    let teller = Teller::open(&settings, 0).await;
    let order = teller.place("ada@example.com").await;
    let worker = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let pool = guarded(PgPoolOptions::new()).max_connections(4).connect_lazy(teller.shop.url()).expect("a URL");
    let notices = Notices::open(&settings).expect("usable settings");
    let orders = Orders::new(Engine::new(pool, Registry::new()), ShopSettings::default()).with_notices(notices);
    worker.spawn(async move { orders.deliver_notices(std::future::pending()).await });
    wait_until_within(PATIENCE, "it is being sent", async || provider.calls().len() == 1).await;
    worker.shutdown_background();
    provider.answer(202);
    teller.work();
    let sent = teller.until(order, NotificationState::Sent).await;
    assert_eq!((provider.calls(), sent.attempts), (vec![json!(sent.id); 2], 2));
}
