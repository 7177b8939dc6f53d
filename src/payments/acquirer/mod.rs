//! The adapter for acquirers: gateways that authorise and capture apart, write amounts as decimal strings, and tell what came of
//! a call when they are asked again.
//!
//! # Wire
//! JSON both ways. `X-Api-Key` is the key; `X-Request-Id` makes a POST idempotent.
//!
//! | call | answers |
//! |---|---|
//! | `POST /payments` `{"reference", "amount", "card", "details"}` | the payment, `new` |
//! | `POST /payments/{id}/authorise` | the same, `pending` |
//! | `POST /payments/{id}/capture` `{"amount"}` | the same, `pending` |
//! | `POST /payments/{id}/void` | the same, `voided` |
//! | `GET /payments/{id}` | the same |
//! | `POST /payments/{id}/refunds` `{"reference", "amount", "details"}` | the refund |
//! | `GET /payments/{id}/refunds` | `{"refunds", "total"}` |
//! | `GET /refunds/{id}` | the refund |
//! | `GET /payments?size=&before=`, `GET /refunds?…` | `{"payments" or "refunds", "next"}`, newest first |
//!
//! An amount is `{"value": "10.00", "currency": "EUR"}`, with exactly the currency's decimals. A payment has `id`, `state` (`new`
//! `pending` `authorised` `captured` `declined` `voided` `expired`), `amount`, `captured`, `reference` (the order), `details`,
//! `created`; a declined one `decline` `{"code", "text"}`. A refund has `id`, `payment`, `state` (`pending` `paid` `refused`),
//! `amount`, `reference`, `details`, `created`. A decline is a state, not an error. An error is `{"code", "text"}`; 409
//! `wrong_state` comes with the `payment`, and 409 `in_progress` and 422 `request_reused` are about `X-Request-Id`. An authorisation
//! expires: it can't be captured then.
//!
//! A webhook is `{"id", "at", "about": "payment" or "refund", "object"}`, signed by `Acquirer-Signature`: the hex of the HMAC-SHA256
//! of `<Acquirer-Timestamp>.<body>`, one word for each secret in rotation.

mod classify;
mod wire;

use std::time::Duration;

use reqwest::{
    Client, RequestBuilder, Url,
    header::{HeaderMap, HeaderValue},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::classify::{classify, unreadable};
pub(super) use self::wire::{WirePayment, WireRefund};
use self::wire::{WirePayments, WireRefunds, WireRefundsOf};
use super::{
    GatewayFuture, PaymentGateway,
    decimal::to_decimal,
    error::{GatewayError, Refusal, SetupError, UnknownReason},
    http::{GatewayConfig, about, base_url, checked_id, checked_key, join, lost, or_already, read, traced},
    list::Page,
    types::{Decline, Intent, IntentStatus, NewIntent, NewRefund, Refund},
    wire::Odd,
};
use crate::tls;

/// Objects per page of a list.
const PER_PAGE: &str = "100";

/// How long to wait before an outcome is asked for, at first and at most.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_millis(500);

/// An acquirer. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct AcquirerGateway {
    client: Client,
    base: Url,
    headers: HeaderMap,
    timeout: Duration,
    traceparent: Option<fn() -> Option<String>>,
}

impl std::fmt::Debug for AcquirerGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the headers: they carry the key.
        f.debug_struct("AcquirerGateway").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl AcquirerGateway {
    /// Creates the adapter; sends nothing.
    ///
    /// # Errors
    /// When the URL or the key is not usable, or TLS can't be set up.
    pub fn new(config: &GatewayConfig) -> Result<Self, SetupError> {
        let base = base_url(config)?;
        let mut key = HeaderValue::from_str(config.api_key.expose()).map_err(|_| SetupError::ApiKey)?;
        key.set_sensitive(true);
        let headers = HeaderMap::from_iter([("x-api-key".parse().map_err(|_| SetupError::ApiKey)?, key)]);
        let client = tls::client(&base, config.timeout).map_err(SetupError::Client)?;
        Ok(Self { client, base, headers, timeout: config.timeout, traceparent: config.traceparent })
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(join(&self.base, path)).headers(traced(&self.headers, self.traceparent))
    }

    fn post(&self, path: &str, key: &str, body: &Value) -> Result<RequestBuilder, GatewayError> {
        let key = checked_key(key)?;
        let request = self.client.post(join(&self.base, path)).headers(traced(&self.headers, self.traceparent));
        Ok(request.header("X-Request-Id", key).json(body))
    }

    fn page(&self, path: &str, before: Option<&str>) -> Result<RequestBuilder, GatewayError> {
        let request = self.get(path).query(&[("size", PER_PAGE)]);
        Ok(match before {
            Some(before) => request.query(&[("before", checked_id(before)?)]),
            None => request,
        })
    }

    /// The payment after a verb, or as it is where its state forbids the verb.
    async fn advance(&self, key: &str, id: &str, verb: &str, body: &Value) -> Result<Intent, GatewayError> {
        match self.change(key, id, verb, body).await {
            Err(GatewayError::Refused(Refusal::UnexpectedState { intent, .. })) => Ok(*intent),
            other => other,
        }
    }

    async fn change(&self, key: &str, id: &str, verb: &str, body: &Value) -> Result<Intent, GatewayError> {
        let path = format!("/payments/{}/{verb}", checked_id(id)?);
        let answer = send::<WirePayment, Intent>(self.post(&path, key, body)?).await;
        match &answer {
            Ok(intent) => about(id, &intent.id)?,
            Err(error) => error.intent().map_or(Ok(()), |intent| about(id, &intent.id))?,
        }
        answer
    }

    async fn read_payment(&self, id: &str) -> Result<Intent, GatewayError> {
        let path = format!("/payments/{}", checked_id(id)?);
        let intent: Intent = send::<WirePayment, _>(self.get(&path)).await?;
        about(id, &intent.id)?;
        Ok(intent)
    }

    /// Asks until something has come of it, or the time is up.
    async fn await_outcome(&self, mut intent: Intent, until: Instant) -> Result<Intent, GatewayError> {
        let mut pause = FIRST_LOOK;
        while intent.status == IntentStatus::Processing && Instant::now() + pause < until {
            tokio::time::sleep(pause).await;
            intent = self.read_payment(&intent.id).await?;
            pause = (pause * 2).min(LAST_LOOK);
        }
        Ok(intent)
    }

    /// Authorises, then captures. The capture is for exactly what was authorised, so that the acquirer takes one only, whatever
    /// keys they carry.
    async fn authorise_and_capture(&self, key: &str, id: &str) -> Result<Intent, GatewayError> {
        let until = Instant::now() + self.timeout;
        let begun = self.advance(key, id, "authorise", &json!({})).await?;
        let authorised = self.await_outcome(begun, until).await.map_err(after_send)?;
        if authorised.status != IntentStatus::RequiresCapture {
            return Ok(authorised);
        }
        let amount = amount(authorised.amount, &authorised.currency).map_err(after_send)?;
        let capture = json!({ "amount": amount });
        let begun = self.advance(&format!("{key}-capture"), id, "capture", &capture).await.map_err(after_send)?;
        self.await_outcome(begun, until).await.map_err(after_send)
    }
}

/// A refusal of a later call of several says nothing of those before it.
fn after_send(error: GatewayError) -> GatewayError {
    match error {
        GatewayError::Refused(refusal) => GatewayError::unknown(UnknownReason::ConnectionLost, refusal.to_string()),
        unknown => unknown,
    }
}

/// An amount on the wire. A currency whose decimals are not known is refused before anything is sent.
fn amount(minor: i64, currency: &str) -> Result<Value, GatewayError> {
    let value = to_decimal(minor, currency).ok_or_else(|| {
        GatewayError::rejected(0, "currency_unknown", format!("the decimals of {currency} are not known"))
    })?;
    Ok(json!({"value": value, "currency": currency.to_ascii_uppercase()}))
}

impl PaymentGateway for AcquirerGateway {
    fn create_intent<'a>(&'a self, key: &'a str, new: &'a NewIntent) -> GatewayFuture<'a, Intent> {
        Box::pin(async move {
            let body = json!({"reference": new.order_id, "amount": amount(new.amount, &new.currency)?, "card": new.token,
                "details": new.metadata});
            let intent: Intent = send::<WirePayment, _>(self.post("/payments", key, &body)?).await?;
            about(&new.order_id, intent.order_id.as_deref().unwrap_or_default())?;
            about((new.amount, new.currency.to_ascii_uppercase()), (intent.amount, intent.currency.clone()))?;
            Ok(intent)
        })
    }

    fn confirm_intent<'a>(&'a self, key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent> {
        Box::pin(async move {
            let intent = self.authorise_and_capture(key, id).await?;
            match intent.status {
                IntentStatus::RequiresPaymentMethod => Err(Refusal::Declined(decline(&intent)).into()),
                IntentStatus::Canceled => {
                    let message = "the payment is voided, or its authorisation has expired".to_owned();
                    Err(Refusal::UnexpectedState { intent: Box::new(intent), message }.into())
                }
                _ => Ok(intent),
            }
        })
    }

    fn cancel_intent<'a>(&'a self, key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent> {
        Box::pin(async move { or_already(self.change(key, id, "void", &json!({})).await, IntentStatus::Canceled) })
    }

    fn get_intent<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Intent> {
        Box::pin(self.read_payment(id))
    }

    fn refund<'a>(&'a self, key: &'a str, new: &'a NewRefund) -> GatewayFuture<'a, Refund> {
        Box::pin(async move {
            // The amount on the wire has the payment's decimals, which only the payment says.
            let payment = self.read_payment(&new.intent_id).await?;
            let body = json!({"reference": new.order_id, "amount": amount(new.amount, &payment.currency)?,
                "details": new.metadata});
            let path = format!("/payments/{}/refunds", checked_id(&new.intent_id)?);
            let refund: Refund = send::<WireRefund, _>(self.post(&path, key, &body)?).await?;
            about((Some(&new.intent_id), new.amount), (refund.intent_id.as_ref(), refund.amount))?;
            about((&payment.currency, Some(&new.order_id)), (&refund.currency, refund.order_id.as_ref()))?;
            Ok(refund)
        })
    }

    fn get_refund<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Refund> {
        Box::pin(async move {
            let path = format!("/refunds/{}", checked_id(id)?);
            let refund: Refund = send::<WireRefund, _>(self.get(&path)).await?;
            about(id, &refund.id)?;
            Ok(refund)
        })
    }

    fn refunds_of<'a>(&'a self, intent_id: &'a str) -> GatewayFuture<'a, Vec<Refund>> {
        Box::pin(async move {
            let path = format!("/payments/{}/refunds", checked_id(intent_id)?);
            let refunds: Vec<Refund> = send::<WireRefundsOf, _>(self.get(&path)).await?;
            for refund in &refunds {
                about(Some(intent_id), refund.intent_id.as_deref())?;
            }
            Ok(refunds)
        })
    }

    fn list_intents<'a>(&'a self, after: Option<&'a str>) -> GatewayFuture<'a, Page<Intent>> {
        Box::pin(async move { send::<WirePayments, _>(self.page("/payments", after)?).await })
    }

    fn list_refunds<'a>(&'a self, after: Option<&'a str>) -> GatewayFuture<'a, Page<Refund>> {
        Box::pin(async move { send::<WireRefunds, _>(self.page("/refunds", after)?).await })
    }
}

fn decline(intent: &Intent) -> Decline {
    let unsaid = || Decline { code: "declined".to_owned(), decline_code: None, message: "declined".to_owned() };
    intent.last_decline.clone().unwrap_or_else(unsaid)
}

/// Sends a request and reads its answer, as `W` on the wire.
async fn send<W: DeserializeOwned, T: TryFrom<W, Error = Odd>>(request: RequestBuilder) -> Result<T, GatewayError> {
    let response = request.send().await.map_err(lost)?;
    let status = response.status().as_u16();
    let body = read(response).await?;
    if !(200..300).contains(&status) {
        return Err(classify(status, &body));
    }
    let wire: W = serde_json::from_slice(&body).map_err(|error| unreadable(status, &error))?;
    T::try_from(wire).map_err(|odd| unreadable(status, &odd))
}
