//! Promise: for each outcome that the gateway can give, the order's states, the stock and the gateway's ledger agree.

use std::time::Duration;

use backstitch::{
    gateway_sim::{Config, LateCancel},
    orders::{
        Order, ShopSettings,
        runs::ReconcileInput,
        state::{CancelBy, CancelReason, OrderState, PaymentState, StockState},
    },
    payments::{Metadata, NewIntent, PaymentGateway},
};

use crate::shop::{Opening, Shop};

fn axes(order: &Order) -> (OrderState, PaymentState, StockState) {
    (order.state, order.payment_state, order.stock_state)
}

fn impatient(window: Duration) -> ShopSettings {
    ShopSettings { payment_window: window, ..ShopSettings::default() }
}

/// These all end placed and paid once, whatever happened on the way.
#[tokio::test]
async fn captured_money_places_the_order() {
    let shop = Shop::open().await;
    shop.stock("tea", 100).await;
    let tokens = [
        "tok_ok",
        "tok_timeout_after_effect",
        "tok_500_after_effect",
        "tok_slow",
        "tok_flaky_3",
        "tok_duplicate_webhooks",
        "tok_no_webhook",
    ];
    let mut placed = Vec::new();
    for token in tokens {
        placed.push((token, shop.order(token, 2).await));
    }
    for (token, id) in placed {
        let order = shop.until(id, &format!("{token} is placed"), |order| order.state.is_placed()).await;
        let wanted = (OrderState::Placed, PaymentState::Captured, StockState::Committed);
        assert_eq!(axes(&order), wanted, "{token}");
        assert_eq!((order.captured, order.refunded), (2000, 0), "{token}");
        assert!(order.placed_at.is_some() && order.cancel_reason.is_none(), "{token}");
        assert_eq!(shop.moved(id).await, (2000, 0), "{token}");
    }
    assert_eq!(shop.shelf("tea").await, (100 - 2 * tokens.len() as i64, 0));
}

#[tokio::test]
async fn an_orders_first_rows_come_with_its_reservation() {
    let shop = Shop::open().await;
    shop.stock("tea", 10).await;
    let commits = "SELECT count(*), count(DISTINCT xmin::text) FROM backstitch.step WHERE run_id = $1 AND seq < 3";
    for tries_left in (0..10).rev() {
        let id = shop.order("tok_ok", 1).await;
        let order = shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
        let (rows, count): (i64, i64) =
            sqlx::query_as(commits).bind(order.run_id).fetch_one(&shop.pool).await.expect("counts");
        assert_eq!(rows, 3, "announce, open_order, reserve_stock");
        // On a busy machine the reservation may take longer than the others wait for it.
        if count == 1 {
            break;
        }
        assert!(tries_left > 0, "{count} commits");
    }
}

#[tokio::test]
async fn a_declined_payment_frees_the_stock() {
    let shop = Shop::open().await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_declined", 2).await;
    let run = shop.until_run(id, "compensated").await;
    let order = shop.get(id).await;
    assert_eq!(axes(&order), (OrderState::Cancelled, PaymentState::Failed, StockState::Released));
    assert_eq!(order.cancel_reason, Some(CancelReason::PaymentFailed));
    assert_eq!(run.failure.expect("a reason").code, "payment_declined");
    assert_eq!(shop.shelf("tea").await, (5, 0));
    assert_eq!(shop.moved(id).await, (0, 0));
}

#[tokio::test]
async fn an_order_without_stock_is_never_charged() {
    let shop = Shop::open().await;
    shop.stock("tea", 1).await;
    let id = shop.order("tok_ok", 2).await;
    shop.until_run(id, "compensated").await;
    let order = shop.get(id).await;
    assert_eq!(axes(&order), (OrderState::Cancelled, PaymentState::None, StockState::None));
    assert_eq!(order.cancel_reason, Some(CancelReason::OutOfStock));
    assert!(order.intent_id.is_none());
    assert_eq!(shop.sim("GET", "ledger").await["payments"].as_array().map(Vec::len), Some(0));
    assert_eq!(shop.shelf("tea").await, (1, 0));
}

#[tokio::test]
async fn a_void_comes_before_the_stock_is_released() {
    let shop = Shop::open().await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_timeout_before_effect", 2).await;
    shop.until_run(id, "compensated").await;
    let order = shop.get(id).await;
    assert_eq!(axes(&order), (OrderState::Cancelled, PaymentState::Voided, StockState::Released));
    assert_eq!(order.cancel_reason, Some(CancelReason::PaymentFailed));
    let ledger = shop.sim("GET", "ledger").await;
    assert_eq!(ledger["payments"][0]["status"], "canceled");
    assert_eq!(shop.shelf("tea").await, (5, 0));
}

#[tokio::test]
async fn the_payment_window_bounds_the_hold() {
    let shop = Shop::with(Opening { settings: impatient(Duration::from_secs(2)), ..Opening::default() }).await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_timeout_before_effect", 2).await;
    shop.until_run(id, "compensated").await;
    let order = shop.get(id).await;
    assert_eq!(order.cancel_reason, Some(CancelReason::PaymentExpired));
    assert_eq!(axes(&order), (OrderState::Cancelled, PaymentState::Voided, StockState::Released));
    assert_eq!(shop.shelf("tea").await, (5, 0));
}

#[tokio::test]
async fn a_window_may_end_during_an_attempt() {
    // The gateway does not answer within the window, so the one attempt is cut short by it.
    let opening = Opening {
        settings: impatient(Duration::from_millis(1200)),
        gateway_timeout: Duration::from_secs(20),
        gateway: Config { hold: Duration::from_secs(20), ..Config::default() },
        ..Opening::default()
    };
    let shop = Shop::with(opening).await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_timeout_before_effect", 2).await;
    shop.until_run(id, "compensated").await;
    let order = shop.get(id).await;
    assert_eq!(order.cancel_reason, Some(CancelReason::PaymentExpired));
    assert_eq!(axes(&order), (OrderState::Cancelled, PaymentState::Voided, StockState::Released));
}

fn late(cancel: LateCancel, after: Duration) -> Opening {
    let gateway =
        Config { late_cancel: cancel, late_after: after, late_at_most: Duration::from_secs(3600), ..Config::default() };
    Opening { settings: impatient(Duration::from_secs(3)), gateway, ..Opening::default() }
}

#[tokio::test]
async fn a_late_payment_places_an_expired_order() {
    let shop = Shop::with(late(LateCancel::Accepted, Duration::from_secs(3600))).await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_late_success", 2).await;
    let first = shop.until_run(id, "compensated").await;
    let order = shop.get(id).await;
    assert_eq!(axes(&order), (OrderState::Cancelled, PaymentState::Voided, StockState::Released));
    assert_eq!(order.cancel_reason, Some(CancelReason::PaymentExpired));

    shop.sim("POST", "settle").await;
    let order = shop.until(id, "it is placed after all", |order| order.state == OrderState::Placed).await;
    assert_eq!(axes(&order), (OrderState::Placed, PaymentState::Captured, StockState::Committed));
    assert!(order.cancel_reason.is_none() && order.run_id != first.id);
    let second = shop.engine.run(order.run_id).await.expect("a run");
    assert_eq!((second.workflow.as_str(), second.parent_id), ("late_payment", Some(first.id)));
    assert_eq!((shop.shelf("tea").await, shop.moved(id).await), ((3, 0), (2000, 0)));
}

/// As one whose void was confirmed, and which the gateway captures all the same after the order went on to another.
#[tokio::test]
async fn a_late_payment_of_another_id_becomes_the_orders_own() {
    let shop = Shop::open().await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_declined", 2).await;
    let cancelled = shop.until(id, "it is cancelled", |order| order.state == OrderState::Cancelled).await;
    let gateway = shop.simulator.gateway(Duration::from_secs(5));
    let (amount, currency, token) = (2000, "EUR".to_owned(), "tok_ok".to_owned());
    let (order_id, vendor, metadata) = (id.to_string(), None, Metadata::default());
    let new = NewIntent { amount, currency, token, vendor, order_id, metadata };
    let other = gateway.create_intent("other", &new).await.expect("it is made");
    gateway.confirm_intent("other-confirm", &other.id).await.expect("captured");
    let order = shop.until(id, "it is placed after all", |order| order.state == OrderState::Placed).await;
    assert_eq!(order.intent_id.as_ref(), Some(&other.id));
    assert_ne!(cancelled.intent_id, order.intent_id);
    let now = ReconcileInput { grace_ms: 0, second_look_ms: 0, ..ReconcileInput::default() };
    let found = shop.orders.compare(&gateway, &now).await.expect("all can be read");
    assert_eq!((found.differences, found.unknown), (vec![], 0), "nothing is to be mended");
    shop.cancel(id, CancelBy::Seller).await.expect("accepted");
    let order = shop.until(id, "it is refunded", |order| order.payment_state == PaymentState::Refunded).await;
    assert_eq!((order.refunded, shop.moved(id).await), (2000, (2000, 2000)));
}

#[tokio::test]
async fn a_late_payment_without_stock_is_refunded() {
    let shop = Shop::with(late(LateCancel::Accepted, Duration::from_secs(3600))).await;
    shop.stock("tea", 2).await;
    let id = shop.order("tok_late_success", 2).await;
    shop.until_run(id, "compensated").await;
    let other = shop.order("tok_ok", 2).await;
    shop.until(other, "the other is placed", |order| order.state == OrderState::Placed).await;

    shop.sim("POST", "settle").await;
    let order = shop.until(id, "it is refunded", |order| order.payment_state == PaymentState::Refunded).await;
    assert_eq!(order.state, OrderState::Cancelled);
    shop.until_run(id, "completed").await;
    assert_eq!((shop.shelf("tea").await, shop.moved(id).await), ((0, 0), (2000, 2000)));
}

#[tokio::test]
async fn a_payment_past_voiding_places_the_order() {
    let shop = Shop::with(late(LateCancel::Refused, Duration::from_secs(1))).await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_late_success", 2).await;
    let order = shop.until(id, "it is placed", |order| order.state.is_decided()).await;
    assert_eq!(axes(&order), (OrderState::Placed, PaymentState::Captured, StockState::Committed));
    assert_eq!((shop.shelf("tea").await, shop.moved(id).await), ((3, 0), (2000, 0)));
}

#[tokio::test]
async fn the_flow_does_not_depend_on_webhooks() {
    let gateway = Config { late_at_most: Duration::from_millis(1500), ..Config::default() };
    let shop = Shop::with(Opening { gateway, webhooks: false, ..Opening::default() }).await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_late_success", 1).await;
    let order = shop.until(id, "it is placed", |order| order.state.is_decided()).await;
    assert_eq!(order.state, OrderState::Placed);
    assert_eq!(shop.moved(id).await, (1000, 0));
}
