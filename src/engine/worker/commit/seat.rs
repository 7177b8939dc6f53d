//! A run's seat in the open transaction in which its step has run, alone or beside others. The run decides and hands over
//! its record; the holder of the transaction commits, and says what became of it.

use tokio::sync::oneshot;

use super::{ack::Ack, request::LaneHandle};
use crate::engine::{error::Error, store::flush::Commit};

/// Dropped, it withdraws the run: what its step has done is rolled back.
pub(crate) struct Seat(pub(crate) oneshot::Sender<Decided>);

/// What a run has decided.
pub(crate) struct Decided {
    pub(crate) commit: Commit,
    pub(crate) lane: LaneHandle,
    pub(crate) reply: oneshot::Sender<Verdict>,
}

/// What became of it.
pub(crate) enum Verdict {
    /// It was committed, or the run was lost or refused.
    Came(Ack),
    /// The lane has been declared dead.
    LeaseLost,
    /// The database refused it, alone.
    Failed { what: &'static str, error: Error, commit: Box<Commit> },
    /// Its fate is unknown, or the step has come to something else meanwhile: the rows say how the run goes on.
    Reload,
}
