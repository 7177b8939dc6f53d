//! Promise: one idempotency key has one effect, and every repetition gets the stored answer.

use backstitch::payments::{GatewayError, NewIntent, PaymentGateway, UnknownReason};

use crate::{
    bench::{Bench, new_intent, new_refund},
    support::wait_until,
};

const FORM: &str = "amount=1000&currency=eur&payment_method=tok_ok&metadata[order_id]=o1";

#[tokio::test]
async fn the_order_of_parameters_does_not_matter() {
    let bench = Bench::new().await;
    let turned = "metadata%5Border_id%5D=o1&payment_method=tok_ok&currency=eur&amount=1000";
    let (status, replayed, first) = bench.post("/v1/payment_intents", "k", FORM).await;
    assert_eq!((status, replayed), (200, false));
    let (status, replayed, second) = bench.post("/v1/payment_intents", "k", turned).await;
    assert_eq!((status, replayed), (200, true));
    assert_eq!(first, second);
    let ledger = bench.sim("GET", "ledger", None).await;
    assert_eq!(ledger["payments"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_key_with_other_parameters_is_refused() {
    let bench = Bench::new().await;
    bench.post("/v1/payment_intents", "k", FORM).await;
    let other = FORM.replace("1000", "2000");
    let (status, _, body) = bench.post("/v1/payment_intents", "k", &other).await;
    assert_eq!(status, 400);
    assert_eq!(body["error"]["type"], "idempotency_error");
    // The key belongs to one endpoint, too.
    let (status, _, body) = bench.post("/v1/payment_intents/pi_x/cancel", "k", "").await;
    assert_eq!((status, &body["error"]["type"]), (400, &"idempotency_error".into()));

    let new = NewIntent { amount: 5, ..new_intent("tok_ok") };
    let error = bench.gateway.create_intent("k", &new).await;
    let error = error.expect_err("the key is taken");
    let GatewayError::Unknown { reason, .. } = &error else {
        panic!("certain: {error}");
    };
    assert_eq!(*reason, UnknownReason::KeyReused);
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_stored_500_is_replayed_as_it_was() {
    let bench = Bench::new().await;
    let id = bench.intent("tok_500_after_effect").await;
    let path = format!("/v1/payment_intents/{id}/confirm");
    let (status, replayed, first) = bench.post(&path, "k", "").await;
    assert_eq!((status, replayed), (500, false));
    let (status, replayed, second) = bench.post(&path, "k", "").await;
    assert_eq!((status, replayed), (500, true));
    assert_eq!(first, second);
    let (status, _, body) = bench.post(&path, "k2", "").await;
    assert_eq!(status, 400);
    assert_eq!(body["error"]["code"], "payment_intent_unexpected_state");
    assert_eq!(body["error"]["payment_intent"]["status"], "succeeded");
}

#[tokio::test]
async fn parallel_calls_with_one_key_have_one_effect() {
    let bench = Bench::new().await;
    let id = bench.paid("tok_ok").await;
    let refund = new_refund(&id, 400);
    let calls = (0..16).map(|_| bench.gateway.refund("r", &refund));
    let answers = futures_util::future::join_all(calls).await;
    let mut refunds = Vec::new();
    for answer in answers {
        match answer {
            Ok(refund) => refunds.push(refund.id),
            Err(GatewayError::Unknown { reason, .. }) => {
                assert_eq!(reason, UnknownReason::InProgress);
            }
            Err(error) => panic!("{error}"),
        }
    }
    refunds.dedup();
    assert_eq!(refunds.len(), 1, "one refund, for all callers");
    assert_eq!(bench.moved(&id).await, (1000, 400));
}

#[tokio::test]
async fn a_second_call_during_the_first_gets_409() {
    let bench = Bench::new().await;
    let id = bench.intent("tok_slow").await;
    let path = format!("/v1/payment_intents/{id}/confirm");
    let first = bench.post(&path, "k", "");
    let second = async {
        // The first has begun once the intent is processing.
        wait_until("the payment is processing", async || bench.row(&id).await["status"] == "processing").await;
        bench.post(&path, "k", "").await
    };
    let ((first, ..), (second, _, body)) = tokio::join!(first, second);
    assert_eq!((first, second), (200, 409));
    assert_eq!(body["error"]["code"], "idempotency_key_in_use");
    assert_eq!(bench.moved(&id).await, (1000, 0));
}

#[tokio::test]
async fn a_request_that_never_began_keeps_its_key() {
    let bench = Bench::new().await;
    let bad = FORM.replace("1000", "-1");
    let (status, ..) = bench.post("/v1/payment_intents", "k", &bad).await;
    assert_eq!(status, 400);
    let (status, ..) = bench.post("/v1/payment_intents", "k", FORM).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_forgotten_ledger_forgets_payments_and_keys() {
    let bench = Bench::new().await;
    let (.., first) = bench.post("/v1/payment_intents", "k", FORM).await;
    bench.sim("DELETE", "ledger", None).await;
    let ledger = bench.sim("GET", "ledger", None).await;
    assert_eq!(ledger, serde_json::json!({"payments": []}));
    let (_, replayed, second) = bench.post("/v1/payment_intents", "k", FORM).await;
    assert!(!replayed);
    assert_ne!(first["id"], second["id"]);
}
