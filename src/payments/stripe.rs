//! The adapter for gateways that speak Stripe's HTTP API.
//!
//! [`classify`] alone decides whether an answer is certain or unknown, for all calls alike. Nothing is
//! retried here; retries belong to the engine, which records them.

use reqwest::{
    Client, RequestBuilder, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    GatewayFuture, PaymentGateway,
    error::{GatewayError, Refusal, SetupError, UnknownReason},
    http::{GatewayConfig, about, base_url, checked_id, checked_key, join, lost, or_already, read, traced},
    list::Page,
    types::{Intent, IntentStatus, Metadata, NewIntent, NewRefund, ORDER_ID, Refund},
    wire::{Odd, WireErrorBody, WireIntent, WireList, WireRefund},
};
use crate::tls;

/// Pinned, so that the shapes in `wire` stay valid when the account's default changes.
const API_VERSION: &str = "2024-06-20";

/// Objects per page of a list, the most that are given.
const PER_PAGE: &str = "100";

/// A gateway of Stripe's shape. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct StripeGateway {
    client: Client,
    base: Url,
    headers: HeaderMap,
    traceparent: Option<fn() -> Option<String>>,
}

impl std::fmt::Debug for StripeGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the headers: they carry the key.
        f.debug_struct("StripeGateway").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl StripeGateway {
    /// Creates the adapter; sends nothing.
    ///
    /// # Errors
    /// When the URL or the key is not usable, or TLS can't be set up.
    pub fn new(config: &GatewayConfig) -> Result<Self, SetupError> {
        let base = base_url(config)?;
        let bearer = format!("Bearer {}", config.api_key.expose());
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| SetupError::ApiKey)?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer);
        headers.insert("Stripe-Version", HeaderValue::from_static(API_VERSION));
        let client = tls::client(&base, config.timeout).map_err(SetupError::Client)?;
        Ok(Self { client, base, headers, traceparent: config.traceparent })
    }

    fn url(&self, path: &str) -> Url {
        join(&self.base, path)
    }

    fn headers(&self) -> HeaderMap {
        traced(&self.headers, self.traceparent)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).headers(self.headers())
    }

    /// A POST under an idempotency key, form-encoded.
    fn post(&self, path: &str, key: &str, form: &[(String, String)]) -> Result<RequestBuilder, GatewayError> {
        let header = checked_key(key)?;
        Ok(self.client.post(self.url(path)).headers(self.headers()).header("Idempotency-Key", header).form(form))
    }

    /// A page of a list.
    fn page(&self, path: &str, after: Option<&str>) -> Result<RequestBuilder, GatewayError> {
        let request = self.get(path).query(&[("limit", PER_PAGE)]);
        Ok(match after {
            Some(after) => request.query(&[("starting_after", checked_id(after)?)]),
            None => request,
        })
    }

    async fn change_intent(&self, key: &str, id: &str, verb: &str) -> Result<Intent, GatewayError> {
        let path = format!("/v1/payment_intents/{}/{verb}", checked_id(id)?);
        let answer = send::<WireIntent, Intent>(self.post(&path, key, &[])?).await;
        if let Err(GatewayError::Refused(Refusal::UnexpectedState { intent, .. })) = &answer {
            about(id, &intent.id)?;
        }
        let intent = answer?;
        about(id, &intent.id)?;
        Ok(intent)
    }
}

impl PaymentGateway for StripeGateway {
    fn create_intent<'a>(&'a self, key: &'a str, new: &'a NewIntent) -> GatewayFuture<'a, Intent> {
        Box::pin(async move {
            let mut form = vec![
                pair("amount", new.amount),
                pair("currency", new.currency.to_ascii_lowercase()),
                pair("payment_method", &new.token),
                pair("payment_method_types[]", "card"),
                pair("confirm", "false"),
            ];
            push_metadata(&mut form, &new.order_id, &new.metadata);
            let intent: Intent = send::<WireIntent, _>(self.post("/v1/payment_intents", key, &form)?).await?;
            about(&new.order_id, intent.order_id.as_deref().unwrap_or_default())?;
            about((new.amount, new.currency.to_ascii_uppercase()), (intent.amount, intent.currency.clone()))?;
            Ok(intent)
        })
    }

    fn confirm_intent<'a>(&'a self, key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent> {
        Box::pin(async move {
            let answer = self.change_intent(key, id, "confirm").await;
            or_already(answer, IntentStatus::Succeeded)
        })
    }

    fn cancel_intent<'a>(&'a self, key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent> {
        Box::pin(async move {
            let answer = self.change_intent(key, id, "cancel").await;
            or_already(answer, IntentStatus::Canceled)
        })
    }

    fn get_intent<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Intent> {
        Box::pin(async move {
            let path = format!("/v1/payment_intents/{}", checked_id(id)?);
            let intent: Intent = send::<WireIntent, _>(self.get(&path)).await?;
            about(id, &intent.id)?;
            Ok(intent)
        })
    }

    fn refund<'a>(&'a self, key: &'a str, new: &'a NewRefund) -> GatewayFuture<'a, Refund> {
        Box::pin(async move {
            let mut form = vec![pair("payment_intent", &new.intent_id), pair("amount", new.amount)];
            push_metadata(&mut form, &new.order_id, &new.metadata);
            let refund: Refund = send::<WireRefund, _>(self.post("/v1/refunds", key, &form)?).await?;
            about((Some(&new.intent_id), new.amount), (refund.intent_id.as_ref(), refund.amount))?;
            about(&new.order_id, refund.order_id.as_deref().unwrap_or_default())?;
            Ok(refund)
        })
    }

    fn get_refund<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Refund> {
        Box::pin(async move {
            let path = format!("/v1/refunds/{}", checked_id(id)?);
            let refund: Refund = send::<WireRefund, _>(self.get(&path)).await?;
            about(id, &refund.id)?;
            Ok(refund)
        })
    }

    fn refunds_of<'a>(&'a self, intent_id: &'a str) -> GatewayFuture<'a, Vec<Refund>> {
        Box::pin(async move {
            let request = self.get("/v1/refunds").query(&[("payment_intent", intent_id), ("limit", PER_PAGE)]);
            let refunds: Vec<Refund> = send::<WireList<WireRefund>, _>(request).await?;
            // A gateway that does not filter would show others' refunds as this intent's.
            for refund in &refunds {
                about(Some(intent_id), refund.intent_id.as_deref())?;
            }
            Ok(refunds)
        })
    }

    fn list_intents<'a>(&'a self, after: Option<&'a str>) -> GatewayFuture<'a, Page<Intent>> {
        Box::pin(async move { send::<WireList<Value>, _>(self.page("/v1/payment_intents", after)?).await })
    }

    fn list_refunds<'a>(&'a self, after: Option<&'a str>) -> GatewayFuture<'a, Page<Refund>> {
        Box::pin(async move { send::<WireList<Value>, _>(self.page("/v1/refunds", after)?).await })
    }
}

fn pair(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

fn push_metadata(form: &mut Vec<(String, String)>, order_id: &str, metadata: &Metadata) {
    form.push(pair(&format!("metadata[{ORDER_ID}]"), order_id));
    for (name, value) in metadata.iter().filter(|(name, _)| *name != ORDER_ID) {
        form.push(pair(&format!("metadata[{name}]"), value));
    }
}

/// Sends a request and reads its answer, as `W` on the wire.
async fn send<W: DeserializeOwned, T: TryFrom<W, Error = Odd>>(request: RequestBuilder) -> Result<T, GatewayError> {
    let response = request.send().await.map_err(lost)?;
    let status = response.status().as_u16();
    let body = read(response).await?;
    if (200..300).contains(&status) {
        let unreadable = |error: &dyn std::fmt::Display| {
            GatewayError::unknown(UnknownReason::Unparsable, format!("{status}: {error}"))
        };
        let wire: W = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
        return T::try_from(wire).map_err(|odd| unreadable(&odd));
    }
    Err(classify(status, &body))
}

/// Classifies an answer that is not a success. Certain only if the gateway itself refuses.
fn classify(status: u16, body: &[u8]) -> GatewayError {
    if status >= 500 {
        return GatewayError::unknown(UnknownReason::ServerError, format!("HTTP {status}"));
    }
    // A 4xx that is not of the gateway's shape comes from something in between, which may have
    // passed the request on before it gave up.
    let Ok(WireErrorBody { error }) = serde_json::from_slice(body) else {
        return GatewayError::unknown(UnknownReason::Unparsable, format!("HTTP {status}"));
    };
    let code = error.code().to_owned();
    let refusal = match (status, error.kind.as_str(), code.as_str()) {
        (409, _, _) | (429, _, "lock_timeout") => {
            return GatewayError::unknown(UnknownReason::InProgress, error.message);
        }
        (_, "idempotency_error", _) => {
            return GatewayError::unknown(UnknownReason::KeyReused, error.message);
        }
        (429, _, _) => Refusal::Unavailable { message: error.message },
        (402, "card_error", _) => Refusal::Declined(error.decline()),
        (400, _, "payment_intent_unexpected_state") => match error.intent() {
            Some(intent) => Refusal::UnexpectedState { intent: Box::new(intent), message: error.message },
            // It may be in the very state that an earlier call of ours put it in.
            None => return GatewayError::unknown(UnknownReason::Unparsable, error.message),
        },
        (400..=404, _, _) => Refusal::Rejected { status, code, message: error.message },
        _ => {
            let message = format!("HTTP {status}: {}", error.message);
            return GatewayError::unknown(UnknownReason::Unparsable, message);
        }
    };
    GatewayError::Refused(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_and_retry(status: u16, kind: &str, code: &str) -> (&'static str, bool) {
        let body = format!(r#"{{"error":{{"type":"{kind}","code":"{code}","message":"m"}}}}"#);
        let error = classify(status, body.as_bytes());
        (error.code(), error.is_retryable())
    }

    #[test]
    fn only_the_gateways_own_no_is_certain() {
        let unknown = ("gateway_outcome_unknown", true);
        let invalid = "invalid_request_error";
        assert_eq!(code_and_retry(500, "api_error", ""), unknown);
        assert_eq!(code_and_retry(503, "api_error", ""), unknown);
        assert_eq!(code_and_retry(409, invalid, "idempotency_key_in_use"), unknown);
        assert_eq!(code_and_retry(429, invalid, "lock_timeout"), unknown);
        let unreadable = ("gateway_answer_unreadable", true);
        assert_eq!(code_and_retry(408, invalid, ""), unreadable);
        assert_eq!(classify(400, b"<html>").code(), unreadable.0);
        assert_eq!(code_and_retry(400, "idempotency_error", ""), (unknown.0, false));
        assert_eq!(code_and_retry(429, invalid, "rate_limit"), ("gateway_unavailable", true));
        assert_eq!(code_and_retry(402, "card_error", "card_declined"), ("payment_declined", false));
        assert_eq!(code_and_retry(400, invalid, "payment_intent_unexpected_state"), unreadable, "without its intent");
        assert_eq!(code_and_retry(400, invalid, "amount_too_large"), ("gateway_rejected", false));
        assert_eq!(code_and_retry(401, invalid, ""), ("gateway_rejected", true));
    }

    #[test]
    fn neither_config_nor_gateway_prints_the_key() {
        let config = GatewayConfig::new("http://127.0.0.1:1/prefix/", "sk_very_secret");
        let gateway = StripeGateway::new(&config).expect("a usable configuration");
        assert!(!format!("{config:?}{gateway:?}").contains("very_secret"));
        assert_eq!(gateway.url("/v1/x").path(), "/prefix/v1/x");
    }

    #[test]
    fn unusable_settings_are_told_apart() {
        let code = |url: &str, key: &str| StripeGateway::new(&GatewayConfig::new(url, key)).err();
        assert_eq!(code("ftp://h", "k").map(|e| e.code()), Some("gateway_bad_url"));
        assert_eq!(code("not a url", "k").map(|e| e.code()), Some("gateway_bad_url"));
        assert_eq!(code("http://h", "").map(|e| e.code()), Some("gateway_bad_key"));
        assert_eq!(code("http://h", "a\nb").map(|e| e.code()), Some("gateway_bad_key"));
    }
}
