//! Promise: a refund is paid once or ends with an operator: pending ones, refused ones, and ones that fail days later.

use backstitch::{
    gateway_sim::{Config, RefundFailure},
    orders::state::{CancelBy, OrderState, PaymentState},
};

use crate::shop::{Opening, Shop};

#[tokio::test]
async fn an_order_is_cancelling_until_its_refund_settles() {
    let gateway = Config { refund_settles_after: std::time::Duration::from_secs(3600), ..Config::default() };
    let shop = Shop::with(Opening { gateway, ..Opening::default() }).await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_refund_pending", 1).await;
    shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    shop.cancel(id, CancelBy::Seller).await.expect("accepted");
    shop.until_run(id, "waiting").await;
    let order = shop.get(id).await;
    assert_eq!((order.state, order.payment_state), (OrderState::Cancelling, PaymentState::RefundPending));
    assert_eq!(order.refunded, 0);
    assert_eq!(shop.shelf("tea").await, (5, 0));
    shop.sim("POST", "settle").await;
    let order = shop.until(id, "it is cancelled", |order| order.state == OrderState::Cancelled).await;
    assert_eq!((order.payment_state, order.refunded), (PaymentState::Refunded, 1000));
}

#[tokio::test]
async fn a_refused_refund_leaves_the_run_stuck() {
    let shop = Shop::open().await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_refund_fails", 1).await;
    shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    shop.cancel(id, CancelBy::Customer).await.expect("accepted");
    let run = shop.until_run(id, "stuck").await;
    let order = shop.get(id).await;
    assert_eq!((order.state, order.payment_state), (OrderState::Cancelling, PaymentState::RefundFailed));
    assert_eq!(run.failure.expect("a reason").code, "gateway_rejected");
    assert_eq!(shop.moved(id).await, (1000, 0));
    shop.sim("POST", "refunds/heal").await;
    shop.retry(id).await;
    let order = shop.until(id, "it is cancelled", |order| order.state == OrderState::Cancelled).await;
    assert_eq!((order.payment_state, order.refunded), (PaymentState::PartiallyRefunded, 700));
    assert_eq!(shop.moved(id).await, (1000, 700));
    let refund = run.steps.expect("steps").into_iter().find(|step| step.name == "refund");
    let run = shop.until_run(id, "completed").await;
    let again = run.steps.expect("steps").into_iter().find(|step| step.name == "refund").expect("a refund");
    assert_eq!(Some(again.seq), refund.map(|step| step.seq), "the step that failed was tried again");
    assert!(again.output.expect("an output").get().contains("refund_id"));
}

#[tokio::test]
async fn a_refund_that_fails_later_needs_an_operator() {
    let gateway = Config { refund_failure: RefundFailure::Later, ..Config::default() };
    let shop = Shop::with(Opening { gateway, ..Opening::default() }).await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_refund_fails", 1).await;
    shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    shop.cancel(id, CancelBy::Seller).await.expect("accepted");
    let run = shop.until_run(id, "stuck").await;
    let failure = run.failure.expect("a reason");
    assert!(failure.code == "refund_failed" && failure.message.contains("1000 EUR"), "{failure:?}");
    assert_eq!(shop.get(id).await.payment_state, PaymentState::RefundFailed);
    shop.sim("POST", "refunds/heal").await;
    shop.retry(id).await;
    let order = shop.until(id, "it is cancelled", |order| order.state == OrderState::Cancelled).await;
    assert_eq!((order.payment_state, order.refunded), (PaymentState::Refunded, 1000));
    assert_eq!(shop.moved(id).await, (1000, 1000));
}

#[tokio::test]
async fn a_failing_undo_leaves_the_run_stuck() {
    let shop = Shop::open().await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_refund_fails", 1).await;
    shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    let by =
        backstitch::engine::Operator { actor: "test".into(), reason: Some("a mistake".into()), ..Default::default() };
    shop.engine.compensate(shop.get(id).await.run_id, &by).await.expect("it can be undone");
    let run = shop.until_run(id, "stuck").await;
    assert_eq!(run.failure.expect("a reason").code, "undo_failed");
    assert_eq!(shop.get(id).await.payment_state, PaymentState::RefundFailed);
    shop.sim("POST", "refunds/heal").await;
    shop.retry(id).await;
    shop.until_run(id, "compensated").await;
    let order = shop.get(id).await;
    assert_eq!((order.state, order.payment_state), (OrderState::Cancelled, PaymentState::Refunded));
    assert_eq!((shop.shelf("tea").await, shop.moved(id).await), ((5, 0), (1000, 1000)));
}
