//! Rate limits on routes that write, and the headers that say what is left (`RateLimit`, `RateLimit-Policy` of
//! draft-ietf-httpapi-ratelimit-headers).

use std::time::Duration;

use axum::{
    http::{HeaderName, HeaderValue, header::RETRY_AFTER},
    response::{IntoResponseParts, Response, ResponseParts},
};

use super::problem::Problem;
use crate::engine::{Allowance, Limiter};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left of a limit, as headers of an answer. Of two limits an answer names both.
#[derive(Clone, Debug, Default)]
pub struct Left(Vec<(HeaderName, HeaderValue)>);

impl IntoResponseParts for Left {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        for (name, value) in self.0 {
            parts.headers_mut().append(name, value);
        }
        Ok(parts)
    }
}

impl Left {
    /// Adds the headers to an answer.
    pub(super) fn add_to(self, mut response: Response) -> Response {
        for (name, value) in self.0 {
            response.headers_mut().append(name, value);
        }
        response
    }
}

/// Counts one request of a subject against a limit of this name, where there is one.
///
/// # Errors
/// `rate_limited` 429, with `retry-after`.
pub async fn keep_to(limiter: Option<&Limiter>, name: &str, subject: &str) -> Result<Left, Problem> {
    let Some(limiter) = limiter else { return Ok(Left::default()) };
    let Allowance { rate, left, refused_for } = limiter.take(subject).await;
    let mut limit = format!("\"{name}\";r={left}");
    if let Some(span) = refused_for {
        limit.push_str(&format!(";t={}", seconds(span)));
    }
    let policy = format!("\"{name}\";q={};w={}", rate.burst, rate.per.as_secs());
    let header = |name, text: String| HeaderValue::from_str(&text).ok().map(|value| (name, value));
    let headers: Vec<_> = [header(LIMIT, limit), header(POLICY, policy)].into_iter().flatten().collect();
    match refused_for {
        None => Ok(Left(headers)),
        Some(span) => {
            let detail = format!("{} in {} s are the limit of this {name}", rate.burst, rate.per.as_secs());
            Err(refuse(detail, span).with_headers(headers))
        }
    }
}

/// The refusal of who has had enough for now.
pub fn refuse(detail: impl Into<String>, retry_after: Duration) -> Problem {
    Problem::new("rate_limited", detail).with_headers([(RETRY_AFTER, HeaderValue::from(seconds(retry_after)))])
}

/// Whole seconds, rounded up: who comes a moment early is refused again.
fn seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0))
}
