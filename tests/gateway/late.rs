//! Promise: a payment may arrive after its order has expired, and can be refunded then.

use std::time::Duration;

use backstitch::{
    gateway_sim::{Config, LateCancel},
    payments::{IntentStatus, PaymentGateway},
};

use crate::{
    bench::{Bench, code, new_refund},
    support::wait_until,
};

fn never_by_itself(late_cancel: LateCancel) -> Config {
    Config {
        late_cancel,
        late_after: Duration::from_secs(3600),
        late_at_most: Duration::from_secs(7200),
        ..Config::default()
    }
}

#[tokio::test]
async fn money_that_arrives_after_a_cancel_is_refundable() {
    let bench = Bench::with(never_by_itself(LateCancel::Accepted)).await;
    let id = bench.intent("tok_late_success").await;
    let confirmed = bench.gateway.confirm_intent("p", &id).await.expect("taken");
    assert_eq!(confirmed.status, IntentStatus::Processing);
    let voided = bench.gateway.cancel_intent("x", &id).await.expect("voided");
    assert_eq!(voided.status, IntentStatus::Canceled);
    assert_eq!(bench.moved(&id).await, (0, 0));
    let refund = bench.gateway.refund("r", &new_refund(&id, 1000)).await;
    assert_eq!(code(refund), "payment_unexpected_state");

    let settled = bench.sim("POST", "settle", None).await;
    assert_eq!(settled["settled"], 1);
    let read = bench.read(&id).await;
    assert_eq!((read.status, read.captured), (IntentStatus::Succeeded, 1000));
    let refund = bench.gateway.refund("r", &new_refund(&id, 1000)).await;
    assert_eq!(refund.expect("refunded").amount, 1000);
    assert_eq!(bench.moved(&id).await, (1000, 1000));
}

#[tokio::test]
async fn a_refused_cancel_reports_the_payments_progress() {
    let bench = Bench::with(never_by_itself(LateCancel::Refused)).await;
    let id = bench.intent("tok_late_success").await;
    bench.gateway.confirm_intent("p", &id).await.expect("taken");
    let cancel = || async {
        let error = bench.gateway.cancel_intent("x", &id).await;
        let error = error.expect_err("it is refused");
        error.intent().expect("the intent comes along").status
    };
    assert_eq!(cancel().await, IntentStatus::Processing);
    bench.sim("POST", "settle", None).await;
    assert_eq!(cancel().await, IntentStatus::Succeeded);
    assert_eq!(bench.moved(&id).await, (1000, 0));
}

#[tokio::test]
async fn a_cancel_starts_the_clock_of_late_payments() {
    for late_cancel in [LateCancel::Accepted, LateCancel::Refused] {
        let bench =
            Bench::with(Config { late_cancel, late_after: Duration::from_millis(100), ..Config::default() }).await;
        let id = bench.intent("tok_late_success").await;
        bench.gateway.confirm_intent("p", &id).await.expect("taken");
        let _ = bench.gateway.cancel_intent("x", &id).await;
        wait_until("the money arrives", async || bench.read(&id).await.status == IntentStatus::Succeeded).await;
    }
}

#[tokio::test]
async fn a_late_payment_arrives_without_a_cancel() {
    let bench = Bench::with(Config { late_at_most: Duration::from_millis(100), ..Config::default() }).await;
    let id = bench.intent("tok_late_success").await;
    bench.gateway.confirm_intent("p", &id).await.expect("taken");
    wait_until("the money arrives", async || bench.read(&id).await.status == IntentStatus::Succeeded).await;
}
