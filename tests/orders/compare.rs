//! Promise: the books are compared with the gateway order by order: sums that agree hide nothing.

use backstitch::orders::{
    Comparison,
    difference::DifferenceKind,
    runs::ReconcileInput,
    state::{CancelBy, OrderState},
};

use crate::{shop::Shop, support::shop::GATEWAY_TIMEOUT};

#[tokio::test]
async fn books_are_compared_order_by_order() {
    let shop = Shop::open().await;
    shop.stock("tea", 9).await;
    let mut ids = Vec::new();
    for token in ["tok_ok", "tok_ok", "tok_declined"] {
        ids.push(shop.order(token, 1).await);
    }
    for id in &ids[..2] {
        shop.until(*id, "it is placed", |order| order.state == OrderState::Placed).await;
    }
    shop.until_run(ids[2], "compensated").await;
    shop.cancel(ids[0], CancelBy::Customer).await.expect("accepted");
    shop.until(ids[0], "it is cancelled", |order| order.state == OrderState::Cancelled).await;
    let gateway = shop.simulator.gateway(GATEWAY_TIMEOUT);
    let now = ReconcileInput { grace_ms: 0, second_look_ms: 0, ..ReconcileInput::default() };
    let compared = async || shop.orders.compare(&gateway, &now).await.expect("both can be read");
    assert_eq!(compared().await, Comparison { agree: 3, ..Comparison::default() });

    // One too much, one too little: the sums are still right.
    let more = "UPDATE shop.orders SET captured = captured + 1, total = total + 1 WHERE id = $1";
    let less = "UPDATE shop.orders SET captured = captured - 1, total = total - 1 WHERE id = $1";
    for (query, id) in [(more, ids[0]), (less, ids[1])] {
        sqlx::query(query).bind(id).execute(&shop.pool).await.expect("it is changed");
    }
    shop.sql("UPDATE shop.order_items SET price = price - 1 WHERE order_id = $1", ids[1]).await;
    let found = compared().await;
    assert_eq!((found.agree, found.differences.len()), (1, 2), "{found:?}");
    let difference = found.differences.iter().find(|found| found.order_id == Some(ids[1])).expect("it is named");
    assert_eq!(difference.kind, DifferenceKind::AmountDiffers);
    let sentence = difference.sentence();
    assert!(sentence.contains("9.99 EUR expected, 10.00 EUR found"), "{sentence}");

    // Of another's payment, neither side's sum says anything.
    let other = shop.get(ids[0]).await.intent_id.expect("a payment");
    for (id, intent) in [(ids[0], "pi_gone"), (ids[1], other.as_str())] {
        let query = "UPDATE shop.orders SET intent_id = $2 WHERE id = $1";
        sqlx::query(query).bind(id).bind(intent).execute(&shop.pool).await.expect("it is changed");
    }
    let found = compared().await.differences;
    for id in &ids[..2] {
        let missing = |found: &backstitch::orders::difference::Mismatch| {
            found.order_id == Some(*id) && found.kind == DifferenceKind::CaptureMissing
        };
        assert!(found.iter().any(missing), "{found:?}");
    }
}
