//! Promise: webhooks are signed and may be repeated or missing; the payment side takes all of that.

use std::time::{SystemTime, UNIX_EPOCH};

use backstitch::payments::{
    IntentStatus, PaymentGateway, RefundStatus, Secret, VendorKind,
    webhook::{Subject, receive},
};

use crate::{
    bench::{Bench, Merchant, new_refund},
    support::shop::WEBHOOK_SECRET,
};

fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "another party's clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("fits")
}

#[tokio::test]
async fn a_payments_webhook_has_a_valid_signature() {
    let mut merchant = Merchant::start(0).await;
    let bench = Bench::with(merchant.config()).await;
    let id = bench.paid("tok_ok").await;
    let delivery = merchant.next().await;
    let secrets = [Secret::from("whsec_new"), Secret::from(WEBHOOK_SECRET)];
    let event = receive(VendorKind::Stripe, &secrets, |_| Some(delivery.signature.as_str()), &delivery.body, now())
        .expect("good");
    assert_eq!(event.event_type, "payment_intent.succeeded");
    let Subject::Intent(intent) = event.subject else {
        panic!("not an intent");
    };
    assert_eq!((intent.id.as_str(), intent.captured), (id.as_str(), 1000));
    assert_eq!(intent.status, IntentStatus::Succeeded);
    assert_eq!(intent.order_id.as_deref(), Some("order-1"));

    let code = |secrets: &[Secret], body: &[u8], now: i64| {
        receive(VendorKind::Stripe, secrets, |_| Some(delivery.signature.as_str()), body, now)
            .expect_err("it must be refused")
            .code()
    };
    let tampered = [&delivery.body[..], b" "].concat();
    assert_eq!(code(&secrets, &tampered, now()), "signature_mismatch");
    assert_eq!(code(&secrets, &delivery.body, now() + 310), "signature_stale");
    let old = code(&secrets[..1], &delivery.body, now());
    assert_eq!(old, "signature_mismatch");
}

#[tokio::test]
async fn a_failed_delivery_is_repeated() {
    let mut merchant = Merchant::start(2).await;
    let bench = Bench::with(merchant.config()).await;
    bench.paid("tok_ok").await;
    assert_eq!(merchant.next_event().await.0, "payment_intent.succeeded");
}

#[tokio::test]
async fn duplicates_come_under_one_event_id() {
    let mut merchant = Merchant::start(0).await;
    let bench = Bench::with(merchant.config()).await;
    bench.paid("tok_duplicate_webhooks").await;
    let first = merchant.next_event().await;
    assert_eq!(first.0, "payment_intent.succeeded");
    assert_eq!(merchant.next_event().await, first);
    assert_eq!(merchant.next_event().await, first);
}

#[tokio::test]
async fn tok_no_webhook_sends_no_webhook() {
    let mut merchant = Merchant::start(0).await;
    let bench = Bench::with(merchant.config()).await;
    let silent = bench.paid("tok_no_webhook").await;
    let refund = bench.gateway.refund("r", &new_refund(&silent, 1)).await;
    refund.expect("refunded");
    let loud = bench.paid("tok_ok").await;
    // A silent payment's events would have been sent before the loud one's.
    let delivery = merchant.next().await;
    let body = String::from_utf8_lossy(&delivery.body).into_owned();
    assert!(body.contains(&loud) && !body.contains(&silent), "{body}");
    drop(bench);
}

#[tokio::test]
async fn declines_voids_and_refunds_send_webhooks() {
    let mut merchant = Merchant::start(0).await;
    let bench = Bench::with(merchant.config()).await;
    let declined = bench.intent("tok_declined").await;
    let _ = bench.gateway.confirm_intent("p", &declined).await;
    let event = merchant.next_event().await;
    assert_eq!(event.0, "payment_intent.payment_failed");
    let voided = bench.gateway.cancel_intent("x", &declined).await;
    voided.expect("voided");
    assert_eq!(merchant.next_event().await.0, "payment_intent.canceled");

    let paid = bench.paid("tok_refund_pending").await;
    assert_eq!(merchant.next_event().await.0, "payment_intent.succeeded");
    let refund = bench.gateway.refund("r", &new_refund(&paid, 1000)).await;
    let refund = refund.expect("accepted");
    assert_eq!(merchant.next_event().await.0, "refund.created");
    bench.sim("POST", "settle", None).await;
    let delivery = merchant.next().await;
    let secrets = [Secret::from(WEBHOOK_SECRET)];
    let event = receive(VendorKind::Stripe, &secrets, |_| Some(delivery.signature.as_str()), &delivery.body, now())
        .expect("good");
    assert_eq!(event.event_type, "refund.updated");
    let Subject::Refund(news) = event.subject else {
        panic!("not a refund");
    };
    assert_eq!((news.id, news.status), (refund.id, RefundStatus::Succeeded));
    assert_eq!(news.intent_id.as_deref(), Some(paid.as_str()));
    assert_eq!(news.order_id.as_deref(), Some("order-1"));
}
