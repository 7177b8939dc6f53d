//! Promise: for each fault of a confirm, the port's word (done, failed, unknown) is never more certain than what really
//! happened.

use std::time::Duration;

use backstitch::{
    gateway_sim::Config,
    payments::{GatewayError, IntentStatus, PaymentGateway, Refusal, UnknownReason},
};

use crate::{
    bench::{Bench, code, new_intent},
    support::{shop::gateway_at, wait_for, wait_until},
};

#[tokio::test]
async fn a_good_payment_is_captured_by_its_confirm() {
    let bench = Bench::new().await;
    let new = new_intent("tok_ok");
    let created = bench.gateway.create_intent("c", &new).await.expect("made");
    assert_eq!(created.status, IntentStatus::RequiresConfirmation);
    assert_eq!((created.amount, created.captured), (1000, 0));
    assert_eq!(created.currency, "EUR");
    assert_eq!(created.order_id.as_deref(), Some("order-1"));
    assert_eq!(created.metadata["step"], "a b&c=d");
    assert_eq!(bench.moved(&created.id).await, (0, 0));

    let paid = bench.gateway.confirm_intent("p", &created.id).await;
    let paid = paid.expect("paid");
    assert_eq!((paid.status, paid.captured), (IntentStatus::Succeeded, 1000));
    let row = bench.row(&created.id).await;
    assert_eq!(row["idempotency_key"], "p");
    assert_eq!(row["metadata"]["order_id"], "order-1");
    assert_eq!(row["status"], "succeeded");
    assert_eq!(bench.moved(&created.id).await, (1000, 0));
}

#[tokio::test]
async fn a_decline_is_certain_and_moves_nothing() {
    let bench = Bench::new().await;
    let id = bench.intent("tok_declined").await;
    for _ in 0..2 {
        let error = bench.gateway.confirm_intent("p", &id).await.expect_err("no");
        let GatewayError::Refused(Refusal::Declined(decline)) = &error else {
            panic!("not declined: {error}");
        };
        assert_eq!(decline.code, "card_declined");
        assert_eq!(decline.decline_code.as_deref(), Some("generic_decline"));
        assert!(error.is_certain() && !error.is_retryable());
    }
    let read = bench.read(&id).await;
    assert_eq!(read.status, IntentStatus::RequiresPaymentMethod);
    assert!(read.last_decline.is_some());
    assert_eq!(bench.moved(&id).await, (0, 0));
    let voided = bench.gateway.cancel_intent("x", &id).await.expect("voided");
    assert_eq!(voided.status, IntentStatus::Canceled);
}

#[tokio::test]
async fn a_cancel_settles_a_timeout_before_the_effect() {
    let bench = Bench::new().await;
    let id = bench.intent("tok_timeout_before_effect").await;
    for _ in 0..2 {
        let error = bench.hasty().confirm_intent("p", &id).await.expect_err("no");
        assert!(!error.is_certain(), "{error}");
        assert!(error.is_retryable());
    }
    let status = bench.read(&id).await.status;
    assert_eq!(status, IntentStatus::RequiresConfirmation);
    let voided = bench.gateway.cancel_intent("x", &id).await.expect("voided");
    assert_eq!(voided.status, IntentStatus::Canceled);
    assert_eq!(bench.moved(&id).await, (0, 0));
}

#[tokio::test]
async fn a_timeout_after_the_effect_reads_as_paid() {
    let bench = Bench::new().await;
    let id = bench.intent("tok_timeout_after_effect").await;
    let error = bench.hasty().confirm_intent("p", &id).await.expect_err("no");
    let GatewayError::Unknown { reason, .. } = error else {
        panic!("certain: {error}");
    };
    assert_eq!(reason, UnknownReason::Timeout);
    wait_until("the effect is there", async || bench.read(&id).await.status == IntentStatus::Succeeded).await;
    // The same key replays the answer that was lost; nothing is captured twice.
    let replayed = bench.gateway.confirm_intent("p", &id).await;
    assert_eq!(replayed.expect("replayed").captured, 1000);
    assert_eq!(bench.moved(&id).await, (1000, 0));
}

#[tokio::test]
async fn a_held_connection_is_dropped_without_an_answer() {
    let bench = Bench::with(Config { hold: Duration::from_millis(50), ..Config::default() }).await;
    let id = bench.intent("tok_timeout_before_effect").await;
    let error = bench.gateway.confirm_intent("p", &id).await.expect_err("no");
    let GatewayError::Unknown { reason, .. } = error else {
        panic!("certain: {error}");
    };
    assert_eq!(reason, UnknownReason::ConnectionLost);
    // The simulator lives on.
    bench.paid("tok_ok").await;
}

#[tokio::test]
async fn only_reading_resolves_a_stored_500() {
    let bench = Bench::new().await;
    let id = bench.intent("tok_500_after_effect").await;
    for _ in 0..3 {
        let error = bench.gateway.confirm_intent("p", &id).await.expect_err("no");
        let GatewayError::Unknown { reason, .. } = error else {
            panic!("certain: {error}");
        };
        assert_eq!(reason, UnknownReason::ServerError);
    }
    assert_eq!(bench.read(&id).await.captured, 1000);
    // Under a new key the gateway says that it had succeeded already, which the port calls a success.
    let again = bench.gateway.confirm_intent("p2", &id).await;
    assert_eq!(again.expect("already").status, IntentStatus::Succeeded);
    assert_eq!(bench.moved(&id).await, (1000, 0));
}

#[tokio::test]
async fn a_slow_payment_is_processing_first() {
    let bench = Bench::with(Config { slow: Duration::from_secs(3), ..Config::default() }).await;
    let id = bench.intent("tok_slow").await;
    let error = bench.hasty().confirm_intent("p", &id).await.expect_err("no");
    assert!(!error.is_certain(), "{error}");
    // While it is at work, a cancel is refused with the state, and the key is taken.
    let refused = bench.gateway.cancel_intent("x", &id).await;
    let refused = refused.expect_err("it is processing");
    assert_eq!(refused.code(), "payment_unexpected_state");
    let intent = refused.intent().expect("the intent comes along");
    assert_eq!(intent.status, IntentStatus::Processing);
    assert_eq!(code(bench.gateway.confirm_intent("p", &id).await), "gateway_outcome_unknown");
    // The client hung up, the payment goes through all the same, and the key has its answer.
    let paid = wait_for("the slow payment is answered", async || {
        bench.gateway.confirm_intent("p", &id).await.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(paid.captured, 1000);
    assert_eq!(bench.moved(&id).await, (1000, 0));
}

#[tokio::test]
async fn a_flaky_gateway_takes_the_same_key_later() {
    let bench = Bench::new().await;
    let id = bench.intent("tok_flaky_2").await;
    for _ in 0..2 {
        let error = bench.gateway.confirm_intent("p", &id).await.expect_err("no");
        assert_eq!(error.code(), "gateway_outcome_unknown");
        assert_eq!(bench.moved(&id).await, (0, 0));
    }
    let paid = bench.gateway.confirm_intent("p", &id).await.expect("paid");
    assert_eq!(paid.status, IntentStatus::Succeeded);
}

#[tokio::test]
async fn an_outage_is_unknown_and_takes_no_keys() {
    let bench = Bench::new().await;
    let id = bench.intent("tok_ok").await;
    let switch = |on: bool| Some(serde_json::json!({ "unavailable": on }));
    bench.sim("PUT", "faults", switch(true)).await;
    let error = bench.gateway.confirm_intent("p", &id).await;
    assert_eq!(code(error), "gateway_outcome_unknown");
    assert_eq!(code(bench.gateway.get_intent(&id).await), "gateway_outcome_unknown");
    assert_eq!(bench.moved(&id).await, (0, 0));
    bench.sim("PUT", "faults", switch(false)).await;
    bench.gateway.confirm_intent("p", &id).await.expect("paid");
}

#[tokio::test]
async fn an_unreachable_gateway_certainly_did_nothing() {
    // A port that was free a moment ago refuses connections.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let addr = listener.expect("a port").local_addr().expect("an address");
    let gateway = gateway_at(format!("http://{addr}"), Duration::from_secs(5));
    let error = gateway.confirm_intent("p", "pi_1").await.expect_err("no");
    assert_eq!(error.code(), "gateway_unavailable");
    assert!(error.is_certain() && error.is_retryable());
}

#[tokio::test]
async fn cancelling_is_refused_after_success() {
    let bench = Bench::new().await;
    let paid = bench.paid("tok_ok").await;
    let error = bench.gateway.cancel_intent("x", &paid).await.expect_err("no");
    assert_eq!(error.code(), "payment_unexpected_state");
    let intent = error.intent().expect("the intent comes along");
    assert_eq!((intent.status, intent.captured), (IntentStatus::Succeeded, 1000));

    let open = bench.intent("tok_ok").await;
    for key in ["x1", "x1", "x2"] {
        let voided = bench.gateway.cancel_intent(key, &open).await;
        assert_eq!(voided.expect("voided").status, IntentStatus::Canceled);
    }
    let error = bench.gateway.confirm_intent("p", &open).await;
    assert_eq!(code(error), "payment_unexpected_state");
    assert_eq!(bench.moved(&open).await, (0, 0));
}
