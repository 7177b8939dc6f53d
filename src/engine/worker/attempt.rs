//! One attempt: its context, its time limit, its panic, its transaction. What comes out is a fact for the core.
//!
//! A timeout or a panic leaves the outcome unknown, except for a transactional step, which rolls back, and for one that changes
//! nothing: those certainly had no effect.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
    time::Instant,
};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    attempt_log::{log_failure, log_span},
    commit::Seat,
    groups::{self, bounded},
    limits::within,
    shared::Shared,
};
use crate::engine::{
    activity::{ActivityContext, Origin, Verified},
    activity_error::ActivityError,
    core::{
        context::SideValue,
        decision::{Attempt, AttemptError, Event, Verification},
        execution::panic_message,
        model::{Json, RunId, to_json},
        trace::span_id,
    },
    observer::{Observed, Observer},
    registry::ActivityCode,
    store::schema::Schema,
};

/// What happened, and the run's seat in the transaction that it happened in: it commits together with its record.
pub(super) struct Happened {
    pub(super) event: Event,
    pub(super) seat: Option<Seat>,
}

/// The context of an attempt.
pub(super) fn context(
    schema: Arc<Schema>,
    run: RunId,
    origin: Origin,
    attempt: &Attempt,
    verifies: bool,
    cancelled: CancellationToken,
) -> ActivityContext {
    ActivityContext {
        run,
        seq: attempt.seq,
        attempt: attempt.attempt,
        key: attempt.key.clone(),
        origin,
        span: span_id(run, attempt.seq, attempt.direction, attempt.attempt, verifies),
        previous: attempt.details.clone(),
        beat: Arc::default(),
        cancelled,
        tx: None,
        schema,
    }
}

/// The attempt's heartbeat since the last check.
pub(super) fn take_beat(cx: &ActivityContext) -> Option<Json> {
    cx.beat.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Attempts a step or an undo.
pub(super) async fn attempt(shared: Arc<Shared>, cx: Arc<ActivityContext>, attempt: Attempt) -> Happened {
    let began = Instant::now();
    let span = log_span(&shared, &cx, &attempt, false);
    let (result, seat) = match code(&shared, &attempt) {
        Err(error) => (Err(error), None),
        // Boxed: it is large, and most attempts are made without it.
        Ok(code) if attempt.transactional || code.does_many(attempt.direction) => {
            groups::attempt(&shared, &code, &cx, &attempt).boxed().await
        }
        Ok(code) => (cx.within(bounded(code.as_ref(), &cx, &attempt)).instrument(span).await, None),
    };
    let result = result.map_err(|error| ActivityError { unknown: error.unknown && !attempt.only_reads, ..error });
    if let Err(error) = &result {
        log_failure(&shared, &cx, &attempt, false, error);
    }
    if let Some(observer) = &shared.config.observer {
        let (outcome, code) = match &result {
            Ok(_) => ("ok", None),
            Err(error) => (if error.unknown { "unknown" } else { "failed" }, Some(error.code.as_str())),
        };
        tell(&shared, observer.as_ref(), &observed(&shared, &cx, &attempt, false, began, outcome, code));
    }
    let result = result.map_err(|error| AttemptError { error: error.record(), retryable: error.retryable });
    let event = Event::Attempted { seq: attempt.seq, direction: attempt.direction, result, took: began.elapsed() };
    Happened { event, seat }
}

fn code(shared: &Shared, attempt: &Attempt) -> Result<Arc<dyn ActivityCode>, ActivityError> {
    let missing =
        || ActivityError::failed("unknown_activity", format!("no activity {} is registered", attempt.activity));
    shared.engine.registry().code(&attempt.activity).ok_or_else(|| missing().fatal())
}

/// Asks whether an unknown attempt took effect.
pub(super) async fn verify(shared: Arc<Shared>, cx: Arc<ActivityContext>, attempt: Attempt) -> Happened {
    let began = Instant::now();
    let span = log_span(&shared, &cx, &attempt, true);
    let found = match code(&shared, &attempt) {
        Err(error) => Err(error),
        Ok(code) => {
            let asking = AssertUnwindSafe(code.verify(&cx, attempt.input.get())).catch_unwind();
            match cx.within(tokio::time::timeout(attempt.timeout, asking)).instrument(span).await {
                Ok(Ok(found)) => found,
                Ok(Err(panic)) => Err(ActivityError::unknown("panic", panic_message(panic.as_ref()))),
                Err(_) => Err(ActivityError::unknown("timeout", format!("no answer within {:?}", attempt.timeout))),
            }
        }
    };
    if let Err(error) = &found {
        log_failure(&shared, &cx, &attempt, true, error);
    }
    if let Some(observer) = &shared.config.observer {
        let (outcome, code) = match &found {
            Ok(Verified::Happened(_)) => ("happened", None),
            Ok(Verified::NeverWill) => ("never_will", None),
            Ok(Verified::NotYet) => ("not_yet", None),
            Err(error) => ("unknown", Some(error.code.as_str())),
        };
        tell(&shared, observer.as_ref(), &observed(&shared, &cx, &attempt, true, began, outcome, code));
    }
    let not_yet = |code: &str, message: &str| Verification::NotYet(ActivityError::unknown(code, message).record());
    let found = match found {
        Ok(Verified::Happened(output)) => Verification::Happened(output),
        Ok(Verified::NeverWill) => Verification::NeverWill,
        Ok(Verified::NotYet) => not_yet("not_yet_known", "the other system can't tell yet whether it took effect"),
        Err(error) => not_yet(&error.code, &error.message),
    };
    Happened {
        event: Event::Verified { seq: attempt.seq, direction: attempt.direction, found, took: began.elapsed() },
        seat: None,
    }
}

/// An observer that panics is the embedder's bug, and must not cost the run.
fn tell(shared: &Shared, observer: &dyn Observer, what: &Observed<'_>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| observer.attempted(what))) {
        tracing::error!(run_id = %what.run, panic = panic_message(panic.as_ref()), "the observer panicked");
        shared.engine.meters().tasks_died.increment(1);
    }
}

fn observed<'a>(
    shared: &Shared,
    cx: &'a ActivityContext,
    attempt: &'a Attempt,
    verifies: bool,
    began: Instant,
    outcome: &'a str,
    code: Option<&'a str>,
) -> Observed<'a> {
    Observed {
        run: cx.run,
        workflow: cx.origin.workflow,
        trace: cx.origin.trace,
        span: cx.span,
        seq: cx.seq,
        activity: &attempt.activity,
        direction: attempt.direction,
        verifies,
        attempt: cx.attempt,
        ended_at: shared.clock.now(),
        took: began.elapsed(),
        outcome,
        code,
    }
}

/// Draws a side value. None: the database could not be asked; the run is released.
pub(super) async fn draw(shared: &Shared, seq: u32, what: SideValue) -> Option<Happened> {
    let value = match what {
        SideValue::Now => {
            let now = within(shared.config.answer_within(), shared.engine.now()).await;
            now.inspect_err(|error| tracing::warn!(%error, "the database's time can't be asked for"))
                .ok()
                .map(|now| to_json(&now))
        }
        SideValue::Random => Some(to_json(&rand::random::<u64>())),
        SideValue::Uuid => Some(to_json(&uuid::Uuid::new_v4())),
    };
    let value = value?.ok()?;
    Some(Happened { event: Event::Drawn { seq, value }, seat: None })
}
