//! Writes go on to their end when the client hangs up: a client that asks again is told what came of it.

use axum::{
    extract::Request,
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::Instrument;

use super::problem::Problem;

/// Calls the handler; that of a write in a task of its own, because the server drops the future of a request whose client
/// is gone.
pub(super) async fn to_the_end(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request).in_current_span()).await {
        Ok(response) => response,
        Err(died) => match died.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(stopped) => Problem::internal("internal_error", &stopped).into_response(),
        },
    }
}
