//! A step's log of failed and unknown attempts, for people. Nothing is decided by it.
//!
//! It goes into the rows that a step has anyway when an attempt fails; a step that is `ok` at once has none.

use chrono::SubsecRound;

use crate::engine::core::{
    decision::Verification,
    model::{Outcome, PastAttempt, Step, StepError, Time},
    time::Moment,
};

/// Of each message, in characters: a step keeps ten, and its row is written with every attempt.
const MESSAGE: usize = 500;

/// An attempt failed, or its outcome is unknown.
pub(super) fn failed(step: &mut Step, error: &StepError, now: Time) {
    let outcome = if error.unknown { Outcome::Unknown } else { Outcome::Failed };
    let entry = ended(step, outcome, Some(error), now);
    step.log.push(entry);
}

/// A verification ended. One that found that the step happened shows in the step itself.
pub(super) fn verified(step: &mut Step, found: &Verification, now: Time) {
    let (outcome, error) = match found {
        Verification::Happened(_) => return,
        Verification::NeverWill => (Outcome::Failed, None),
        Verification::NotYet(error) => (Outcome::Unknown, Some(error)),
    };
    let entry = PastAttempt { verification: true, ..ended(step, outcome, error, now) };
    step.log.push(entry);
}

/// An attempt was recorded as under way, and its worker is gone.
pub(super) fn lost(step: &mut Step, error: &StepError, now: Time) {
    let outcome = if error.unknown { Outcome::Unknown } else { Outcome::Failed };
    let entry = PastAttempt { started_at: step.started_at, ..ended(step, outcome, Some(error), now) };
    step.log.push(entry);
}

/// Times are as exact as the database keeps them: what is sent again after a lost answer is the same text.
fn ended(step: &Step, outcome: Outcome, error: Option<&StepError>, now: Time) -> PastAttempt {
    let shortened = |error: &StepError| StepError { message: shortened(&error.message), ..error.clone() };
    PastAttempt {
        attempt: step.attempts,
        verification: false,
        outcome,
        started_at: Some(now.earlier(step.took).trunc_subsecs(6)),
        ended_at: now.trunc_subsecs(6),
        error: error.map(shortened),
    }
}

fn shortened(message: &str) -> String {
    match message.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}
