//! How a run reaches its lane, and what it asks for.

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::ack::Ack;
use crate::engine::{
    core::model::RunId,
    store::flush::{Commit, Release},
};

/// What a run asks of its lane.
#[derive(Debug)]
pub(crate) enum Request {
    /// Record this.
    Commit(Box<Commit>, oneshot::Sender<Ack>),
    /// Give the run back, and answer when that is done. Until then the run counts as active here: otherwise a claim of this
    /// very lane could take it again, and this release would then take it away.
    Release(RunId, Release, oneshot::Sender<()>),
}

/// How a run reaches its lane.
#[derive(Clone)]
pub(crate) struct LaneHandle {
    pub(crate) id: i32,
    pub(crate) requests: mpsc::Sender<Request>,
    /// The lane was declared dead: all its runs stop at once.
    pub(crate) dead: CancellationToken,
}
