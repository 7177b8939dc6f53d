//! The acquirer's JSON shapes and their one-way conversion into our types. A field that we need has no default: where it is
//! missing, or says what no payment can be like, the answer can't be read, and the outcome is unknown.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::payments::{
    decimal::from_decimal,
    list::{Listed, Page},
    types::{Decline, Intent, IntentStatus, Metadata, ORDER_ID, Refund, RefundStatus},
    wire::{Odd, named, nullable},
};

#[derive(Deserialize)]
struct WireAmount {
    value: String,
    currency: String,
}

impl WireAmount {
    fn read(self) -> Result<(i64, String), Odd> {
        let minor = from_decimal(&self.value, &self.currency);
        let minor = minor.ok_or_else(|| Odd::new(format!("the amount {:?} {:?}", self.value, self.currency)))?;
        Ok((minor, self.currency.to_ascii_uppercase()))
    }
}

#[derive(Deserialize)]
pub(in crate::payments) struct WirePayment {
    id: String,
    state: String,
    amount: WireAmount,
    captured: WireAmount,
    #[serde(deserialize_with = "nullable")]
    reference: Option<String>,
    #[serde(deserialize_with = "nullable")]
    details: Option<Metadata>,
    decline: Option<WireDecline>,
}

#[derive(Deserialize)]
struct WireDecline {
    code: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
pub(in crate::payments) struct WireRefund {
    id: String,
    payment: String,
    state: String,
    amount: WireAmount,
    #[serde(deserialize_with = "nullable")]
    reference: Option<String>,
    /// By which a refund is found again: one that seems to have none would be made twice.
    #[serde(deserialize_with = "nullable")]
    details: Option<Metadata>,
}

#[derive(Deserialize)]
pub(super) struct WireRefundsOf {
    refunds: Vec<WireRefund>,
    total: usize,
}

#[derive(Deserialize)]
pub(super) struct WirePayments {
    payments: Vec<Value>,
    #[serde(deserialize_with = "nullable")]
    next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WireRefunds {
    refunds: Vec<Value>,
    #[serde(deserialize_with = "nullable")]
    next: Option<String>,
}

/// Our references, with the order's among them.
fn metadata(details: Option<Metadata>, reference: Option<&String>) -> Metadata {
    let mut metadata = details.unwrap_or_default();
    metadata.remove(ORDER_ID);
    metadata.extend(reference.map(|order| (ORDER_ID.to_owned(), order.clone())));
    metadata
}

impl TryFrom<WirePayment> for Intent {
    type Error = Odd;

    fn try_from(wire: WirePayment) -> Result<Self, Odd> {
        let status = match wire.state.as_str() {
            "new" => IntentStatus::RequiresConfirmation,
            "pending" => IntentStatus::Processing,
            "authorised" => IntentStatus::RequiresCapture,
            "captured" => IntentStatus::Succeeded,
            "declined" => IntentStatus::RequiresPaymentMethod,
            "voided" | "expired" => IntentStatus::Canceled,
            _ => IntentStatus::Unrecognised,
        };
        let ((amount, currency), (captured, captured_in)) = (wire.amount.read()?, wire.captured.read()?);
        let is_captured = status == IntentStatus::Succeeded;
        let known = status != IntentStatus::Unrecognised;
        let odd = amount == 0 || captured > amount || captured_in != currency;
        if odd || (known && (captured > 0) != is_captured) {
            let state = wire.state;
            return Err(Odd::new(format!(
                "{captured} {captured_in} of {amount} {currency} captured, in state {state:?}"
            )));
        }
        let decline =
            wire.decline.map(|WireDecline { code, text }| Decline { code, decline_code: None, message: text });
        Ok(Self {
            id: named(wire.id)?,
            status,
            amount,
            captured,
            currency,
            metadata: metadata(wire.details, wire.reference.as_ref()),
            order_id: wire.reference,
            last_decline: decline,
        })
    }
}

impl TryFrom<WireRefund> for Refund {
    type Error = Odd;

    fn try_from(wire: WireRefund) -> Result<Self, Odd> {
        let (amount, currency) = wire.amount.read()?;
        if amount == 0 {
            return Err(Odd::new("a refund of nothing"));
        }
        let status = match wire.state.as_str() {
            "pending" => RefundStatus::Pending,
            "paid" => RefundStatus::Succeeded,
            "refused" => RefundStatus::Failed,
            _ => RefundStatus::Unrecognised,
        };
        Ok(Self {
            id: named(wire.id)?,
            intent_id: Some(named(wire.payment)?),
            status,
            amount,
            currency,
            failure_reason: None,
            metadata: metadata(wire.details, wire.reference.as_ref()),
            order_id: wire.reference,
        })
    }
}

impl TryFrom<WireRefundsOf> for Vec<Refund> {
    type Error = Odd;

    /// With half a list, a refund could seem not to have been made.
    fn try_from(wire: WireRefundsOf) -> Result<Self, Odd> {
        if wire.total != wire.refunds.len() {
            return Err(Odd::new(format!("{} of {} refunds", wire.refunds.len(), wire.total)));
        }
        wire.refunds.into_iter().map(Refund::try_from).collect()
    }
}

impl TryFrom<WirePayments> for Page<Intent> {
    type Error = Odd;

    fn try_from(wire: WirePayments) -> Result<Self, Odd> {
        read_page::<WirePayment, Intent>(wire.payments, wire.next)
    }
}

impl TryFrom<WireRefunds> for Page<Refund> {
    type Error = Odd;

    fn try_from(wire: WireRefunds) -> Result<Self, Odd> {
        read_page::<WireRefund, Refund>(wire.refunds, wire.next)
    }
}

/// An object that can't be read is counted, and hides no other.
fn read_page<W, T>(objects: Vec<Value>, next: Option<String>) -> Result<Page<T>, Odd>
where
    W: serde::de::DeserializeOwned,
    T: TryFrom<W>,
{
    if objects.is_empty() && next.is_some() {
        return Err(Odd::new("there is more after an empty page"));
    }
    let all = objects.len();
    let read = |object: Value| {
        let made_at_s = object["created"].as_str()?.parse::<DateTime<Utc>>().ok()?.timestamp();
        let item = serde_json::from_value::<W>(object).ok()?.try_into().ok()?;
        Some(Listed { item, made_at_s })
    };
    let items: Vec<Listed<T>> = objects.into_iter().filter_map(read).collect();
    Ok(Page { unreadable: all.saturating_sub(items.len()), items, next })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::payments::wire::tests::{reads, without};

    fn payment() -> Value {
        json!({"id": "pay_1", "state": "captured", "amount": {"value": "4.50", "currency": "EUR"},
            "captured": {"value": "4.50", "currency": "EUR"}, "reference": "o1", "details": {"run_id": "r"},
            "created": "2026-01-01T00:00:00Z"})
    }

    fn refund() -> Value {
        json!({"id": "rf_1", "payment": "pay_1", "state": "paid", "amount": {"value": "4.50", "currency": "EUR"},
            "reference": "o1", "details": {"refund_no": "1"}, "created": "2026-01-01T00:00:00Z"})
    }

    #[test]
    fn no_field_that_is_needed_has_a_default() {
        assert!(reads::<WirePayment, Intent>(payment()) && reads::<WireRefund, Refund>(refund()));
        for field in ["id", "state", "amount", "captured", "reference", "details"] {
            assert!(!reads::<WirePayment, Intent>(without(payment(), field)), "{field}");
        }
        for field in ["id", "payment", "state", "amount", "reference", "details"] {
            assert!(!reads::<WireRefund, Refund>(without(refund(), field)), "{field}");
        }
        assert!(!reads::<WireRefundsOf, Vec<Refund>>(json!({"refunds": [refund()]})));
        assert!(!reads::<WireRefundsOf, Vec<Refund>>(json!({"refunds": [refund()], "total": 2})));
        assert!(!reads::<WirePayments, Page<Intent>>(json!({"payments": []})));
        let page = json!({"payments": [payment(), without(payment(), "created")], "next": null});
        let page: WirePayments = serde_json::from_value(page).expect("a page");
        let page = Page::<Intent>::try_from(page).expect("it is read");
        assert_eq!((page.items.len(), page.unreadable, page.next), (1, 1, None));
    }

    #[test]
    fn what_no_payment_can_be_like_is_not_read() {
        let amount = |value: &str, currency: &str| json!({"value": value, "currency": currency});
        for (field, value) in [
            ("id", json!("")),
            ("amount", json!("4.50")),
            ("amount", json!({"value": 4.5, "currency": "EUR"})),
            ("amount", amount("4.5", "EUR")),
            ("amount", amount("4.49", "EUR")),
            ("captured", amount("0.00", "EUR")),
            ("captured", amount("4.50", "USD")),
            ("captured", json!(null)),
            ("state", json!("authorised")),
            ("state", json!(null)),
            ("amount", amount("4.50", "ZZZ")),
        ] {
            let mut odd = payment();
            odd[field] = value;
            assert!(!reads::<WirePayment, Intent>(odd.clone()), "{odd}");
        }
        for (field, value) in [("amount", amount("0.00", "EUR")), ("id", json!("")), ("payment", json!(null))] {
            let mut odd = refund();
            odd[field] = value;
            assert!(!reads::<WireRefund, Refund>(odd.clone()), "{odd}");
        }
    }

    #[test]
    fn zero_and_three_decimals_are_read_exactly() {
        for (value, currency, minor) in [("450", "JPY", 450), ("0.450", "KWD", 450)] {
            let mut odd = payment();
            odd["amount"] = json!({"value": value, "currency": currency});
            odd["captured"] = odd["amount"].clone();
            let intent: Intent =
                serde_json::from_value::<WirePayment>(odd).expect("it parses").try_into().expect("read");
            assert_eq!((intent.amount, intent.captured, intent.currency.as_str()), (minor, minor, currency));
        }
    }
}
