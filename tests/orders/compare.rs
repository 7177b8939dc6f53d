//! Promise: the books are compared with the gateway order by order: sums that agree hide nothing.

use backstitch::orders::{
    Comparison,
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
    let compared = async || shop.orders.compare(&gateway).await.expect("both can be read");
    assert_eq!(compared().await, Comparison { agree: 3, ..Comparison::default() });

    // One too much, one too little: the sums are still right.
    let more = "UPDATE shop.orders SET captured = captured + 1 WHERE id = $1";
    let less = "UPDATE shop.orders SET captured = captured - 1 WHERE id = $1";
    for (query, id) in [(more, ids[0]), (less, ids[1])] {
        sqlx::query(query).bind(id).execute(&shop.pool).await.expect("it is changed");
    }
    let found = compared().await;
    assert_eq!((found.agree, found.differences.len()), (1, 2), "{found:?}");
    let difference = found.differences.iter().find(|text| text.contains(&ids[1].to_string())).expect("it is named");
    assert!(difference.contains("captured 10.00 EUR") && difference.contains("9.99 EUR"), "{difference}");

    // Of another's payment, neither side's sum says anything.
    let other = shop.get(ids[0]).await.intent_id.expect("a payment");
    for (id, intent) in [(ids[0], "pi_gone"), (ids[1], other.as_str())] {
        let query = "UPDATE shop.orders SET intent_id = $2 WHERE id = $1";
        sqlx::query(query).bind(id).bind(intent).execute(&shop.pool).await.expect("it is changed");
    }
    let found = compared().await.differences.join("\n");
    assert!(found.contains("is not its payment") && found.contains("does not know its payment pi_gone"), "{found}");
}
