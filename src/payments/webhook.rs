//! The gateway's webhook events, read into a small typed form.
//!
//! [`receive`] is the only entry: it checks the signature over the raw bytes before it parses. An event is
//! a hint, not a fact: it has the object as it was when the event was created, and may come twice, late or
//! out of order. So callers record it once by [`WebhookEvent::id`] and then ask the gateway.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    signature::{SIGNATURE_TOLERANCE, SignatureError, verify_signature},
    types::{Intent, Refund},
    wire::{Odd, WireIntent, WireRefund},
};
use crate::Secret;

/// A verified event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEvent {
    /// The event's id, by which duplicates are recognised.
    pub id: String,
    /// When the gateway created it, in Unix seconds.
    pub created: i64,
    /// The gateway's type, for example `payment_intent.succeeded`.
    pub event_type: String,
    /// What it is about.
    pub subject: Subject,
}

/// What an event is about, as it was when the event was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// `payment_intent.*`
    Intent(Intent),
    /// `refund.*` and `charge.refund.updated`
    Refund(Refund),
    /// A type that orders don't use: answer 200 and ignore it.
    Other,
}

/// Why a webhook is rejected.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Bad signature: answer 400, change nothing.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Signed by the gateway, but unreadable: an operator should see it.
    #[error("the event can't be read")]
    Unreadable(#[source] serde_json::Error),
}

impl WebhookError {
    /// Our stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Signature(error) => error.code(),
            Self::Unreadable(_) => "webhook_unreadable",
        }
    }
}

/// Verifies and parses a webhook. `now` is in Unix seconds.
///
/// # Errors
/// When the signature is not good, or the body is not an event.
pub fn receive(
    secrets: &[Secret],
    signature_header: &str,
    body: &[u8],
    now: i64,
) -> Result<WebhookEvent, WebhookError> {
    verify_signature(secrets, signature_header, body, now, SIGNATURE_TOLERANCE)?;
    parse(body).map_err(WebhookError::Unreadable)
}

/// Parses an event whose signature has been checked, for example one from the inbox.
///
/// # Errors
/// When the body is not an event, or an event of a type we use lacks a field we need.
pub fn parse(body: &[u8]) -> Result<WebhookEvent, serde_json::Error> {
    let wire: WireEvent = serde_json::from_slice(body)?;
    let object = wire.data.object;
    let subject = match wire.event_type.split_once('.') {
        Some(("payment_intent", _)) => Subject::Intent(read::<WireIntent, _>(object)?),
        Some(("refund", _)) | Some(("charge", "refund.updated")) => Subject::Refund(read::<WireRefund, _>(object)?),
        _ => Subject::Other,
    };
    Ok(WebhookEvent { id: wire.id, created: wire.created, event_type: wire.event_type, subject })
}

fn read<W: DeserializeOwned, T: TryFrom<W, Error = Odd>>(object: Value) -> Result<T, serde_json::Error> {
    T::try_from(serde_json::from_value(object)?).map_err(serde::de::Error::custom)
}

#[derive(Deserialize)]
struct WireEvent {
    id: String,
    #[serde(default)]
    created: i64,
    #[serde(rename = "type")]
    event_type: String,
    data: WireData,
}

#[derive(Deserialize)]
struct WireData {
    object: Value,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::{IntentStatus, RefundStatus, sign};

    const SUCCEEDED: &str = r#"{"id":"evt_1","created":5,"type":"payment_intent.succeeded","data":{"object":
        {"id":"pi_1","object":"payment_intent","status":"succeeded","amount":500,"amount_received":500,
         "currency":"eur","metadata":{"order_id":"o1"},"last_payment_error":null,"novelty":{}}}}"#;

    #[test]
    fn an_intent_event_tells_order_amount_currency_and_status() {
        let secrets = [Secret::from("s")];
        let header = sign(&secrets, 5, SUCCEEDED.as_bytes());
        let event = receive(&secrets, &header, SUCCEEDED.as_bytes(), 6).expect("a good event");
        assert_eq!((event.id.as_str(), event.created), ("evt_1", 5));
        let Subject::Intent(intent) = event.subject else { panic!("not an intent") };
        assert_eq!(intent.order_id.as_deref(), Some("o1"));
        assert_eq!(intent.status, IntentStatus::Succeeded);
        assert_eq!((intent.captured, intent.currency.as_str()), (500, "EUR"));
    }

    #[test]
    fn an_event_with_a_bad_signature_is_not_even_parsed() {
        let error = receive(&[Secret::from("s")], "t=5,v1=00", b"not json", 5);
        assert_eq!(error.map_err(|e| e.code()), Err("signature_mismatch"));
    }

    #[test]
    fn a_refund_event_tells_refund_and_intent() {
        let body = r#"{"id":"evt_2","type":"refund.updated","data":{"object":{"id":"re_1","status":"failed",
            "payment_intent":"pi_1","amount":5,"currency":"eur","failure_reason":"declined","metadata":null}}}"#;
        let Subject::Refund(refund) = parse(body.as_bytes()).expect("an event").subject else { panic!("not a refund") };
        assert_eq!(refund.status, RefundStatus::Failed);
        assert_eq!(refund.intent_id.as_deref(), Some("pi_1"));
    }

    #[test]
    fn unused_events_are_other_broken_ones_errors() {
        let other = r#"{"id":"evt_3","type":"customer.created","data":{"object":{}}}"#;
        assert_eq!(parse(other.as_bytes()).expect("an event").subject, Subject::Other);
        let broken = r#"{"id":"evt_4","type":"payment_intent.succeeded","data":{"object":{}}}"#;
        assert!(parse(broken.as_bytes()).is_err());
        assert!(parse(b"").is_err());
    }
}
