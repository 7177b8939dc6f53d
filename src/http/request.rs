//! What happens around every request: its id, its span and log line, and the form of its errors.
//!
//! The id comes from `x-request-id` where the client sent a usable one, else it is made here; it goes out again with the
//! answer, stands in every problem and in every log line of the request. The trace id of a `traceparent` is logged too.
//! Errors that the framework makes by itself (no such route, wrong method) leave here as problems like all others.

use std::time::Instant;

use axum::{
    body::{Body, to_bytes},
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;
use uuid::Uuid;

use super::problem::{MEDIA_TYPE, Problem};

/// The header that carries the request id, in and out.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const LONGEST_ID: usize = 128;

/// How much of a framework's own error text is kept as a problem's detail.
const LONGEST_DETAIL: usize = 2048;

/// The outermost layer.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let quiet = matches!(route.as_str(), "/healthz" | "/readyz" | "/metrics");
    let trace_id = trace_id(request.headers()).unwrap_or_default().to_owned();
    let span = tracing::info_span!("request", id, method = %request.method(), route, trace_id);
    async move {
        let begun = Instant::now();
        let mut response = with_problem(next.run(request).await, &id).await;
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let (status, ms) = (response.status().as_u16(), begun.elapsed().as_secs_f64() * 1000.0);
        if quiet {
            tracing::debug!(status, ms, "answered");
        } else {
            tracing::info!(status, ms, "answered");
        }
        response
    }
    .instrument(span)
    .await
}

/// Writes the problem out, and turns a plain error into one.
async fn with_problem(response: Response, id: &str) -> Response {
    let status = response.status();
    let (mut parts, body) = response.into_parts();
    let problem = match parts.extensions.remove::<Problem>() {
        Some(problem) => problem,
        None if status.is_client_error() || status.is_server_error() => {
            let kind = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
            if kind.starts_with(b"application/") || kind.starts_with(b"text/html") {
                return Response::from_parts(parts, body); // an answer of ours that is no problem: /readyz, a page
            }
            Problem::of_status(status, detail(status, body).await)
        }
        None => return Response::from_parts(parts, body),
    };
    let text = problem.document(Some(id)).to_string();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(text))
}

async fn detail(status: StatusCode, body: Body) -> String {
    match status {
        StatusCode::NOT_FOUND => "no route has this path; docs/api.md lists them".to_owned(),
        StatusCode::METHOD_NOT_ALLOWED => "the `allow` header lists the methods of this path".to_owned(),
        _ => {
            let text = to_bytes(body, LONGEST_DETAIL).await.unwrap_or_default();
            String::from_utf8_lossy(&text).into_owned()
        }
    }
}

fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let usable = |id: &&str| !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(|b| b.is_ascii_graphic());
    given.filter(usable).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// The trace id of a W3C `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`.
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = value.split('-');
    let (_version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, len: usize| text.len() == len && text.bytes().all(|b| b.is_ascii_hexdigit());
    (hex(trace, 32) && hex(parent, 16) && trace.bytes().any(|b| b != b'0')).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"))])
    }

    #[test]
    fn a_usable_request_id_is_kept_and_another_replaced() {
        assert_eq!(request_id(&headers("x-request-id", "abc-1")), "abc-1");
        for bad in ["", "a b", &"x".repeat(129)] {
            assert_eq!(request_id(&headers("x-request-id", bad)).len(), 36, "{bad:?}");
        }
    }

    #[test]
    fn only_a_well_formed_traceparent_gives_a_trace_id() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(trace_id(&headers("traceparent", good)), Some("0af7651916cd43dd8448eb211c80319c"));
        for bad in
            ["", "00", "00-xyz-b7ad6b7169203331-01", &good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32))]
        {
            assert_eq!(trace_id(&headers("traceparent", bad)), None, "{bad:?}");
        }
    }
}
