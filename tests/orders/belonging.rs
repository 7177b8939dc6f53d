//! Promise: a run acts on its own order and its own payment alone, whatever it was started with.

use backstitch::{
    engine::{Run, RunId, StartRun, to_json},
    orders::{
        runs::{LATE_PAYMENT, LatePaymentInput, ORDER, OrderInput},
        state::{OrderState, PaymentState},
    },
};
use serde::Serialize;
use std::time::Duration;
use uuid::Uuid;

use crate::{shop::Shop, support::wait_for_within};

impl Shop {
    async fn start(&self, workflow: &str, input: &impl Serialize) -> RunId {
        let start = StartRun::named(workflow, to_json(input).expect("JSON"));
        self.engine.start(start).await.expect("it starts").run
    }

    async fn until_status(&self, run: RunId, status: &str) -> Run {
        wait_for_within(Duration::from_secs(60), &format!("{run} is {status}"), async || {
            let found = self.engine.run(run).await.expect("a run");
            if found.status == status { Ok(found) } else { Err(found.status.to_string()) }
        })
        .await
    }

    /// A declined order and a paid one, with the latter's payment.
    async fn two_orders(&self) -> (Uuid, Uuid, String) {
        self.stock("tea", 5).await;
        let (declined, paid) = (self.order("tok_declined", 1).await, self.order("tok_ok", 1).await);
        self.until_run(declined, "compensated").await;
        let order = self.until(paid, "it is placed", |order| order.state == OrderState::Placed).await;
        (declined, paid, order.intent_id.expect("a payment"))
    }
}

#[tokio::test]
async fn anothers_payment_does_not_pay_an_order() {
    let shop = Shop::open().await;
    let (declined, paid, intent_id) = shop.two_orders().await;
    let input = LatePaymentInput { order_id: declined, intent_id, refund_window_ms: 60_000 };
    let run = shop.start(LATE_PAYMENT, &input).await;
    let run = shop.until_status(run, "stuck").await;
    assert_eq!(run.failure.expect("a reason").code, "belongs_to_another_order");
    let order = shop.get(declined).await;
    assert_eq!((order.state, order.payment_state, order.captured), (OrderState::Cancelled, PaymentState::Failed, 0));
    assert_eq!((shop.moved(declined).await, shop.moved(paid).await), ((0, 0), (1000, 0)));
}

#[tokio::test]
async fn a_run_leaves_anothers_order_alone() {
    let shop = Shop::open().await;
    let (declined, paid, _) = shop.two_orders().await;
    for order_id in [declined, paid] {
        let (before, stock) = (shop.get(order_id).await, shop.shelf("tea").await);
        let input = OrderInput {
            order_id,
            amount: 1,
            currency: "EUR".to_owned(),
            token: "tok_ok".to_owned(),
            vendor: "stripe".to_owned(),
            fallbacks: Vec::new(),
            payment_window_ms: 1000,
            refund_window_ms: 1000,
        };
        let run = shop.start(ORDER, &input).await;
        let run = shop.until_status(run, "failed").await;
        assert_eq!(run.failure.expect("a reason").code, "belongs_to_another_order");
        assert_eq!((shop.get(order_id).await, shop.shelf("tea").await), (before, stock));
    }
}
