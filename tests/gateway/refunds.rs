//! Promise: refunds never exceed what was captured, and each can be found again, pending and failed ones included.

use backstitch::{
    gateway_sim::{Config, RefundFailure},
    payments::{GatewayError, PaymentGateway, Refund, RefundStatus, Refusal},
};
use std::time::Duration;

use crate::{
    bench::{Bench, new_refund},
    support::wait_until,
};

/// The gateway's own code of a rejection.
fn rejected(result: Result<Refund, GatewayError>) -> String {
    match result {
        Err(GatewayError::Refused(Refusal::Rejected { code, .. })) => code,
        other => panic!("not rejected: {other:?}"),
    }
}

fn slow_refunds(refund_failure: RefundFailure) -> Config {
    Config { refund_failure, refund_settles_after: Duration::from_secs(3600), ..Config::default() }
}

#[tokio::test]
async fn partial_refunds_never_exceed_the_payment() {
    let bench = Bench::new().await;
    let id = bench.paid("tok_ok").await;
    let gateway = &bench.gateway;
    let first = gateway.refund("r1", &new_refund(&id, 700)).await.expect("ok");
    assert_eq!((first.status, first.amount), (RefundStatus::Succeeded, 700));
    assert_eq!(first.currency, "EUR");
    assert_eq!(first.intent_id.as_deref(), Some(id.as_str()));

    let too_much = gateway.refund("r2", &new_refund(&id, 301)).await;
    assert_eq!(rejected(too_much), "amount_too_large");
    for amount in [0, -5] {
        let nothing = gateway.refund("r3", &new_refund(&id, amount)).await;
        assert_eq!(rejected(nothing), "parameter_invalid_integer");
    }
    gateway.refund("r4", &new_refund(&id, 300)).await.expect("ok");
    let again = gateway.refund("r5", &new_refund(&id, 1)).await;
    assert_eq!(rejected(again), "charge_already_refunded");
    assert_eq!(bench.moved(&id).await, (1000, 1000));
}

#[tokio::test]
async fn a_refund_is_found_by_intent_and_reference() {
    let bench = Bench::new().await;
    let (id, other) = (bench.paid("tok_ok").await, bench.paid("tok_ok").await);
    assert_eq!(bench.gateway.refunds_of(&id).await.expect("a list"), []);
    let mut made = Vec::new();
    for n in 0..12 {
        let refund = bench.gateway.refund(&format!("r{n}"), &new_refund(&id, 10)).await;
        made.insert(0, refund.expect("ok"));
    }
    let refund = bench.gateway.refund("o", &new_refund(&other, 10)).await;
    refund.expect("ok");
    let found = bench.gateway.refunds_of(&id).await.expect("a list");
    assert_eq!(found, made, "all of this intent, newest first");
    assert_eq!(found[0].metadata["step_key"], "run-1:7");
    assert_eq!(found[0].order_id.as_deref(), Some("order-1"));
    let read = bench.gateway.get_refund(&found[3].id).await.expect("read");
    assert_eq!(read, found[3]);
}

#[tokio::test]
async fn an_intent_without_money_can_not_be_refunded() {
    let bench = Bench::new().await;
    let id = bench.intent("tok_ok").await;
    let error = bench.gateway.refund("r", &new_refund(&id, 1)).await;
    let error = error.expect_err("nothing was captured");
    assert_eq!(error.code(), "payment_unexpected_state");
    let unknown = bench.gateway.refund("r", &new_refund("pi_no", 1)).await;
    assert_eq!(rejected(unknown), "resource_missing");
}

#[tokio::test]
async fn a_pending_refund_is_paid_later() {
    let bench = Bench::with(slow_refunds(RefundFailure::Refused)).await;
    let id = bench.paid("tok_refund_pending").await;
    let refund = bench.gateway.refund("r", &new_refund(&id, 600)).await.expect("ok");
    assert_eq!(refund.status, RefundStatus::Pending);
    assert_eq!(bench.moved(&id).await, (1000, 0));
    let too_much = bench.gateway.refund("r2", &new_refund(&id, 401)).await;
    assert_eq!(rejected(too_much), "amount_too_large");

    bench.sim("POST", "settle", None).await;
    let read = bench.gateway.get_refund(&refund.id).await.expect("read");
    assert_eq!(read.status, RefundStatus::Succeeded);
    assert_eq!(bench.moved(&id).await, (1000, 600));
}

#[tokio::test]
async fn a_pending_refund_settles_by_itself() {
    let bench = Bench::with(Config { refund_settles_after: Duration::from_millis(50), ..Config::default() }).await;
    let id = bench.paid("tok_refund_pending").await;
    bench.gateway.refund("r", &new_refund(&id, 600)).await.expect("ok");
    wait_until("the refund is made", async || bench.moved(&id).await == (1000, 600)).await;
}

#[tokio::test]
async fn a_refused_refund_works_once_healed() {
    let bench = Bench::new().await;
    let id = bench.paid("tok_refund_fails").await;
    let new = new_refund(&id, 1000);
    for _ in 0..2 {
        let error = bench.gateway.refund("r", &new).await;
        let error = error.expect_err("the balance is empty");
        assert!(error.is_certain() && error.is_retryable());
        assert_eq!(rejected(Err(error)), "balance_insufficient");
    }
    assert_eq!(bench.moved(&id).await, (1000, 0));
    assert_eq!(bench.sim("POST", "refunds/heal", None).await["healed"], 1);
    assert_eq!(bench.sim("POST", "refunds/heal", None).await["healed"], 0);
    let refund = bench.gateway.refund("r", &new).await.expect("healed");
    assert_eq!(refund.status, RefundStatus::Succeeded);
    assert_eq!(bench.moved(&id).await, (1000, 1000));
    // Later payments are ill again.
    let next = bench.paid("tok_refund_fails").await;
    let error = bench.gateway.refund("n", &new_refund(&next, 1)).await;
    assert_eq!(rejected(error), "balance_insufficient");
}

#[tokio::test]
async fn one_payment_can_be_healed_alone() {
    let bench = Bench::new().await;
    let (one, other) = (bench.paid("tok_refund_fails").await, bench.paid("tok_refund_fails").await);
    let path = format!("refunds/heal?payment_intent={one}");
    assert_eq!(bench.sim("POST", &path, None).await["healed"], 1);
    bench.gateway.refund("a", &new_refund(&one, 5)).await.expect("healed");
    let error = bench.gateway.refund("b", &new_refund(&other, 5)).await;
    assert_eq!(rejected(error), "balance_insufficient");
}

#[tokio::test]
async fn a_refund_that_fails_later_needs_a_new_key() {
    let bench = Bench::with(slow_refunds(RefundFailure::Later)).await;
    let id = bench.paid("tok_refund_fails").await;
    let new = new_refund(&id, 1000);
    let refund = bench.gateway.refund("r", &new).await.expect("accepted");
    assert_eq!(refund.status, RefundStatus::Pending);
    bench.sim("POST", "settle", None).await;
    let read = bench.gateway.get_refund(&refund.id).await.expect("read");
    assert_eq!(read.status, RefundStatus::Failed);
    assert!(read.status.is_void() && read.failure_reason.is_some());
    assert_eq!(bench.moved(&id).await, (1000, 0));

    bench.sim("POST", "refunds/heal", None).await;
    let replayed = bench.gateway.refund("r", &new).await.expect("replayed");
    assert_eq!(replayed, refund, "the stored answer, not the news");
    let second = bench.gateway.refund("r-2", &new).await.expect("healed");
    assert_eq!(second.status, RefundStatus::Succeeded);
    assert_eq!(bench.moved(&id).await, (1000, 1000));
}

#[tokio::test]
async fn the_ledger_adds_up_after_many_parallel_calls() {
    let bench = Bench::new().await;
    let mut refunded = 0;
    for n in 0..10 {
        let token = ["tok_ok", "tok_no_webhook", "tok_flaky_0"][n % 3];
        let id = bench.paid(token).await;
        // Ten at once ask for 300 each, of 1000.
        let news: Vec<_> = (0..10).map(|_| new_refund(&id, 300)).collect();
        let keys: Vec<String> = (0..10).map(|k| format!("{id}-{k}")).collect();
        let calls = keys.iter().zip(&news).map(|(key, new)| bench.gateway.refund(key, new));
        let answers = futures_util::future::join_all(calls).await;
        let good = answers.into_iter().filter(Result::is_ok).count();
        assert_eq!(good, 3);
        refunded += 900;
    }
    let ledger = bench.sim("GET", "ledger", None).await;
    let sum = |name: &str| -> i64 {
        let rows = ledger["payments"].as_array().expect("rows");
        rows.iter().filter_map(|row| row[name].as_i64()).sum()
    };
    assert_eq!((sum("captured"), sum("refunded")), (10_000, refunded));
}
