//! The gateway's JSON shapes and their one-way conversion into our types.
//!
//! Only the fields we use are named; others are ignored, so the gateway may add any. If a field we need is
//! missing the answer can't be parsed, and the outcome is unknown.

use serde::Deserialize;
use serde_json::Value;

use super::types::{Decline, Intent, IntentStatus, Metadata, ORDER_ID, Refund, RefundStatus};

#[derive(Deserialize)]
pub(super) struct WireIntent {
    id: String,
    status: String,
    amount: i64,
    #[serde(default)]
    amount_received: i64,
    currency: String,
    #[serde(default)]
    metadata: Metadata,
    last_payment_error: Option<WireError>,
}

#[derive(Deserialize)]
pub(super) struct WireRefund {
    id: String,
    payment_intent: Option<String>,
    /// Nullable in the gateway's own documentation.
    status: Option<String>,
    amount: i64,
    currency: String,
    failure_reason: Option<String>,
    /// Nullable for refunds, unlike for intents.
    metadata: Option<Metadata>,
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

    pub(super) fn intent(&self) -> Option<Intent> {
        let raw = self.payment_intent.clone()?;
        serde_json::from_value::<WireIntent>(raw).ok().map(Intent::from)
    }

    pub(super) fn decline(self) -> Decline {
        Decline { code: self.code().to_owned(), decline_code: self.decline_code, message: self.message }
    }
}

impl From<WireIntent> for Intent {
    fn from(wire: WireIntent) -> Self {
        Self {
            id: wire.id,
            status: IntentStatus::from_wire(&wire.status),
            amount: wire.amount,
            captured: wire.amount_received,
            currency: wire.currency.to_ascii_uppercase(),
            order_id: wire.metadata.get(ORDER_ID).cloned(),
            metadata: wire.metadata,
            last_decline: wire.last_payment_error.map(WireError::decline),
        }
    }
}

impl From<WireRefund> for Refund {
    fn from(wire: WireRefund) -> Self {
        let metadata = wire.metadata.unwrap_or_default();
        Self {
            id: wire.id,
            intent_id: wire.payment_intent,
            status: wire.status.as_deref().map_or(RefundStatus::Unrecognised, RefundStatus::from_wire),
            amount: wire.amount,
            currency: wire.currency.to_ascii_uppercase(),
            failure_reason: wire.failure_reason,
            order_id: metadata.get(ORDER_ID).cloned(),
            metadata,
        }
    }
}
