//! One attempt: its context, its time limit, its panic, its transaction. What comes out is a fact for the core.
//!
//! A timeout or a panic leaves the outcome unknown, except for a transactional step: that rolls back, so it certainly had
//! no effect.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{limits::within, shared::Shared, transaction::OpenTransaction};
use crate::engine::{
    activity::{ActivityContext, ActivityError, DATABASE_IN_TROUBLE, Origin, Verified},
    core::{
        context::SideValue,
        decision::{Attempt, AttemptError, Event, Verification},
        execution::panic_message,
        model::{Direction, Json, RunId, to_json},
        trace::span_id,
    },
    observer::{Observed, Observer},
    registry::ActivityCode,
    store::transaction::begin_bounded,
};

/// How often a transactional step is begun again while the database is in trouble, about a quarter of an hour in all, and the
/// first of the growing pauses.
const TRIES_IN_TROUBLE: u32 = 450;
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// What happened, and the open transaction that it happened in: it commits together with its record.
pub(super) struct Happened {
    pub(super) event: Event,
    pub(super) tx: Option<OpenTransaction>,
}

/// The context of an attempt.
pub(super) fn context(
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
    let (result, tx) = match code(&shared, &attempt) {
        Err(error) => (Err(error), None),
        // Boxed: it is large, and most attempts are made without it.
        Ok(code) if attempt.transactional => {
            cx.within(through_trouble(&shared, code, &cx, &attempt)).instrument(span).boxed().await
        }
        Ok(code) => (cx.within(bounded(code.as_ref(), &cx, &attempt)).instrument(span).await, None),
    };
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
    Happened { event, tx }
}

fn code(shared: &Shared, attempt: &Attempt) -> Result<Arc<dyn ActivityCode>, ActivityError> {
    let missing =
        || ActivityError::failed("unknown_activity", format!("no activity {} is registered", attempt.activity));
    shared.engine.registry().code(&attempt.activity).ok_or_else(|| missing().fatal())
}

/// The call itself, with its time limit and its panic.
async fn bounded(
    code: &dyn ActivityCode,
    cx: &ActivityContext,
    attempt: &Attempt,
) -> Result<Option<Json>, ActivityError> {
    let input = attempt.input.get();
    let call = async {
        match attempt.direction {
            Direction::Forward => code.run(cx, input).await.map(Some),
            Direction::Undo => {
                code.undo(cx, input, attempt.output.as_ref().map(|json| json.get())).await.map(|()| None)
            }
        }
    };
    match tokio::time::timeout(attempt.timeout, AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(ActivityError::unknown("panic", panic_message(panic.as_ref()))),
        Err(_) => Err(ActivityError::unknown("timeout", format!("no answer within {:?}", attempt.timeout))),
    }
}

/// The same in a transaction. Trouble of the database is waited out and counts as no attempt: it was rolled back.
async fn through_trouble(
    shared: &Shared,
    code: Arc<dyn ActivityCode>,
    cx: &ActivityContext,
    attempt: &Attempt,
) -> (Result<Option<Json>, ActivityError>, Option<OpenTransaction>) {
    let mut tries = 0;
    loop {
        let (result, tx) = in_transaction(shared, code.clone(), cx, attempt).await;
        match &result {
            Err(error) if error.code == DATABASE_IN_TROUBLE && tries < TRIES_IN_TROUBLE && !cx.is_cancelled() => {
                tracing::warn!(%error, tries, "the database is in trouble: a transactional step is begun again");
            }
            _ => return (result, tx),
        }
        tries += 1;
        tokio::select! {
            () = tokio::time::sleep(TRY_AGAIN * tries.min(20)) => {}
            () = cx.cancelled() => {}
        }
    }
}

/// The same in a transaction of its own, which is handed on open when the step is ok, and rolled back otherwise.
async fn in_transaction(
    shared: &Shared,
    code: Arc<dyn ActivityCode>,
    cx: &ActivityContext,
    attempt: &Attempt,
) -> (Result<Option<Json>, ActivityError>, Option<OpenTransaction>) {
    // The wait is here and not at the pool, whose acquire time-out means that the database is down. None: the semaphore is
    // never closed.
    let permit = shared.transactions.clone().acquire_owned().await.ok();
    let tx = match begin_bounded(shared.engine.pool(), attempt.timeout).await {
        Ok(tx) => Arc::new(AsyncMutex::new(tx)),
        // Nothing was begun.
        Err(error) => return (Err(ActivityError { unknown: false, ..error.into() }), None),
    };
    let with_tx = ActivityContext {
        run: cx.run,
        seq: cx.seq,
        attempt: cx.attempt,
        key: cx.key.clone(),
        origin: cx.origin,
        span: cx.span,
        previous: cx.previous.clone(),
        beat: cx.beat.clone(),
        cancelled: cx.cancelled.clone(),
        tx: Some(tx.clone()),
    };
    let result = bounded(code.as_ref(), &with_tx, attempt).await;
    drop(with_tx);
    match (result, Arc::try_unwrap(tx)) {
        (Ok(output), Ok(tx)) => (Ok(output), Some(OpenTransaction { tx: tx.into_inner(), _permit: permit })),
        // The activity kept a handle to the transaction: its commit can't be promised.
        (Ok(_), Err(_)) => {
            let error = ActivityError::failed("transaction_leaked", "the activity kept its transaction beyond its end");
            (Err(error.fatal()), None)
        }
        (Err(error), tx) => {
            if let Ok(tx) = tx
                && let Err(error) = within(shared.config.answer_within(), tx.into_inner().rollback()).await
            {
                tracing::debug!(%error, "a rollback was not answered; the server rolls back with the connection");
            }
            (Err(ActivityError { unknown: false, ..error }), None)
        }
    }
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
        tx: None,
    }
}

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
fn log_span(shared: &Shared, cx: &ActivityContext, attempt: &Attempt, verifies: bool) -> tracing::Span {
    attempt_span!(info_span, shared, cx, attempt, verifies)
}

/// Its code only: the message is in the step's row, and may hold what logs must not.
fn log_failure(shared: &Shared, cx: &ActivityContext, attempt: &Attempt, verifies: bool, error: &ActivityError) {
    // In a span, so that both levels bear the same fields; a filter may have left the attempt's own one out.
    let span = attempt_span!(warn_span, shared, cx, attempt, verifies);
    let (code, retryable) = (error.code.as_str(), error.retryable);
    if error.unknown {
        span.in_scope(|| tracing::warn!(code, retryable, "the outcome of an attempt is unknown"));
    } else {
        span.in_scope(|| tracing::info!(code, retryable, "an attempt failed"));
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
    Some(Happened { event: Event::Drawn { seq, value }, tx: None })
}
