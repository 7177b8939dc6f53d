//! What became of a commit, and what is recorded of a run whose own record the database refuses.

use crate::engine::{
    core::{
        attention::{Attention, AttentionKind},
        decision::{RunWrite, Writes},
        model::{Failure, Status},
    },
    store::flush::{Commit, Flushed},
};

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    /// It is durable.
    Done,
    /// It is durable, but the run was not released: its inbox has changed.
    InboxChanged,
    /// It is durable, and a pause was accepted before it: nothing more of the run begins.
    Paused,
    /// The run is not this lane's; nothing was written.
    Lost,
    /// Nothing was written: a cancel was accepted before the run could pass its pivot, or a pause before its step.
    Refused,
}

impl Ack {
    /// What one commit of a flush came to.
    pub(crate) fn of(commit: &Commit, flushed: &Flushed) -> Self {
        let dequeues = matches!(commit.writes.run, Some(RunWrite::Dequeue { .. } | RunWrite::NotDue { .. }));
        if flushed.refused.contains(&commit.run) {
            Self::Refused
        } else if flushed.lost.contains(&commit.run) {
            Self::Lost
        } else if dequeues && !flushed.dequeued.contains(&commit.run) {
            Self::InboxChanged
        } else if !dequeues && flushed.paused.contains(&commit.run) {
            Self::Paused
        } else {
            Self::Done
        }
    }

    /// The same in a step's own transaction. A step that began before the outcome of the last one was on record must not take
    /// effect where a pause was accepted meanwhile.
    pub(crate) fn of_step(commit: &Commit, flushed: &Flushed) -> Self {
        if commit.carries && flushed.paused.contains(&commit.run) {
            return Self::Refused;
        }
        Self::of(commit, flushed)
    }
}

/// The record of a run whose own record the database refuses: it is stuck until an operator has seen to it.
pub(super) fn quarantine(error: &sqlx::Error, seen: i32) -> Writes {
    let failure = Failure::new("unrecordable", format!("the database refused the run's record: {error}"));
    let run =
        RunWrite::Dequeue { status: Status::Stuck, output: None, failure: Some(failure.clone()), wait: None, seen };
    // The workflow's name is not known here; the code and the database's sentence are enough for the fingerprint.
    let attention = Attention::new("", None, AttentionKind::Stuck, failure, None);
    Writes { run: Some(run), attention: vec![attention], unpaused: true, ..Writes::default() }
}
