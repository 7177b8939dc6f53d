//! Promise: the port to an acquirer is never more certain than what really happened there, and moves money once.

use std::time::Duration;

use backstitch::{
    gateway_sim::Config,
    payments::{
        AcquirerGateway, GatewayConfig, GatewayError, IntentStatus, NewIntent, PaymentGateway, RefundStatus, Refusal,
        VendorKind,
    },
};
use serde_json::Value;

use crate::{
    bench::{code, new_intent, new_refund},
    support::{shop::Simulator, wait_for},
};

struct Acquirer {
    simulator: Simulator,
    gateway: AcquirerGateway,
}

fn gateway(simulator: &Simulator, timeout: Duration) -> AcquirerGateway {
    let config = GatewayConfig { timeout, ..GatewayConfig::new(simulator.url(), "key") };
    AcquirerGateway::new(&config).expect("a usable configuration")
}

impl Acquirer {
    async fn new() -> Self {
        let simulator = Simulator::start(Config { kind: VendorKind::Acquirer, ..Config::default() }).await;
        Self { gateway: gateway(&simulator, Duration::from_secs(5)), simulator }
    }

    fn hasty(&self) -> AcquirerGateway {
        gateway(&self.simulator, Duration::from_millis(400))
    }

    async fn made(&self, token: &str) -> String {
        let key = format!("create-{token}");
        self.gateway.create_intent(&key, &new_intent(token)).await.expect("it is made").id
    }

    async fn moved(&self, id: &str) -> (i64, i64) {
        let row = self.simulator.payments().await.into_iter().find(|row| row["id"] == id).expect("it is known");
        let amount = |name: &str| row[name].as_i64().expect("an amount");
        (amount("captured"), amount("refunded"))
    }

    async fn read(&self, id: &str) -> (IntentStatus, i64) {
        let intent = self.gateway.get_intent(id).await.expect("it is read");
        (intent.status, intent.captured)
    }
}

#[tokio::test]
async fn an_acquirers_payment_is_authorised_and_captured_once() {
    let bench = Acquirer::new().await;
    let id = bench.made("tok_ok").await;
    assert_eq!(bench.read(&id).await, (IntentStatus::RequiresConfirmation, 0));
    for key in ["p", "p", "another"] {
        let paid = bench.gateway.confirm_intent(key, &id).await.expect("paid");
        assert_eq!((paid.status, paid.captured, paid.currency.as_str()), (IntentStatus::Succeeded, 1000, "EUR"));
        assert_eq!((paid.order_id.as_deref(), &*paid.metadata["step"]), (Some("order-1"), "a b&c=d"));
    }
    assert_eq!(bench.moved(&id).await, (1000, 0));
    let refused = bench.gateway.cancel_intent("x", &id).await.expect_err("it is captured");
    assert_eq!(refused.intent().map(|intent| intent.status), Some(IntentStatus::Succeeded));

    let part = bench.gateway.refund("r1", &new_refund(&id, 300)).await.expect("refunded");
    assert_eq!(
        (part.status, part.amount, part.intent_id.as_deref()),
        (RefundStatus::Succeeded, 300, Some(id.as_str()))
    );
    let again = bench.gateway.refund("r1", &new_refund(&id, 300)).await.expect("the same");
    assert_eq!((again.id == part.id, bench.moved(&id).await), (true, (1000, 300)));
    assert_eq!(code(bench.gateway.refund("r2", &new_refund(&id, 701)).await), "gateway_rejected");
    assert_eq!(bench.gateway.refunds_of(&id).await.expect("a list").len(), 1);
    assert_eq!(bench.gateway.get_refund(&part.id).await.expect("it is read").metadata["step_key"], "run-1:7");
}

#[tokio::test]
async fn an_acquirers_decline_is_a_state_and_certain() {
    let bench = Acquirer::new().await;
    let id = bench.made("tok_declined").await;
    for key in ["p", "p2"] {
        let error = bench.gateway.confirm_intent(key, &id).await.expect_err("no");
        assert!(matches!(error, GatewayError::Refused(Refusal::Declined(_))), "{error}");
    }
    assert_eq!((bench.read(&id).await, bench.moved(&id).await), ((IntentStatus::RequiresPaymentMethod, 0), (0, 0)));
}

#[tokio::test]
async fn a_lost_capture_is_made_by_another_attempt() {
    let bench = Acquirer::new().await;
    let id = bench.made("tok_capture_lost").await;
    let error = bench.hasty().confirm_intent("p", &id).await.expect_err("no answer");
    assert!(!error.is_certain(), "{error}");
    assert_eq!((bench.read(&id).await, bench.moved(&id).await), ((IntentStatus::RequiresCapture, 0), (0, 0)));
    let paid = bench.gateway.confirm_intent("p2", &id).await.expect("paid");
    assert_eq!((paid.captured, bench.moved(&id).await), (1000, (1000, 0)));

    let other = Acquirer::new().await;
    let id = other.made("tok_capture_lost").await;
    other.hasty().confirm_intent("p", &id).await.expect_err("no answer");
    let voided = other.gateway.cancel_intent("x", &id).await.expect("what is only authorised can be voided");
    assert_eq!(voided.status, IntentStatus::Canceled);
    assert_eq!(code(other.gateway.confirm_intent("p2", &id).await), "payment_unexpected_state");
    assert_eq!(other.moved(&id).await, (0, 0));
}

#[tokio::test]
async fn only_reading_tells_of_a_capture_whose_answer_is_lost() {
    let bench = Acquirer::new().await;
    for token in ["tok_timeout_after_effect", "tok_500_after_effect"] {
        let id = bench.made(token).await;
        let error = bench.hasty().confirm_intent(&format!("p-{token}"), &id).await.expect_err("no answer");
        assert_eq!(error.code(), "gateway_outcome_unknown", "{token}");
        wait_for("the effect is there", async || match bench.read(&id).await {
            (IntentStatus::Succeeded, 1000) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        assert_eq!(bench.moved(&id).await, (1000, 0));
    }
}

#[tokio::test]
async fn an_authorisation_that_expires_moves_nothing() {
    let bench = Acquirer::new().await;
    let id = bench.made("tok_authorisation_expires").await;
    assert_eq!(code(bench.gateway.confirm_intent("p", &id).await), "payment_unexpected_state");
    assert_eq!((bench.read(&id).await, bench.moved(&id).await), ((IntentStatus::Canceled, 0), (0, 0)));
}

#[tokio::test]
async fn a_pending_authorisation_is_no_answer() {
    let bench = Acquirer::new().await;
    let id = bench.made("tok_slow").await;
    let begun = bench.hasty().confirm_intent("p", &id).await.expect("it is pending");
    assert_eq!((begun.status, begun.captured), (IntentStatus::Processing, 0));
    assert_eq!(code(bench.gateway.cancel_intent("x", &id).await), "payment_unexpected_state");
    let paid = bench.gateway.confirm_intent("p2", &id).await.expect("paid");
    assert_eq!((paid.status, bench.moved(&id).await), (IntentStatus::Succeeded, (1000, 0)));
}

#[tokio::test]
async fn amounts_have_their_currencys_decimals_on_the_wire() {
    let bench = Acquirer::new().await;
    for (currency, text) in [("JPY", "1000"), ("KWD", "1.000"), ("EUR", "10.00")] {
        let new = NewIntent { currency: currency.to_owned(), ..new_intent("tok_ok") };
        let id = bench.gateway.create_intent(currency, &new).await.expect("it is made").id;
        let url = format!("{}/payments/{id}", bench.simulator.url());
        let raw = bench.simulator.http.get(url).header("X-Api-Key", "key").send().await.expect("an answer");
        let raw: Value = raw.json().await.expect("JSON");
        assert_eq!((&raw["amount"]["value"], &raw["amount"]["currency"]), (&text.into(), &currency.into()));
        let paid = bench.gateway.confirm_intent(&format!("p-{currency}"), &id).await.expect("paid");
        assert_eq!((paid.captured, bench.moved(&id).await), (1000, (1000, 0)));
    }
    let unknown = NewIntent { currency: "ZZZ".to_owned(), ..new_intent("tok_ok") };
    let refused = bench.gateway.create_intent("x", &unknown).await.expect_err("its decimals are not known");
    assert!(refused.is_certain() && !refused.is_retryable());
    assert_eq!(bench.simulator.payments().await.len(), 3);
}

#[tokio::test]
async fn an_acquirers_lists_end_however_long_they_are() {
    let bench = Acquirer::new().await;
    let mut made = Vec::new();
    for n in 0..103 {
        made.push(bench.gateway.create_intent(&format!("c{n}"), &new_intent("tok_ok")).await.expect("made").id);
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = bench.gateway.list_intents(after.as_deref()).await.expect("a page");
        assert_eq!(page.unreadable, 0);
        seen.extend(page.items.into_iter().map(|listed| listed.item.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    made.reverse();
    assert_eq!(seen, made);
}
