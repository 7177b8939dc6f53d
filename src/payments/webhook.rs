//! The gateway's webhook events, read into a small typed form.
//!
//! [`receive`] is the only entry: it checks the signature over the raw bytes before it parses. An event is
//! a hint, not a fact: it has the object as it was when the event was created, and may come twice, late or
//! out of order. So callers record it once by [`WebhookEvent::id`] and then ask the gateway.

use chrono::{DateTime, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    acquirer::{self, WirePayment},
    pool,
    signature::{
        ACQUIRER_SIGNATURE, ACQUIRER_TIMESTAMP, SIGNATURE_HEADER, SIGNATURE_TOLERANCE, SignatureError, verify_detached,
        verify_signature,
    },
    types::{Intent, Refund},
    vendor::{Vendor, VendorKind},
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

impl Subject {
    /// As it is among several vendors'.
    fn named(self, vendor: &str) -> Self {
        match self {
            Self::Intent(intent) => Self::Intent(pool::name_intent(vendor, intent)),
            Self::Refund(refund) => Self::Refund(pool::name_refund(vendor, refund)),
            Self::Other => Self::Other,
        }
    }
}

/// The same as [`receive`], with the ids of one of several vendors.
///
/// # Errors
/// As [`receive`].
pub fn receive_from<'a>(
    vendor: &Vendor,
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    now: i64,
) -> Result<WebhookEvent, WebhookError> {
    let event = receive(vendor.kind, vendor.webhook_secrets.as_slice(), header, body, now)?;
    let name = vendor.name.as_str();
    Ok(WebhookEvent { id: pool::join(name, event.id), subject: event.subject.named(name), ..event })
}

/// Verifies and parses a webhook. `header` gives a request's header; `now` is in Unix seconds.
///
/// # Errors
/// When the signature is not good, or the body is not an event.
pub fn receive<'a>(
    kind: VendorKind,
    secrets: &[Secret],
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    now: i64,
) -> Result<WebhookEvent, WebhookError> {
    // A header that is missing is refused like one that is wrong.
    let header = |name| header(name).unwrap_or_default();
    match kind {
        VendorKind::Stripe => {
            verify_signature(secrets, header(SIGNATURE_HEADER), body, now, SIGNATURE_TOLERANCE)?;
            parse(body)
        }
        VendorKind::Acquirer => {
            verify_detached(secrets, (header(ACQUIRER_TIMESTAMP), header(ACQUIRER_SIGNATURE)), body, now)?;
            parse_acquirers(body)
        }
    }
    .map_err(WebhookError::Unreadable)
}

/// The same as [`parse`] for an acquirer's.
fn parse_acquirers(body: &[u8]) -> Result<WebhookEvent, serde_json::Error> {
    let wire: WireNotice = serde_json::from_slice(body)?;
    let subject = match wire.about.as_str() {
        "payment" => Subject::Intent(read::<WirePayment, _>(wire.object)?),
        "refund" => Subject::Refund(read::<acquirer::WireRefund, _>(wire.object)?),
        _ => Subject::Other,
    };
    Ok(WebhookEvent { id: wire.id, created: wire.at.timestamp(), event_type: wire.about, subject })
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
struct WireNotice {
    id: String,
    at: DateTime<Utc>,
    about: String,
    object: Value,
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
        let of = |name: &str| (name == SIGNATURE_HEADER).then_some(header.as_str());
        let event = receive(VendorKind::Stripe, &secrets, of, SUCCEEDED.as_bytes(), 6).expect("a good event");
        assert_eq!((event.id.as_str(), event.created), ("evt_1", 5));
        let Subject::Intent(intent) = event.subject else { panic!("not an intent") };
        assert_eq!(intent.order_id.as_deref(), Some("o1"));
        assert_eq!(intent.status, IntentStatus::Succeeded);
        assert_eq!((intent.captured, intent.currency.as_str()), (500, "EUR"));
    }

    #[test]
    fn an_event_with_a_bad_signature_is_not_even_parsed() {
        let secrets = [Secret::from("s")];
        let error = receive(VendorKind::Stripe, &secrets, |_| Some("t=5,v1=00"), b"not json", 5);
        assert_eq!(error.map_err(|e| e.code()), Err("signature_mismatch"));
        let of = |name: &str| Some(if name == ACQUIRER_TIMESTAMP { "5" } else { "00" });
        let error = receive(VendorKind::Acquirer, &secrets, of, b"not json", 5);
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
