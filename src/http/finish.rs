//! Writes go on to their end when the client hangs up: a client that asks again is told what came of it. And each request has an end: a
//! network that is silent, or a standby that a commit waits for, would hold up its client for ever.

use std::time::Duration;

use axum::{
    extract::Request,
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::Instrument;

use super::problem::Problem;

/// The longest `wait` that is honoured; a longer one is cut to it.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The head of an answer has to be there within this time, beyond what the request itself asks to wait for.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// Calls the handler; that of a write in a task of its own, because the server drops the future of a request whose client
/// is gone.
pub(super) async fn to_the_end(request: Request, next: Next) -> Response {
    let waits = request.uri().query().is_some_and(|query| query.contains("wait="));
    let limit = if waits { LONGEST_WAIT + ANSWERED_WITHIN } else { ANSWERED_WITHIN };
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    // What it has begun is dropped with it: its connection is closed when it comes back to the pool and does not answer.
    let answered =
        async move { tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| too_late(reads)) };
    if reads {
        return answered.await;
    }
    match tokio::spawn(answered.in_current_span()).await {
        Ok(response) => response,
        Err(died) => match died.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(stopped) => Problem::internal("internal_error", &stopped).into_response(),
        },
    }
}

fn too_late(reads: bool) -> Response {
    tracing::error!("a request had no answer from the database in time");
    let problem = if reads {
        Problem::new("database_unavailable", "the database did not answer in time")
    } else {
        Problem::new(
            "outcome_unknown",
            "the database did not answer in time: it may have happened; the same Idempotency-Key asks again",
        )
    };
    problem.into_response()
}
