//! Promise: a webhook event is recorded once per event id and only with a valid signature, also when it is about an archived
//! order.

use backstitch::{
    gateway_sim::Config,
    orders::{
        ShopSettings, WebhookTaken,
        state::{OrderState, PaymentState},
    },
    payments::{Secret, sign},
};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

use crate::shop::{Opening, Shop};

fn event(id: &str, order: Uuid, status: &str) -> Vec<u8> {
    let object = json!({"id": format!("pi_{}", order.simple()), "object": "payment_intent", "status": status,
        "amount": 1000, "amount_received": if status == "succeeded" { 1000 } else { 0 }, "currency": "eur",
        "metadata": {"order_id": order.to_string()}, "last_payment_error": null});
    let kind = format!("payment_intent.{status}");
    json!({"id": id, "type": kind, "created": 1, "data": {"object": object}}).to_string().into_bytes()
}

fn signed(body: &[u8]) -> &'static str {
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    sign(&[Secret::new("whsec_test")], i64::try_from(now).expect("fits"), body).leak()
}

#[tokio::test]
async fn a_repeated_event_is_taken_once() {
    let shop = Shop::without_worker().await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_ok", 1).await;
    let body = event("evt_1", id, "succeeded");
    let header = signed(&body);
    let take = || shop.orders.webhook("stripe", |_| Some(header), &body);
    let (a, b, c) = tokio::join!(take(), take(), take());
    let taken = [a, b, c].map(|taken| taken.expect("taken"));
    assert_eq!(taken.iter().filter(|taken| **taken == WebhookTaken::Signalled).count(), 1, "{taken:?}");
    assert_eq!(taken.iter().filter(|taken| **taken == WebhookTaken::Duplicate).count(), 2, "{taken:?}");
    let counts: (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM shop.webhook_events), (SELECT count(*) FROM backstitch.signal)")
            .fetch_one(&shop.pool)
            .await
            .expect("counts");
    assert_eq!(counts, (1, 1));
    assert_eq!(shop.get(id).await.state, OrderState::Created, "an event is news, it moves nothing");
}

#[tokio::test]
async fn a_bad_signature_leaves_no_row() {
    let shop = Shop::without_worker().await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_ok", 1).await;
    let body = event("evt_1", id, "succeeded");
    let refused = shop.orders.webhook("stripe", |_| Some("t=1,v1=00"), &body).await.map_err(|error| error.code());
    assert!(refused.expect_err("not signed").starts_with("signature_"));
    let counts: (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM shop.webhook_events), (SELECT count(*) FROM shop.webhook_rejects)",
    )
    .fetch_one(&shop.pool)
    .await
    .expect("counts");
    assert_eq!(counts, (0, 0), "anybody can send it");
    let unreadable = b"{}";
    let refused =
        shop.orders.webhook("stripe", |_| Some(signed(unreadable)), unreadable).await.map_err(|error| error.code());
    assert_eq!(refused.expect_err("it is no event"), "webhook_unreadable");
    let rejects: i64 =
        sqlx::query_scalar("SELECT count(*) FROM shop.webhook_rejects").fetch_one(&shop.pool).await.expect("a count");
    assert_eq!(rejects, 1, "the gateway signed that");
}

#[tokio::test]
async fn unknown_payments_events_are_only_recorded() {
    let shop = Shop::without_worker().await;
    let body = event("evt_1", Uuid::now_v7(), "succeeded");
    assert_eq!(
        shop.orders.webhook("stripe", |_| Some(signed(&body)), &body).await.expect("taken"),
        WebhookTaken::NoOrder
    );
    let other = br#"{"id":"evt_2","type":"customer.created","data":{"object":{}}}"#;
    assert_eq!(
        shop.orders.webhook("stripe", |_| Some(signed(other)), other).await.expect("taken"),
        WebhookTaken::OfNoUse
    );
}

#[tokio::test]
async fn a_late_payment_finds_its_archived_order() {
    let hours = Duration::from_secs(7200);
    let gateway = Config { late_after: hours, late_at_most: hours, ..Config::default() };
    let settings = ShopSettings { payment_window: Duration::from_secs(3), ..ShopSettings::default() };
    let shop = Shop::with(Opening { settings, gateway, ..Opening::default() }).await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_late_success", 2).await;
    shop.until_run(id, "compensated").await;
    shop.pass(Duration::from_secs(1801)).await;
    let input = backstitch::orders::runs::SweepInput { after_ms: 1_800_000, keep_months: 12, keep_days: 30 };
    let input = backstitch::engine::to_json(&input).expect("JSON");
    let start = backstitch::engine::StartRun::named("archive_sweep", input);
    shop.engine.start(start).await.expect("starts");
    shop.until(id, "it is archived", |order| order.archived).await;
    shop.sim("POST", "settle").await;
    let order = shop.until(id, "it is placed after all", |order| order.state == OrderState::Placed).await;
    assert_eq!((order.archived, order.items.len(), order.payment_state), (false, 1, PaymentState::Captured));
    assert_eq!((shop.shelf("tea").await, shop.moved(id).await), ((3, 0), (2000, 0)));
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM shop.order_archive").fetch_one(&shop.pool).await.expect("n");
    assert_eq!(left, 0);
}
