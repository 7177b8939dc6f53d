//! THE transition table: which change takes a run from which status to which. Everything that writes `run.status` asks
//! here first, the worker's core and the operators' verbs alike.
//!
//! ```text
//!                    park                            plan made
//!   running  ─────────────────▶ waiting   running ─────────────────▶ compensating
//!  (pending) ◀─────────────────           waiting                     │        │
//!      │            wake                                     all undone│        │an undo fails for good
//!      │ returns: completed                                            ▼        ▼
//!      │ fails with nothing to undo: failed                      compensated   stuck
//!      │ fails after its pivot, poison, nondeterminism: stuck                   │ retry: back to where it was
//!      ▼                                                                        │ compensate: compensating
//!  completed ── compensate (an operator) ──▶ compensating                       ▼ abandon: abandoned
//! ```

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
    /// An operator has it try again from the step that failed.
    Retry,
    /// An operator has it try its failed undos again.
    RetryUndo,
}

/// A change that a run's status doesn't allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {from} can't {change:?}")]
pub struct IllegalChange {
    /// Where the run stands.
    pub from: Status,
    /// What was to happen.
    pub change: Change,
}

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
        (S::Active | S::Waiting | S::Stuck | S::Completed, C::Plan) => S::Compensating,
        (S::Active | S::Waiting | S::Stuck | S::Completed, C::Fail) => S::Failed,
        (S::Active | S::Waiting, C::Complete) => S::Completed,
        (S::Active | S::Waiting | S::Compensating | S::Stuck | S::Completed, C::GetStuck) => S::Stuck,
        (S::Compensating, C::FinishUndo) => S::Compensated,
        // A request changes no status by itself: the worker that acts on it does.
        (S::Active | S::Waiting | S::Stuck, C::Cancel) => from,
        (S::Active | S::Waiting | S::Stuck | S::Completed, C::Compensate) => from,
        (S::Stuck | S::Failed, C::Retry) => S::Active,
        (S::Stuck, C::RetryUndo) => S::Compensating,
        _ => return Err(IllegalChange { from, change }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGES: [Change; 11] = [
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
    ];

    #[test]
    fn an_undo_never_turns_forward_again() {
        for change in CHANGES {
            let after = next(Status::Compensating, change);
            assert!(!matches!(after, Ok(Status::Active | Status::Waiting | Status::Completed)), "{change:?}");
        }
        for change in CHANGES {
            assert!(next(Status::Compensated, change).is_err(), "{change:?}");
            assert!(next(Status::Abandoned, change).is_err(), "{change:?}");
        }
    }

    #[test]
    fn ended_runs_change_only_by_an_operator() {
        for status in Status::ALL.iter().copied().filter(|status| status.is_end()) {
            for change in CHANGES {
                let by_operator = matches!(change, Change::Compensate | Change::Retry)
                    || (status == Status::Completed
                        && matches!(change, Change::Plan | Change::Fail | Change::GetStuck));
                assert!(next(status, change).is_err() || by_operator, "{status} {change:?}");
            }
        }
    }
}
