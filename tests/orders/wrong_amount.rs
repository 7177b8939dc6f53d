//! Promise: an amount that differs from the order's total is left to an operator.

use backstitch::{
    engine::Operator,
    orders::state::{OrderState, PaymentState},
    payments::{GatewayFuture, Intent, NewIntent, NewRefund, PaymentGateway, Refund, StripeGateway},
};

use crate::shop::{Opening, Shop};

/// A gateway that says a unit less was captured than was.
pub(crate) struct ShortChange(pub(crate) StripeGateway);

fn short(mut intent: Intent) -> Intent {
    intent.captured -= i64::from(intent.captured > 0);
    intent
}

impl PaymentGateway for ShortChange {
    fn create_intent<'a>(&'a self, key: &'a str, new: &'a NewIntent) -> GatewayFuture<'a, Intent> {
        self.0.create_intent(key, new)
    }

    fn confirm_intent<'a>(&'a self, key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent> {
        Box::pin(async move { self.0.confirm_intent(key, id).await.map(short) })
    }

    fn cancel_intent<'a>(&'a self, key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent> {
        self.0.cancel_intent(key, id)
    }

    fn get_intent<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Intent> {
        Box::pin(async move { self.0.get_intent(id).await.map(short) })
    }

    fn refund<'a>(&'a self, key: &'a str, new: &'a NewRefund) -> GatewayFuture<'a, Refund> {
        self.0.refund(key, new)
    }

    fn get_refund<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Refund> {
        self.0.get_refund(id)
    }

    fn refunds_of<'a>(&'a self, intent_id: &'a str) -> GatewayFuture<'a, Vec<Refund>> {
        self.0.refunds_of(intent_id)
    }
}

#[tokio::test]
async fn a_wrong_amount_needs_an_operator() {
    let shop = Shop::with(Opening { short_change: true, ..Opening::default() }).await;
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
