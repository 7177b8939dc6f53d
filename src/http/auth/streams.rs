//! Answers that go on for long end when whoever asked for them may no longer read: revoked, expired, signed out.

use std::time::Duration;

use axum::{
    body::Body,
    http::{header, request::Parts},
    response::Response,
};
use futures_util::StreamExt;

use super::admit;
use crate::http::App;

/// How often an open stream is looked at. Not more often: many dashboards are open at a time, and each has a session that
/// would be looked up.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// An event stream that ends when its request would be refused by now; any other answer as it is.
pub(super) fn while_welcome(app: App, request: Parts, response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    let refused = async move {
        loop {
            tokio::time::sleep(app.door.look_again).await;
            // What the database can't tell just now ends nothing.
            if admit(&app, &request).await.is_err_and(|problem| problem.code() == "unauthorized") {
                return;
            }
        }
    };
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, Body::from_stream(body.into_data_stream().take_until(Box::pin(refused))))
}
