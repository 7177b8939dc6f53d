//! What adapters share: where a gateway is, what of a call is safe to send, and what a call without an answer says.

use std::time::Duration;

use reqwest::{
    Response, Url,
    header::{HeaderMap, HeaderValue},
};

use super::{
    error::{GatewayError, Refusal, SetupError, UnknownReason},
    types::{Intent, IntentStatus},
};
use crate::Secret;

/// Default timeout of a call in all.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// An answer larger than this is not one of ours.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Address of the gateway, and how to call it.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// For example `https://api.stripe.com` or `http://127.0.0.1:8081`.
    pub base_url: String,
    /// The secret API key.
    pub api_key: Secret,
    /// Timeout of one call.
    pub timeout: Duration,
    /// Returns the W3C trace context of the present call, which is sent with it.
    pub traceparent: Option<fn() -> Option<String>>,
}

impl GatewayConfig {
    /// A configuration with the default timeout.
    pub fn new(base_url: impl Into<String>, api_key: impl Into<Secret>) -> Self {
        Self { base_url: base_url.into(), api_key: api_key.into(), timeout: DEFAULT_TIMEOUT, traceparent: None }
    }
}

/// The base URL.
pub(super) fn base_url(config: &GatewayConfig) -> Result<Url, SetupError> {
    let base =
        Url::parse(&config.base_url).map_err(|error| SetupError::BaseUrl(format!("{}: {error}", config.base_url)))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(SetupError::BaseUrl(config.base_url.clone()));
    }
    if config.api_key.is_empty() {
        return Err(SetupError::ApiKey);
    }
    Ok(base)
}

/// A path below the base.
pub(super) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

/// Headers of a request, with its trace.
pub(super) fn traced(headers: &HeaderMap, of_this_call: Option<fn() -> Option<String>>) -> HeaderMap {
    let mut headers = headers.clone();
    let trace = of_this_call.and_then(|of_this_call| of_this_call());
    if let Some(trace) = trace.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert("traceparent", trace);
    }
    headers
}

/// An idempotency key as a header.
pub(super) fn checked_key(key: &str) -> Result<HeaderValue, GatewayError> {
    HeaderValue::from_str(key)
        .ok()
        .filter(|_| (1..=255).contains(&key.len()))
        .ok_or_else(|| GatewayError::rejected(0, "bad_key", "the idempotency key is not usable"))
}

/// Ids go into paths: characters outside the alphabet of ids could name another endpoint.
pub(super) fn checked_id(id: &str) -> Result<&str, GatewayError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !id.is_empty() && id.len() <= 255 && id.chars().all(plain) {
        return Ok(id);
    }
    Err(GatewayError::rejected(0, "bad_id", "not a gateway id"))
}

/// An answer about something else than what was asked says nothing.
pub(super) fn about<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(
    wanted: T,
    answered: U,
) -> Result<(), GatewayError> {
    if wanted == answered {
        return Ok(());
    }
    Err(GatewayError::unknown(
        UnknownReason::Unparsable,
        format!("{wanted:?} was asked for, {answered:?} was answered"),
    ))
}

/// A refusal because the intent is already in the requested state is a success.
pub(super) fn or_already(answer: Result<Intent, GatewayError>, wanted: IntentStatus) -> Result<Intent, GatewayError> {
    match answer {
        Err(GatewayError::Refused(Refusal::UnexpectedState { intent, .. })) if intent.status == wanted => Ok(*intent),
        other => other,
    }
}

pub(super) async fn read(mut response: Response) -> Result<Vec<u8>, GatewayError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            let message = format!("more than {MAX_ANSWER_BYTES} bytes");
            return Err(GatewayError::unknown(UnknownReason::Unparsable, message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Classifies a call without an answer: certain only if no connection was made.
pub(super) fn lost(error: reqwest::Error) -> GatewayError {
    let message = describe(&error);
    if error.is_connect() || error.is_builder() {
        GatewayError::Refused(Refusal::Unavailable { message })
    } else if error.is_timeout() {
        GatewayError::unknown(UnknownReason::Timeout, message)
    } else {
        GatewayError::unknown(UnknownReason::ConnectionLost, message)
    }
}

/// The error with its causes; reqwest's own text leaves them out.
fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_not_name_another_endpoint() {
        assert!(checked_id("pi_1A-b").is_ok());
        for id in ["", "a/b", "..", "a?b", "a%2fb", "a b"] {
            assert!(checked_id(id).is_err(), "{id}");
        }
    }
}
