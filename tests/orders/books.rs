//! Tampering with one side of the books, and comparing them.

use std::time::Duration;

use backstitch::{
    orders::{
        DifferenceFilter, MendDifference,
        difference::{Difference, DifferenceKind as Kind, DifferenceState},
        runs::ReconcileInput,
        state::{CancelBy, OrderState},
    },
    payments::{NewIntent, NewRefund, PaymentGateway},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    shop::Shop,
    support::{shop::GATEWAY_TIMEOUT, wait_for_within},
};

/// Compares what is there at this moment.
pub(crate) const NOW: ReconcileInput = ReconcileInput { look_back_ms: 3_600_000, grace_ms: 0, second_look_ms: 0 };

impl Shop {
    /// Compares the books by a run; gives its output.
    pub(crate) async fn reconcile(&self, scope: &ReconcileInput) -> Value {
        let run = self.orders.reconcile(scope).await.expect("it is started");
        self.until_ended(run).await
    }

    /// Waits until a run is completed; gives its output.
    pub(crate) async fn until_ended(&self, run: Uuid) -> Value {
        let result = self.engine.result(run, Duration::from_secs(60)).await.expect("a run");
        assert_eq!(result.status.to_string(), "completed", "{:?}", result.failure);
        serde_json::from_str(result.output.expect("an output").get()).expect("JSON")
    }

    /// Has a difference mended.
    pub(crate) async fn mended(&self, id: Uuid) {
        let request = MendDifference { reason: Some("so be it".to_owned()), ..MendDifference::default() };
        let plan = self.orders.mend_difference(id, &request).await.expect("it is begun");
        self.until_ended(plan.difference.mend_run.expect("a run")).await;
    }

    pub(crate) async fn differences(&self, state: DifferenceState) -> Vec<Difference> {
        let filter = DifferenceFilter { state: Some(state), limit: Some(200), cursor: None };
        self.orders.differences(&filter).await.expect("a list").items
    }

    pub(crate) async fn open_kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.differences(DifferenceState::Open).await.iter().map(|open| open.kind).collect();
        kinds.sort();
        kinds
    }

    pub(crate) async fn sql(&self, query: &'static str, id: Uuid) {
        let changed = sqlx::query(query).bind(id).execute(&self.pool).await.expect("it is changed");
        assert!(changed.rows_affected() > 0, "{query}");
    }

    pub(crate) async fn placed(&self) -> Uuid {
        let id = self.order("tok_ok", 1).await;
        self.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
        id
    }

    pub(crate) async fn declined(&self) -> Uuid {
        let id = self.order("tok_declined", 1).await;
        self.until_run(id, "compensated").await;
        id
    }

    /// A payment for an order that nobody of ours made: captured, or only authorised.
    pub(crate) async fn pay_beside(&self, order: Uuid, only_authorise: bool) -> String {
        let new = NewIntent {
            amount: 1000,
            currency: "EUR".to_owned(),
            token: "tok_ok".to_owned(),
            vendor: None,
            order_id: order.to_string(),
            metadata: Default::default(),
        };
        let gateway = self.simulator.gateway(GATEWAY_TIMEOUT);
        let key = Uuid::new_v4().to_string();
        let id = gateway.create_intent(&key, &new).await.expect("a payment").id;
        let method = if only_authorise { "manual" } else { "automatic" };
        let url = format!("{}/v1/payment_intents/{id}/confirm", self.simulator.url());
        let confirm = self.simulator.http.post(url).bearer_auth("sk_test").form(&[("capture_method", method)]);
        assert!(confirm.send().await.expect("an answer").status().is_success());
        id
    }

    /// A refund that nobody of ours made.
    pub(crate) async fn refund_beside(&self, order: Uuid, amount: i64) {
        let intent_id = self.get(order).await.intent_id.expect("a payment");
        let new = NewRefund { intent_id, amount, order_id: order.to_string(), metadata: Default::default() };
        let gateway = self.simulator.gateway(GATEWAY_TIMEOUT);
        gateway.refund(&Uuid::new_v4().to_string(), &new).await.expect("a refund");
    }

    /// A placed order of 10.00 EUR as one of 9.99 EUR.
    pub(crate) async fn sell_too_cheap(&self, order: Uuid) {
        self.sql("UPDATE shop.orders SET captured = 999, total = 999 WHERE id = $1", order).await;
        self.sql("UPDATE shop.order_items SET price = 999 WHERE order_id = $1", order).await;
    }

    /// Makes one difference of each kind, and gives them in order.
    pub(crate) async fn tamper_with_all(&self) -> Vec<Kind> {
        self.stock("tea", 100).await;
        self.stock("coffee", 10).await;
        self.pay_beside(Uuid::now_v7(), false).await;
        self.pay_beside(self.placed().await, false).await;
        self.pay_beside(self.declined().await, false).await;
        let missing =
            "UPDATE shop.orders SET captured = total, refunded = total, payment_state = 'refunded' WHERE id = $1";
        self.sql(missing, self.declined().await).await;
        self.sell_too_cheap(self.placed().await).await;
        let cancelled = self.placed().await;
        self.cancel(cancelled, CancelBy::Customer).await.expect("accepted");
        self.until_run(cancelled, "completed").await;
        self.sql("UPDATE shop.orders SET refunded = refunded + 100 WHERE id = $1", cancelled).await;
        self.sql("UPDATE shop.refunds SET amount = amount + 100 WHERE order_id = $1", cancelled).await;
        self.refund_beside(self.placed().await, 50).await;
        self.pay_beside(self.declined().await, true).await;
        self.sql("UPDATE shop.items SET held = held + 1 WHERE sku = 'coffee' AND $1 IS NOT NULL", Uuid::nil()).await;
        let kept = self.declined().await;
        self.sql("UPDATE shop.reservations SET state = 'held' WHERE order_id = $1", kept).await;
        self.sql("UPDATE shop.items SET held = held + 1 WHERE sku = 'tea' AND $1 IS NOT NULL", kept).await;
        self.sql("UPDATE shop.orders SET total = total + 1 WHERE id = $1", self.placed().await).await;
        let left = "UPDATE shop.orders SET state = 'awaiting_payment', cancel_reason = NULL WHERE id = $1";
        self.sql(left, self.declined().await).await;
        vec![
            Kind::CapturedWithoutOrder,
            Kind::CapturedTwice,
            Kind::CaptureUnbooked,
            Kind::CaptureMissing,
            Kind::AmountDiffers,
            Kind::RefundMissing,
            Kind::RefundTooMuch,
            Kind::UncapturedHold,
            Kind::StockDiffers,
            Kind::StockKept,
            Kind::BooksDiffer,
            Kind::LeftAlone,
        ]
    }

    /// Waits until a comparison says that its last attempt failed so.
    pub(crate) async fn until_refused(&self, run: Uuid, why: &str) {
        wait_for_within(Duration::from_secs(30), "the comparison says why", async || {
            let comparison = self.orders.reconciliation(Some(run)).await.expect("it is read");
            let error = comparison.and_then(|comparison| comparison.error).unwrap_or_default();
            if error.contains(why) { Ok(()) } else { Err(error) }
        })
        .await;
    }
}
