//! Promise: an amount that differs from the order's total is left to an operator.

use std::sync::Arc;

use backstitch::{
    engine::Operator,
    orders::state::{OrderState, PaymentState},
};

use crate::{
    odd_gateway::{Change, OddGateway},
    shop::{Opening, Shop},
};

/// A gateway that says a unit less was captured than was.
const SHORT_CHANGE: Change = Change {
    intent: |mut intent| {
        intent.captured -= i64::from(intent.captured > 0);
        Ok(intent)
    },
    ..Change::NONE
};

#[tokio::test]
async fn a_wrong_amount_needs_an_operator() {
    let port = |gateway| OddGateway::always(gateway, SHORT_CHANGE) as Arc<_>;
    let shop = Shop::with(Opening { port, ..Opening::default() }).await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_ok", 2).await;
    let run = shop.until_run(id, "stuck").await;
    assert_eq!(run.failure.expect("a reason").code, "amount_mismatch");
    let order = shop.get(id).await;
    assert_eq!((order.state, order.placed_at), (OrderState::AwaitingPayment, None));
    assert_eq!(shop.shelf("tea").await, (5, 2));
    let by = Operator { actor: "test".into(), reason: Some("give it back".into()), ..Default::default() };
    shop.engine.compensate(order.run_id, &by).await.expect("it can be undone");
    shop.until_run(id, "compensated").await;
    let order = shop.get(id).await;
    assert_eq!((order.state, order.payment_state), (OrderState::Cancelled, PaymentState::Refunded));
    assert_eq!((shop.shelf("tea").await, shop.moved(id).await), ((5, 0), (2000, 1999)));
}
