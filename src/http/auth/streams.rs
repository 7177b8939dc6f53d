//! Ends long answers when their caller may no longer read: key revoked or expired, signed out.

use axum::{
    body::Body,
    http::{header, request::Parts},
    response::Response,
};
use futures_util::StreamExt;

use super::admission::admit;
use crate::http::App;

/// An event stream that ends when its request would be refused by now; any other answer as it is.
pub(super) fn while_welcome(app: App, request: Parts, response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    let refused = async move {
        loop {
            tokio::time::sleep(app.door.look_again).await;
            // An outage of the database ends no stream.
            if admit(&app, &request).await.is_err_and(|problem| problem.code() == "unauthorized") {
                return;
            }
        }
    };
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, Body::from_stream(body.into_data_stream().take_until(Box::pin(refused))))
}
