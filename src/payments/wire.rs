//! The gateway's JSON shapes and their one-way conversion into our types.
//!
//! Only the fields we use are named; others are ignored, so the gateway may add any. A field that we need has no default:
//! where it is missing, or says what no payment can be like, the answer can't be read, and the outcome is unknown.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::types::{Decline, Intent, IntentStatus, Metadata, ORDER_ID, Refund, RefundStatus};

/// What is wrong with an answer that has all its fields.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Odd(String);

impl Odd {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

#[derive(Deserialize)]
pub(super) struct WireIntent {
    id: String,
    status: String,
    amount: i64,
    amount_received: i64,
    currency: String,
    #[serde(deserialize_with = "nullable")]
    metadata: Option<Metadata>,
    last_payment_error: Option<WireError>,
}

#[derive(Deserialize)]
pub(super) struct WireRefund {
    id: String,
    #[serde(deserialize_with = "nullable")]
    payment_intent: Option<String>,
    /// Nullable in the gateway's own documentation.
    #[serde(deserialize_with = "nullable")]
    status: Option<String>,
    amount: i64,
    currency: String,
    failure_reason: Option<String>,
    /// By which a refund is found again: one that seems to have none would be made twice.
    #[serde(deserialize_with = "nullable")]
    metadata: Option<Metadata>,
}

/// A field that may be null but not missing.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

#[derive(Deserialize)]
pub(super) struct WireList<T> {
    pub(super) data: Vec<T>,
    pub(super) has_more: bool,
}

#[derive(Deserialize)]
pub(super) struct WireErrorBody {
    pub(super) error: WireError,
}

#[derive(Deserialize)]
pub(super) struct WireError {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) code: Option<String>,
    decline_code: Option<String>,
    #[serde(default)]
    pub(super) message: String,
    /// Kept raw: an intent that can't be read must not hide the error that carries it.
    payment_intent: Option<Value>,
}

impl WireError {
    /// The gateway's code, or the error's type if it has none.
    pub(super) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or(&self.kind)
    }

    /// The intent that the gateway sent along; none where it did not, or it can't be read.
    pub(super) fn intent(&self) -> Option<Intent> {
        let raw = self.payment_intent.clone()?;
        serde_json::from_value::<WireIntent>(raw).ok()?.try_into().ok()
    }

    pub(super) fn decline(self) -> Decline {
        Decline { code: self.code().to_owned(), decline_code: self.decline_code, message: self.message }
    }
}

impl TryFrom<WireIntent> for Intent {
    type Error = Odd;

    fn try_from(wire: WireIntent) -> Result<Self, Odd> {
        let status = IntentStatus::from_wire(&wire.status);
        let (amount, captured) = (wire.amount, wire.amount_received);
        if amount <= 0 || !(0..=amount).contains(&captured) || (status == IntentStatus::Succeeded && captured == 0) {
            return Err(Odd(format!("{captured} of {amount} received, with the status {:?}", wire.status)));
        }
        let metadata = wire.metadata.unwrap_or_default();
        Ok(Self {
            id: named(wire.id)?,
            status,
            amount,
            captured,
            currency: currency(&wire.currency)?,
            order_id: metadata.get(ORDER_ID).cloned(),
            metadata,
            last_decline: wire.last_payment_error.map(WireError::decline),
        })
    }
}

impl TryFrom<WireRefund> for Refund {
    type Error = Odd;

    fn try_from(wire: WireRefund) -> Result<Self, Odd> {
        if wire.amount <= 0 {
            return Err(Odd(format!("a refund of {}", wire.amount)));
        }
        let metadata = wire.metadata.unwrap_or_default();
        Ok(Self {
            id: named(wire.id)?,
            intent_id: wire.payment_intent,
            status: wire.status.as_deref().map_or(RefundStatus::Unrecognised, RefundStatus::from_wire),
            amount: wire.amount,
            currency: currency(&wire.currency)?,
            failure_reason: wire.failure_reason,
            order_id: metadata.get(ORDER_ID).cloned(),
            metadata,
        })
    }
}

impl TryFrom<WireList<WireRefund>> for Vec<Refund> {
    type Error = Odd;

    /// With half a list, a refund could seem not to have been made.
    fn try_from(wire: WireList<WireRefund>) -> Result<Self, Odd> {
        if wire.has_more {
            return Err(Odd(format!("there are more than {} refunds", wire.data.len())));
        }
        wire.data.into_iter().map(Refund::try_from).collect()
    }
}

/// An id that is one.
pub(super) fn named(id: String) -> Result<String, Odd> {
    if id.is_empty() { Err(Odd("an empty id".to_owned())) } else { Ok(id) }
}

fn currency(text: &str) -> Result<String, Odd> {
    if text.len() == 3 && text.chars().all(|c| c.is_ascii_alphabetic()) {
        return Ok(text.to_ascii_uppercase());
    }
    Err(Odd(format!("the currency {text:?}")))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    fn intent() -> Value {
        json!({"id": "pi_1", "status": "succeeded", "amount": 450, "amount_received": 450, "currency": "eur",
            "metadata": {"order_id": "o1"}})
    }

    fn refund() -> Value {
        json!({"id": "re_1", "status": "succeeded", "payment_intent": "pi_1", "amount": 450, "currency": "eur",
            "metadata": {"refund_no": "1"}})
    }

    pub(in crate::payments) fn reads<W: serde::de::DeserializeOwned, T: TryFrom<W>>(value: Value) -> bool {
        serde_json::from_value::<W>(value).is_ok_and(|wire| T::try_from(wire).is_ok())
    }

    pub(in crate::payments) fn without(mut object: Value, field: &str) -> Value {
        object.as_object_mut().and_then(|fields| fields.remove(field)).expect("it was there");
        object
    }

    #[test]
    fn no_field_that_is_needed_has_a_default() {
        assert!(reads::<WireIntent, Intent>(intent()) && reads::<WireRefund, Refund>(refund()));
        for field in ["id", "status", "amount", "amount_received", "currency", "metadata"] {
            assert!(!reads::<WireIntent, Intent>(without(intent(), field)), "{field}");
        }
        for field in ["id", "status", "payment_intent", "amount", "currency", "metadata"] {
            assert!(!reads::<WireRefund, Refund>(without(refund(), field)), "{field}");
        }
        assert!(!reads::<WireList<WireRefund>, Vec<Refund>>(json!({"data": [refund()]})));
        assert!(!reads::<WireList<WireRefund>, Vec<Refund>>(json!({"data": [refund()], "has_more": true})));
    }

    #[test]
    fn what_no_payment_can_be_like_is_not_read() {
        for (field, value) in [
            ("id", json!("")),
            ("amount", json!(0)),
            ("amount", json!("450")),
            ("amount", json!(449)),
            ("amount_received", json!(0)),
            ("amount_received", json!(null)),
            ("amount_received", json!(-450)),
            ("amount_received", json!(4.5)),
            ("currency", json!("")),
            ("currency", json!("euro")),
            ("status", json!(null)),
        ] {
            let mut odd = intent();
            odd[field] = value;
            assert!(!reads::<WireIntent, Intent>(odd.clone()), "{odd}");
        }
        for (field, value) in
            [("amount", json!(-1)), ("amount", json!(null)), ("currency", json!("€")), ("id", json!(""))]
        {
            let mut odd = refund();
            odd[field] = value;
            assert!(!reads::<WireRefund, Refund>(odd.clone()), "{odd}");
        }
    }
}
