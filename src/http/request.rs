//! What happens around every request: its id, its span and log line, and the form of its errors.
//!
//! The id comes from `x-request-id` where the client sent a usable one, else it is made here; it goes out again with the
//! answer, and is in every problem and every log line of the request. The trace id of a `traceparent` is logged too.
//! Errors that the framework makes by itself (no such route, wrong method) leave here as problems like all others.

use std::time::Instant;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument, field::Empty};
use uuid::Uuid;

use super::{
    base::matched_route,
    extract::traceparent,
    problem::{MEDIA_TYPE, Problem},
};
use crate::engine::RunId;

/// The header that carries the request id, in and out.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const LONGEST_ID: usize = 128;

/// How much of a framework's own error text is kept as a problem's detail.
const LONGEST_DETAIL: usize = 2048;

/// The outermost layer.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let route = matched_route(request.extensions()).unwrap_or("none").to_owned();
    let quiet = matches!(route.as_str(), "/healthz" | "/readyz" | "/metrics");
    let trace_id = traceparent(request.headers()).map(|(_, trace)| trace.id_text());
    let method = request.method().clone();
    let span = tracing::info_span!("request", request_id = id, %method, route, trace_id, run_id = Empty);
    async move {
        let begun = Instant::now();
        let mut response = with_problem(next.run(request).await, &id).await;
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        super::metrics::answered(&route, &method, response.status(), begun.elapsed());
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

/// Notes the run that this request is about, for its log line.
pub fn note_run(run: RunId) {
    tracing::Span::current().record("run_id", tracing::field::display(run));
}

/// Writes the problem out, and turns a plain error into one.
async fn with_problem(response: Response, id: &str) -> Response {
    let status = response.status();
    let (mut parts, body) = response.into_parts();
    let problem = match parts.extensions.remove::<Problem>() {
        Some(problem) => problem,
        None if status.is_client_error() || status.is_server_error() => {
            let ours = |kind: &HeaderValue| {
                kind.as_bytes().starts_with(b"application/") || kind.as_bytes().starts_with(b"text/html")
            };
            if parts.headers.get(header::CONTENT_TYPE).is_some_and(ours) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"))])
    }

    #[test]
    fn a_usable_request_id_is_kept() {
        assert_eq!(request_id(&headers("x-request-id", "abc-1")), "abc-1");
        for bad in ["", "a b", &"x".repeat(129)] {
            assert_eq!(request_id(&headers("x-request-id", bad)).len(), 36, "{bad:?}");
        }
    }
}
