//! An acquirer's JSON objects. The wire is described at [`crate::payments::AcquirerGateway`].

use chrono::DateTime;
use serde_json::{Value, json};

use super::{
    faults::Fault,
    objects::{Event, Intent, IntentStatus, Refund, RefundStatus},
};
use crate::payments::to_decimal;

/// An amount; one in a currency that it does not know was refused when the payment was made.
fn amount(minor: i64, currency: &str) -> Value {
    json!({"value": to_decimal(minor, currency), "currency": currency.to_ascii_uppercase()})
}

fn time(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339()
}

/// A payment.
pub(super) fn payment(intent: &Intent) -> Value {
    let state = match intent.status {
        IntentStatus::RequiresConfirmation => "new",
        IntentStatus::RequiresPaymentMethod => "declined",
        IntentStatus::Processing => "pending",
        IntentStatus::RequiresCapture => "authorised",
        IntentStatus::Succeeded => "captured",
        IntentStatus::Canceled if is_expired(intent) => "expired",
        IntentStatus::Canceled => "voided",
    };
    let mut details = intent.metadata.clone();
    let reference = details.remove("order_id");
    let decline = intent.declined.then(|| json!({"code": "do_not_honour", "text": "The card was declined."}));
    json!({
        "id": intent.id, "state": state, "amount": amount(intent.amount, &intent.currency),
        "captured": amount(intent.captured, &intent.currency), "reference": reference, "details": details,
        "decline": decline, "created": time(intent.created_ms),
    })
}

/// A refund.
pub(super) fn refund(refund: &Refund) -> Value {
    let state = match refund.status {
        RefundStatus::Pending => "pending",
        RefundStatus::Succeeded => "paid",
        RefundStatus::Failed => "refused",
    };
    let mut details = refund.metadata.clone();
    let reference = details.remove("order_id");
    json!({
        "id": refund.id, "payment": refund.intent_id, "state": state, "amount": amount(refund.amount, &refund.currency),
        "reference": reference, "details": details, "created": time(refund.created_ms),
    })
}

/// The body of a webhook.
pub(super) fn notice(event: &Event) -> Value {
    let about = if event.kind.starts_with("refund") { "refund" } else { "payment" };
    json!({"id": event.id, "at": time(event.created_ms), "about": about, "object": event.object})
}

/// Whether a payment that came to nothing was authorised for too long.
fn is_expired(intent: &Intent) -> bool {
    intent.token.as_deref().and_then(Fault::of) == Some(Fault::AuthorisationExpires)
}
