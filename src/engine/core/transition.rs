//! The transition table: which change takes a run from which status to which. Everything that writes `run.status` goes through
//! it, the worker's core and the operators' verbs alike.
//!
//! ```text
//!                    park                            plan made
//!   running  ─────────────────▶ waiting   running ─────────────────▶ compensating
//!  (pending) ◀─────────────────           waiting                     │        │
//!      │            wake                                     all undone│        │an undo fails for good
//!      │ returns: completed                                            ▼        ▼
//!      │ fails with nothing to undo: failed                      compensated   stuck
//!      │ fails after its pivot, poison, nondeterminism: stuck                   │ retry, skip, resolve: back to where it was
//!      ▼                                                                        │ compensate: compensating
//!  completed ── compensate (an operator) ──▶ compensating                       ▼ abandon: abandoned
//! ```
//!
//! What operators' verbs do, by status; `·` is refused, a word is the status after it (*request*: left for a worker, who
//! makes the plan; *same*: the status stays, and only the record changes).
//!
//! | from | retry | cancel | compensate | pause | resume | skip | resolve | abandon | acknowledge | fork |
//! |---|---|---|---|---|---|---|---|---|---|---|
//! | running | · | request | request | paused | same | same | same | abandoned | same | · |
//! | waiting | same | request | request | paused | same | same | same | abandoned | same | · |
//! | paused | · | request | request | same | running, compensating | same | same | abandoned | same | same |
//! | compensating | same | · | · | paused | same | same | same | abandoned | same | · |
//! | stuck | running, compensating | request | request | · | · | running, compensating | running, compensating | abandoned | · | same |
//! | completed | · | · | request | · | · | · | same | · | same | same |
//! | compensated | · | · | · | · | · | · | same | · | same | same |
//! | failed | running | · | request | · | · | running | running, same | · | same | same |
//! | abandoned | · | · | · | · | · | · | same | · | same | same |
//!
//! What else a verb demands (a plan or none, a pivot, no worker at work on the run) is in `ruling`.

use super::model::Status;

/// What happens to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It waits for a timer, a signal or a later retry.
    Park,
    /// Something that it waited for came.
    Wake,
    /// It failed or was stopped, and there is something to undo: the plan is made.
    Plan,
    /// It failed or was stopped, and there is nothing to undo.
    Fail,
    /// It returned.
    Complete,
    /// It can't go on by itself.
    GetStuck,
    /// The last undo of its plan is done.
    FinishUndo,
    /// An operator or caller asks to cancel it (before its pivot).
    Cancel,
    /// An operator asks to undo it, wherever it stands.
    Compensate,
    /// An operator has it try again from the step that failed, or try now what it waits to try later.
    Retry,
    /// An operator has it try its undos again.
    RetryUndo,
    /// An operator pauses it.
    Pause,
    /// An operator resumes it, forward.
    Resume,
    /// An operator resumes it, with its undos.
    ResumeUndo,
    /// An operator skips or resolves a step, and it goes on with that.
    Settle,
    /// The same with an undo.
    SettleUndo,
    /// An operator resolves a step of an ended run: only the record changes.
    Correct,
    /// An operator ends it without undo.
    Abandon,
    /// An operator has seen what needed attention.
    Acknowledge,
    /// An operator begins a new run from one of its steps.
    Fork,
}

impl Change {
    /// For refusals: a run can't be *paused*.
    const fn participle(self) -> &'static str {
        match self {
            Self::Park => "parked",
            Self::Wake => "woken",
            Self::Plan | Self::Compensate => "compensated",
            Self::Fail => "failed",
            Self::Complete => "completed",
            Self::GetStuck => "stopped",
            Self::FinishUndo => "ended as compensated",
            Self::Cancel => "cancelled",
            Self::Retry | Self::RetryUndo => "retried",
            Self::Pause => "paused",
            Self::Resume | Self::ResumeUndo => "resumed",
            Self::Settle | Self::SettleUndo | Self::Correct => "settled",
            Self::Abandon => "abandoned",
            Self::Acknowledge => "acknowledged",
            Self::Fork => "forked",
        }
    }
}

/// The verbs of operators and the changes that each may be, in the order in which people read them.
const VERBS: &[(&str, &[Change])] = &[
    ("retry", &[Change::Retry, Change::RetryUndo]),
    ("cancel", &[Change::Cancel]),
    ("compensate", &[Change::Compensate]),
    ("pause", &[Change::Pause]),
    ("resume", &[Change::Resume, Change::ResumeUndo]),
    ("skip", &[Change::Settle, Change::SettleUndo]),
    ("resolve", &[Change::Settle, Change::SettleUndo, Change::Correct]),
    ("abandon", &[Change::Abandon]),
    ("acknowledge", &[Change::Acknowledge]),
    ("fork", &[Change::Fork]),
];

/// The verbs that a run's status allows. Each may demand more: see `ruling`.
pub fn allowed(status: Status) -> Vec<&'static str> {
    let allows = |changes: &[Change]| changes.iter().any(|change| next(status, *change).is_ok());
    VERBS.iter().filter(|(_, changes)| allows(changes)).map(|(verb, _)| *verb).collect()
}

/// A change that a run's status doesn't allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IllegalChange {
    /// Where the run stands.
    pub from: Status,
    /// What was to happen.
    pub change: Change,
}

impl std::fmt::Display for IllegalChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let allowed = allowed(self.from).join(", ");
        write!(f, "a run that is {} can't be {}; allowed: {allowed}", self.from, self.change.participle())
    }
}

impl std::error::Error for IllegalChange {}

/// The status after a change.
///
/// # Errors
/// When the run's status doesn't allow it.
pub const fn next(from: Status, change: Change) -> Result<Status, IllegalChange> {
    use Change as C;
    use Status as S;
    Ok(match (from, change) {
        (S::Active | S::Waiting, C::Park) => S::Waiting,
        (S::Compensating, C::Park | C::Wake) => S::Compensating,
        (S::Active | S::Waiting, C::Wake) => S::Active,
        (S::Active | S::Waiting | S::Paused | S::Stuck | S::Completed | S::Failed, C::Plan) => S::Compensating,
        (S::Active | S::Waiting | S::Paused | S::Stuck | S::Completed, C::Fail) => S::Failed,
        (S::Active | S::Waiting, C::Complete) => S::Completed,
        (S::Active | S::Waiting | S::Compensating | S::Stuck | S::Completed, C::GetStuck) => S::Stuck,
        (S::Compensating, C::FinishUndo) => S::Compensated,
        // A request changes no status by itself: the worker that carries it out does.
        (S::Active | S::Waiting | S::Paused | S::Stuck, C::Cancel) => from,
        (S::Active | S::Waiting | S::Paused | S::Stuck | S::Completed | S::Failed, C::Compensate) => from,
        (S::Stuck | S::Failed, C::Retry) => S::Active,
        (S::Stuck, C::RetryUndo) => S::Compensating,
        (S::Waiting, C::Retry) | (S::Compensating, C::RetryUndo) => from,
        (S::Active | S::Waiting | S::Paused | S::Compensating, C::Pause) => S::Paused,
        (S::Paused, C::Resume) => S::Active,
        (S::Paused, C::ResumeUndo) => S::Compensating,
        // Nothing holds it back: harmless, so that a resume can be repeated.
        (S::Active | S::Waiting, C::Resume) | (S::Compensating, C::ResumeUndo) => from,
        (S::Stuck | S::Failed, C::Settle) => S::Active,
        (S::Stuck, C::SettleUndo) => S::Compensating,
        (S::Active | S::Waiting | S::Paused, C::Settle) | (S::Compensating | S::Paused, C::SettleUndo) => from,
        (S::Completed | S::Compensated | S::Failed | S::Abandoned, C::Correct) => from,
        (S::Active | S::Waiting | S::Paused | S::Compensating | S::Stuck, C::Abandon) => S::Abandoned,
        (S::Stuck, C::Acknowledge) => return Err(IllegalChange { from, change }),
        (_, C::Acknowledge) => from,
        (S::Paused | S::Stuck | S::Completed | S::Compensated | S::Failed | S::Abandoned, C::Fork) => from,
        _ => return Err(IllegalChange { from, change }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGES: [Change; 20] = [
        Change::Park,
        Change::Wake,
        Change::Plan,
        Change::Fail,
        Change::Complete,
        Change::GetStuck,
        Change::FinishUndo,
        Change::Cancel,
        Change::Compensate,
        Change::Retry,
        Change::RetryUndo,
        Change::Pause,
        Change::Resume,
        Change::ResumeUndo,
        Change::Settle,
        Change::SettleUndo,
        Change::Correct,
        Change::Abandon,
        Change::Acknowledge,
        Change::Fork,
    ];

    #[test]
    fn an_undo_never_turns_forward_again() {
        for change in CHANGES {
            let after = next(Status::Compensating, change);
            assert!(!matches!(after, Ok(Status::Active | Status::Waiting | Status::Completed)), "{change:?}");
        }
        for end in [Status::Compensated, Status::Abandoned] {
            for change in CHANGES {
                assert!(next(end, change).is_err() || next(end, change) == Ok(end), "{end} {change:?}");
            }
        }
    }

    #[test]
    fn ended_runs_change_only_by_an_operator() {
        for status in Status::ALL.iter().copied().filter(|status| status.is_end()) {
            for change in CHANGES {
                // A worker makes the plan that an operator has asked for.
                let by_operator = matches!(change, Change::Compensate | Change::Retry | Change::Settle)
                    || (status == Status::Completed
                        && matches!(change, Change::Plan | Change::Fail | Change::GetStuck))
                    || (status == Status::Failed && change == Change::Plan);
                let stays = next(status, change).is_err() || next(status, change) == Ok(status);
                assert!(stays || by_operator, "{status} {change:?}");
            }
        }
    }

    /// A cell of the table above: how a verb takes a run from `from`.
    fn table_cell(from: Status, verb: &str, changes: &[Change]) -> String {
        let mut words: Vec<&str> = Vec::new();
        for to in changes.iter().filter_map(|change| next(from, *change).ok()) {
            let word = match verb {
                "cancel" | "compensate" => "request",
                _ if to == from => "same",
                _ => to.word(),
            };
            if !words.contains(&word) {
                words.push(word);
            }
        }
        if words.is_empty() { "·".to_owned() } else { words.join(", ") }
    }

    #[test]
    fn the_table_above_is_right() {
        for from in Status::ALL {
            let cells = VERBS.iter().map(|(verb, changes)| format!(" | {}", table_cell(*from, verb, changes)));
            let row = format!("//! | {from}{} |\n", cells.collect::<String>());
            assert!(include_str!("transition.rs").contains(&row), "not there:\n{row}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_allowed() {
        let refused = next(Status::Completed, Change::Pause).map_err(|error| error.to_string());
        let sentence = "a run that is completed can't be paused; allowed: compensate, resolve, acknowledge, fork";
        assert_eq!(refused, Err(sentence.to_owned()));
        for status in Status::ALL {
            assert!(!allowed(*status).is_empty(), "{status}");
        }
    }
}
