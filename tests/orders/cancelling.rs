//! Promise: who may cancel when, and what they get back, is decided once, at the moment the cancel is accepted, by the
//! database's clock.

use std::time::Duration;

use backstitch::orders::{
    CancelOrder, Fulfilment,
    state::{CancelBy, CancelReason, OrderState, PaymentState, StockState},
};

use crate::shop::Shop;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_tier_at_acceptance_decides_the_refund() {
    let shop = Shop::open().await;
    shop.stock("tea", 10).await;
    for (age, refunded, payment) in [
        (Duration::ZERO, 1400, PaymentState::PartiallyRefunded),
        (10 * MINUTE, 800, PaymentState::PartiallyRefunded),
        (29 * MINUTE, 800, PaymentState::PartiallyRefunded),
    ] {
        let id = shop.order("tok_ok", 2).await;
        shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
        shop.pass(age).await;
        let accepted = shop.cancel(id, CancelBy::Customer).await.expect("in time");
        assert!(matches!(accepted.state, OrderState::Cancelling | OrderState::Cancelled));
        let order = shop.until(id, "it is cancelled", |order| order.state == OrderState::Cancelled).await;
        assert_eq!((order.refunded, order.payment_state), (refunded, payment), "{age:?}");
        assert_eq!(order.cancel_reason, Some(CancelReason::Customer));
        assert_eq!(order.stock_state, StockState::Released);
        assert_eq!(shop.moved(id).await, (2000, refunded));
        shop.until_run(id, "completed").await;
    }
    assert_eq!(shop.shelf("tea").await, (10, 0));
}

#[tokio::test]
async fn after_the_last_tier_only_sellers_can_cancel() {
    let shop = Shop::open().await;
    shop.stock("tea", 10).await;
    let id = shop.order("tok_ok", 2).await;
    shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    shop.pass(30 * MINUTE).await;
    assert_eq!(shop.cancel(id, CancelBy::Customer).await.expect_err("too late"), "window_closed");
    shop.until(id, "its window is over", |order| order.state == OrderState::Processing).await;
    assert_eq!(shop.cancel(id, CancelBy::Customer).await.expect_err("too late"), "window_closed");
    shop.cancel(id, CancelBy::Seller).await.expect("sellers may");
    let order = shop.until(id, "it is cancelled", |order| order.state == OrderState::Cancelled).await;
    assert_eq!((order.refunded, order.payment_state), (2000, PaymentState::Refunded));
    assert_eq!(order.cancel_reason, Some(CancelReason::Seller));
    assert_eq!((shop.shelf("tea").await, shop.moved(id).await), ((10, 0), (2000, 2000)));
}

#[tokio::test]
async fn two_cancels_at_once_give_one_refund() {
    let shop = Shop::open().await;
    shop.stock("tea", 10).await;
    let id = shop.order("tok_ok", 2).await;
    shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    let (one, other) = tokio::join!(shop.cancel(id, CancelBy::Customer), shop.cancel(id, CancelBy::Customer));
    assert!(one.is_ok() && other.is_ok());
    shop.until_run(id, "completed").await;
    assert_eq!(shop.moved(id).await, (2000, 1400));
    let refunds: i64 = sqlx::query_scalar("SELECT count(*) FROM shop.refunds").fetch_one(&shop.pool).await.expect("n");
    assert_eq!(refunds, 1);
}

#[tokio::test]
async fn only_a_better_reason_changes_a_waiting_cancel() {
    let shop = Shop::without_worker().await;
    shop.stock("tea", 10).await;
    let id = shop.order("tok_ok", 2).await;
    let query = "UPDATE shop.orders SET state = 'placed', payment_state = 'captured', captured = total,
        placed_at = backstitch.now() WHERE id = $1";
    sqlx::query(query).bind(id).execute(&shop.pool).await.expect("placed by hand");
    let first = shop.cancel(id, CancelBy::Customer).await.expect("in time");
    assert_eq!(first.cancel.expect("accepted").bp, 7000);
    let raised = shop.cancel(id, CancelBy::Seller).await.expect("better");
    assert_eq!(raised.cancel_reason, Some(CancelReason::Seller));
    assert_eq!(raised.cancel.expect("accepted").bp, 10_000);
    let same = shop.cancel(id, CancelBy::Customer).await.expect("no worse");
    assert_eq!(same.cancel.expect("accepted").by, CancelBy::Seller);
}

#[tokio::test]
async fn an_early_cancel_gives_everything_back() {
    let shop = Shop::open().await;
    shop.stock("tea", 10).await;
    // The charge takes two seconds and succeeds: the cancel comes in between.
    let id = shop.order("tok_slow", 2).await;
    shop.until(id, "its payment is under way", |order| order.payment_state == PaymentState::Pending).await;
    let accepted = shop.cancel(id, CancelBy::Customer).await.expect("accepted");
    assert_eq!(accepted.state, OrderState::Cancelling);
    let order = shop.until(id, "it is cancelled", |order| order.state == OrderState::Cancelled).await;
    assert!(order.placed_at.is_none());
    assert_eq!(order.refunded, order.captured);
    let (captured, refunded) = shop.moved(id).await;
    assert_eq!((captured, refunded), (order.captured, order.captured));
    assert_eq!((shop.shelf("tea").await, order.cancel_reason), ((10, 0), Some(CancelReason::Customer)));
}

#[tokio::test]
async fn a_cancel_during_the_payment_voids_it() {
    let shop = Shop::open().await;
    shop.stock("tea", 10).await;
    let id = shop.order("tok_late_success", 2).await;
    shop.until_run(id, "waiting").await;
    shop.cancel(id, CancelBy::Customer).await.expect("accepted");
    shop.until_run(id, "compensated").await;
    let order = shop.get(id).await;
    assert_eq!((order.state, order.payment_state), (OrderState::Cancelled, PaymentState::Voided));
    // The money comes all the same, two seconds later, and goes back: the customer wanted no order.
    let order = shop.until(id, "it is refunded", |order| order.payment_state == PaymentState::Refunded).await;
    assert_eq!((order.state, order.cancel_reason), (OrderState::Cancelled, Some(CancelReason::Customer)));
    assert_eq!((shop.shelf("tea").await, shop.moved(id).await), ((10, 0), (2000, 2000)));
}

#[tokio::test]
async fn a_dispatched_order_can_not_be_cancelled() {
    let shop = Shop::open().await;
    shop.stock("tea", 10).await;
    let id = shop.order("tok_ok", 2).await;
    let early = shop.orders.report(id, Fulfilment::Shipped).await.map_err(|error| error.code());
    assert!(early.is_ok() || early == Err("wrong_state"));
    shop.until(id, "it is placed", |order| order.state.is_placed()).await;
    shop.orders.report(id, Fulfilment::Shipped).await.expect("reported");
    let again = shop.orders.report(id, Fulfilment::Shipped).await.expect("reported again");
    assert!(again.dispatched_at.is_some());
    assert_eq!(shop.cancel(id, CancelBy::Seller).await.expect_err("gone"), "wrong_state");
    let change = backstitch::orders::NewDelivery { address: Some("elsewhere".into()), ..Default::default() };
    let moved = shop.orders.change_delivery(id, &change).await.map_err(|error| error.code());
    assert_eq!(moved.expect_err("gone"), "wrong_state");
    shop.until(id, "it is shipped", |order| order.state == OrderState::Shipped).await;
    shop.orders.report(id, Fulfilment::Delivered).await.expect("reported");
    let order = shop.until(id, "it is archived", |order| order.archived).await;
    assert_eq!((order.state, order.items.len()), (OrderState::Delivered, 1));
    shop.until_run(id, "completed").await;
    assert_eq!(shop.cancel(id, CancelBy::System).await.expect_err("gone"), "wrong_state");
}

#[tokio::test]
async fn an_operator_can_undo_a_placed_order() {
    let shop = Shop::open().await;
    shop.stock("tea", 10).await;
    let id = shop.order("tok_ok", 2).await;
    shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    let by =
        backstitch::engine::Operator { actor: "test".into(), reason: Some("a mistake".into()), ..Default::default() };
    let plan = shop.engine.compensate(shop.get(id).await.run_id, &by).await.expect("it can be undone");
    let undone: Vec<&str> = plan.undo.iter().map(|undo| undo.activity.as_str()).collect();
    assert_eq!(undone, ["charge", "create_intent", "reserve_stock", "open_order", "announce"]);
    shop.until_run(id, "compensated").await;
    let order = shop.get(id).await;
    assert_eq!((order.state, order.payment_state), (OrderState::Cancelled, PaymentState::Refunded));
    assert_eq!(order.cancel_reason, Some(CancelReason::System));
    assert_eq!((shop.shelf("tea").await, shop.moved(id).await), ((10, 0), (2000, 2000)));
}

#[tokio::test]
async fn a_cancel_without_a_run_is_refused() {
    let shop = Shop::open().await;
    let unknown = shop.orders.cancel(uuid::Uuid::now_v7(), &CancelOrder::default()).await;
    assert_eq!(unknown.map_err(|error| error.code()).expect_err("no such order"), "unknown_order");
    shop.stock("tea", 1).await;
    let id = shop.order("tok_ok", 1).await;
    shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    let run = shop.get(id).await.run_id;
    let abandoned = "UPDATE backstitch.run SET status = 8, finished_at = now() WHERE id = $1";
    shop.until_run(id, "waiting").await;
    sqlx::query(abandoned).bind(run).execute(&shop.pool).await.expect("abandoned by hand");
    assert_eq!(shop.cancel(id, CancelBy::Customer).await.expect_err("nobody is there"), "wrong_state");
    assert_eq!(shop.get(id).await.state, OrderState::Placed);
}
