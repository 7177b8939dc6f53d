//! What the log says of an attempt.

use super::shared::Shared;
use crate::engine::{activity::ActivityContext, activity_error::ActivityError, core::decision::Attempt};

/// A span with the fields of every log line of an attempt.
macro_rules! attempt_span {
    ($level:ident, $shared:expr, $cx:expr, $attempt:expr, $verifies:expr) => {
        tracing::$level!(
            "attempt",
            run_id = %$cx.run,
            trace_id = %$cx.origin.trace.id_text(),
            step = $cx.seq,
            activity = %$attempt.activity,
            direction = $attempt.direction.word(),
            attempt = $cx.attempt,
            verifies = $verifies,
            worker = %$shared.config.name,
            lane = $cx.origin.lane,
        )
    };
}

/// The span of an attempt. Not made where this level is filtered out.
pub(super) fn log_span(shared: &Shared, cx: &ActivityContext, attempt: &Attempt, verifies: bool) -> tracing::Span {
    attempt_span!(info_span, shared, cx, attempt, verifies)
}

/// Its code only: the message is in the step's row, and may hold what logs must not.
pub(super) fn log_failure(
    shared: &Shared,
    cx: &ActivityContext,
    attempt: &Attempt,
    verifies: bool,
    error: &ActivityError,
) {
    // In a span, so that both levels bear the same fields; a filter may have left the attempt's own one out.
    let span = attempt_span!(warn_span, shared, cx, attempt, verifies);
    let (code, retryable) = (error.code.as_str(), error.retryable);
    if error.unknown {
        span.in_scope(|| tracing::warn!(code, retryable, "the outcome of an attempt is unknown"));
    } else {
        span.in_scope(|| tracing::info!(code, retryable, "an attempt failed"));
    }
}
