//! Stripe's JSON objects as the simulator writes them: intents, refunds, lists, errors, events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An answer: HTTP status and body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    /// `{"error": {...}}`
    pub(super) fn error(status: u16, kind: &str, code: &str, message: &str) -> Self {
        let body = json!({"error": {"type": kind, "code": code, "message": message}});
        Self { status, body }
    }

    /// An invalid request: 400 `invalid_request_error`.
    pub(super) fn invalid(code: &str, message: &str) -> Self {
        Self::error(400, "invalid_request_error", code, message)
    }

    pub(super) fn missing(kind: &str, id: &str) -> Self {
        let message = format!("No such {kind}: '{id}'");
        Self::error(404, "invalid_request_error", "resource_missing", &message)
    }

    /// The gateway's own failure.
    pub(super) fn api_error(status: u16, message: &str) -> Self {
        let body = json!({"error": {"type": "api_error", "message": message}});
        Self { status, body }
    }

    /// The same error, with the intent that it is about.
    pub(super) fn about(mut self, intent: &Intent) -> Self {
        self.body["error"]["payment_intent"] = intent.to_json();
        self
    }
}

pub(super) type Metadata = BTreeMap<String, String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum IntentStatus {
    RequiresConfirmation,
    RequiresPaymentMethod,
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    /// None before a payment method was given.
    pub(super) token: Option<String>,
    /// It is only authorised by its confirm; a capture follows.
    pub(super) manual: bool,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) metadata: Metadata,
    pub(super) status: IntentStatus,
    pub(super) captured: i64,
    /// Minor units refunded.
    pub(super) refunded: i64,
    /// Minor units of pending refunds.
    pub(super) refund_pending: i64,
    pub(super) declined: bool,
    /// Confirms that `tok_flaky` has failed so far.
    pub(super) flaked: u32,
    /// Whether `tok_refund_fails` has been cleared.
    pub(super) healed: bool,
    /// The key of the confirm, or of the create until it is confirmed.
    pub(super) key: Option<String>,
    pub(super) created_ms: i64,
}

impl Intent {
    pub(super) fn to_json(&self) -> Value {
        let error = self.declined.then(|| {
            json!({"type": "card_error", "code": "card_declined",
                "decline_code": "generic_decline", "message": "Your card was declined."})
        });
        let method = self.token.as_ref().filter(|_| self.status != IntentStatus::RequiresPaymentMethod);
        let capturable = if self.status == IntentStatus::RequiresCapture { self.amount } else { 0 };
        json!({
            "id": self.id, "object": "payment_intent", "livemode": false,
            "created": self.created_ms / 1000, "status": self.status,
            "amount": self.amount, "amount_capturable": capturable, "amount_received": self.captured,
            "currency": self.currency, "metadata": self.metadata,
            "payment_method": method, "payment_method_types": ["card"],
            "capture_method": if self.manual { "manual" } else { "automatic" }, "last_payment_error": error,
        })
    }

    /// The row of `GET /sim/ledger`.
    pub(super) fn to_ledger(&self) -> Value {
        json!({
            "id": self.id, "idempotency_key": self.key, "metadata": self.metadata,
            "amount": self.amount, "currency": self.currency, "status": self.status,
            "captured": self.captured, "refunded": self.refunded,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) intent_id: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) metadata: Metadata,
    pub(super) status: RefundStatus,
    pub(super) created_ms: i64,
}

impl Refund {
    pub(super) fn to_json(&self) -> Value {
        let failure = (self.status == RefundStatus::Failed).then_some("declined");
        json!({
            "id": self.id, "object": "refund", "created": self.created_ms / 1000,
            "payment_intent": self.intent_id, "amount": self.amount, "currency": self.currency,
            "metadata": self.metadata, "status": self.status, "failure_reason": failure,
        })
    }
}

/// An event to be posted, `deliveries` times.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) created_ms: i64,
    pub(super) object: Value,
    pub(super) deliveries: usize,
}

impl Event {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "id": self.id, "object": "event", "type": self.kind, "livemode": false,
            "created": self.created_ms / 1000, "data": {"object": self.object},
        })
    }
}

/// A fresh id; random, so that a restart never hands out an id that a client still remembers.
pub(super) fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::new_v4().simple())
}
