//! Calling an activity's code, for one attempt or for several, with time limit and panic.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::timeout;
use tracing::Instrument;

use crate::engine::{
    activity::ActivityContext,
    activity_error::{ActivityError, DATABASE_IN_TROUBLE},
    core::{
        decision::Attempt,
        execution::panic_message,
        grouping::Setback,
        model::{Direction, Json},
    },
    registry::{ActivityCode, RawAnswer, RawCall},
    worker::{attempt_log::log_span, shared::Shared},
};

type Outcome = Result<Option<Json>, ActivityError>;

/// One call of several.
pub(super) struct Call {
    pub(super) cx: ActivityContext,
    pub(super) attempt: Arc<Attempt>,
}

/// What several calls came to.
pub(super) enum Called {
    /// Each to this.
    Each(Vec<Outcome>),
    /// All to nothing.
    SetBack(Setback),
}

/// The call itself, with its time limit and its panic.
pub(crate) async fn bounded(code: &dyn ActivityCode, cx: &ActivityContext, attempt: &Attempt) -> Outcome {
    let input = attempt.input.get();
    let call = async {
        match attempt.direction {
            Direction::Forward => code.run(cx, input).await.map(Some),
            Direction::Undo => {
                code.undo(cx, input, attempt.output.as_ref().map(|json| json.get())).await.map(|()| None)
            }
        }
    };
    match timeout(attempt.timeout, AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(ActivityError::unknown("panic", panic_message(panic.as_ref()))),
        Err(_) => Err(ActivityError::unknown("timeout", format!("no answer within {:?}", attempt.timeout))),
    }
}

pub(super) async fn one(shared: &Shared, code: &dyn ActivityCode, Call { cx, attempt }: &Call) -> Outcome {
    cx.within(bounded(code, cx, attempt)).instrument(log_span(shared, cx, attempt, false)).await
}

/// Calls in one transaction.
pub(super) async fn in_transaction(
    shared: &Shared,
    code: &dyn ActivityCode,
    calls: &[Call],
    limit: Duration,
) -> Called {
    if let [only] = calls {
        return Called::Each(vec![one(shared, code, only).await]);
    }
    let activity = calls.first().map(|first| &*first.attempt.activity);
    match timeout(limit, AssertUnwindSafe(many(code, calls)).catch_unwind()).await {
        Ok(Ok(Ok(answers))) => match sort_answers(answers, calls.len()).into_iter().collect::<Option<Vec<_>>>() {
            // Something of such a call may be in the transaction, as of one whose output can't be recorded.
            Some(outcomes) if outcomes.iter().any(is_unknown) => Called::SetBack(Setback::Unclear),
            Some(outcomes) => Called::Each(outcomes),
            None => {
                tracing::error!(activity, "it did not give one answer for each call; they are made one by one");
                Called::SetBack(Setback::Unclear)
            }
        },
        Ok(Ok(Err(error))) if error.code == DATABASE_IN_TROUBLE => {
            Called::Each(calls.iter().map(|_| Err(error.clone())).collect())
        }
        Ok(Ok(Err(error))) => {
            tracing::warn!(activity, code = error.code, calls = calls.len(), "a group of attempts was refused");
            Called::SetBack(Setback::Refused)
        }
        Ok(Err(_)) | Err(_) => Called::SetBack(Setback::Unclear),
    }
}

fn is_unknown(outcome: &Outcome) -> bool {
    matches!(outcome, Err(error) if error.unknown && error.code != DATABASE_IN_TROUBLE)
}

/// Calls of another system in one batch. What is not answered once is unknown.
pub(super) async fn outside(code: &dyn ActivityCode, calls: &[Call], limit: Duration) -> Vec<Outcome> {
    let unknown = |code: &str, message: &str| ActivityError::unknown(code, message);
    let all = |error: ActivityError| calls.iter().map(|_| Err(error.clone())).collect();
    match timeout(limit, AssertUnwindSafe(many(code, calls)).catch_unwind()).await {
        Ok(Ok(Ok(answers))) => {
            let missing = || Err(unknown("not_answered", "the batch gave no answer for this call, or two"));
            sort_answers(answers, calls.len()).into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect()
        }
        Ok(Ok(Err(error))) => all(error),
        Ok(Err(panic)) => all(unknown("panic", &panic_message(panic.as_ref()))),
        Err(_) => all(unknown("timeout", &format!("no answer within {limit:?}"))),
    }
}

async fn many(code: &dyn ActivityCode, calls: &[Call]) -> Result<Vec<RawAnswer>, ActivityError> {
    let raw = calls.iter().map(|Call { cx, attempt }| RawCall {
        cx,
        input: attempt.input.get(),
        output: attempt.output.as_ref().map(|json| json.get()),
    });
    match calls.first().map(|call| call.attempt.direction) {
        Some(Direction::Undo) => code.undo_many(raw.collect()).await,
        _ => code.run_many(raw.collect()).await,
    }
}

/// Answers in the order of the calls; none where there is not one.
fn sort_answers(answers: Vec<RawAnswer>, calls: usize) -> Vec<Option<Outcome>> {
    let mut sorted: Vec<Option<Outcome>> = (0..calls).map(|_| None).collect();
    let mut twice = Vec::new();
    for (place, outcome) in answers {
        match sorted.get_mut(place) {
            Some(slot) if slot.is_none() => *slot = Some(outcome),
            _ => twice.push(place),
        }
    }
    twice.into_iter().for_each(|place| {
        sorted.get_mut(place).map(Option::take);
    });
    sorted
}
