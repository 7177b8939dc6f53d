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
use uuid::Uuid;

use crate::{notices::Teller, support::wait_until_within};

const PATIENCE: Duration = Duration::from_secs(60);

/// What it answers: a status, or nothing at all.
#[derive(Clone)]
struct Provider {
    answers: Arc<Mutex<Option<u16>>>,
    calls: Arc<Mutex<Vec<Value>>>,
}

async fn take(State(provider): State<Provider>, Json(body): Json<Value>) -> StatusCode {
    provider.calls.lock().expect("no panic").push(body);
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

    /// From now on it never answers.
    fn hang(&self) {
        *self.answers.lock().expect("no panic") = None;
    }

    fn calls(&self) -> Vec<Value> {
        self.calls.lock().expect("no panic").clone()
    }

    /// The id of the message of each call.
    fn ids(&self) -> Vec<Value> {
        self.calls().iter().map(|body| body["id"].clone()).collect()
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
    assert!(provider.calls().len() < 20, "{:?}", provider.ids());
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
    assert_eq!((provider.ids(), sent.attempts), (vec![json!(sent.id); 2], 2));
}

#[tokio::test]
async fn nobody_else_sends_what_takes_a_worker_long() {
    let (provider, settings) = Provider::start(None).await;
    // Two, each of which is waited for ten seconds: a claim that is not renewed is over by then.
    let url = settings.notices_url.as_ref().expect("a URL").expose();
    let more = json!({
        "recipients": {"order.placed": {"operator": ["webhook"]}},
        "providers": {"webhook": [{"name": "second", "url": url}]},
    });
    let file = std::env::temp_dir().join(format!("notices-{}.json", Uuid::now_v7()));
    std::fs::write(&file, more.to_string()).expect("a file");
    let teller = Teller::open(&NoticeSettings { notices: Some(file.clone()), ..settings.clone() }, 2).await;
    std::fs::remove_file(file).expect("it is there");
    let order = teller.place("ada@example.com").await;
    let failed = teller.until(order, NotificationState::Failed).await;
    assert_eq!((provider.ids(), failed.attempts), (vec![json!(failed.id); 2], 1));
}

#[tokio::test]
async fn amounts_have_the_decimals_of_their_currency() {
    let (provider, settings) = Provider::start(Some(202)).await;
    let teller = Teller::open(&settings, 1).await;
    for (currency, price) in [("JPY", "1000 JPY each"), ("KWD", "1.000 KWD each"), ("EUR", "10.00 EUR each")] {
        let item = json!({"name": "tea", "price": 1000, "currency": currency, "on_hand": 100_000});
        let item = serde_json::from_value(item).expect("an item");
        teller.orders.put_item("tea", &item).await.expect("it is put");
        let order = teller.place("ada@example.com").await;
        let sent = teller.until(order, NotificationState::Sent).await;
        let calls = provider.calls();
        let text = calls.iter().find(|body| body["id"] == json!(sent.id)).and_then(|body| body["text"].as_str());
        assert!(text.is_some_and(|text| text.contains(price)), "{text:?}");
    }
}

#[tokio::test]
async fn a_worker_that_lost_its_claim_records_nothing() {
    let (provider, settings) = Provider::start(None).await;
    let teller = Teller::open(&settings, 1).await;
    let order = teller.place("ada@example.com").await;
    wait_until_within(PATIENCE, "it is being sent", async || provider.calls().len() == 1).await;
    // Another has it now, and the first one's call fails later.
    let take = "UPDATE shop.notification SET attempts = 2, next_attempt_at = now() + interval '1 hour'";
    sqlx::query(take).execute(&teller.shop.pool).await.expect("it is taken");
    provider.answer(202);
    let next = teller.place("grace@example.com").await;
    teller.until(next, NotificationState::Sent).await;
    let seen = teller.until(order, NotificationState::Pending).await;
    assert_eq!((seen.attempts, seen.last_error), (2, None));
}

#[tokio::test]
async fn an_attempt_under_way_says_nothing_of_a_resend() {
    let (provider, settings) = Provider::start(Some(503)).await;
    let teller = Teller::open(&settings, 1).await;
    let order = teller.place("ada@example.com").await;
    let failed = teller.until(order, NotificationState::Failed).await;
    provider.hang();
    let calls = provider.calls().len();
    wait_until_within(PATIENCE, "it is being sent again", async || provider.calls().len() > calls).await;
    let before = teller.until(order, NotificationState::Failed).await.attempts;
    let again = teller.orders.resend_notification(failed.id).await.expect("it is sent again");
    assert_eq!((again.state, again.attempts), (NotificationState::Pending, before + 1));
    provider.answer(202);
    let sent = teller.until(order, NotificationState::Sent).await;
    assert_eq!(sent.attempts, before + 2, "the failure between them is not on record");
}
