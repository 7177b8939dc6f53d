//! How a run reaches its lane, and what it asks for.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::ack::Ack;
use crate::engine::{
    core::model::RunId,
    store::{
        flush::Commit,
        lanes::{Lease, Release},
    },
    worker::acknowledged::Acknowledged,
};

/// What a run asks of its lane.
#[derive(Debug)]
pub(crate) enum Request {
    /// Record this.
    Commit(Box<Record>, oneshot::Sender<Answer>),
    /// Give the run back, and answer when that is done. Until then the run counts as active here: otherwise a claim of this
    /// very lane could take it again, and this release would then take it away.
    Release(RunId, Release, oneshot::Sender<()>),
}

/// What is to be recorded, and how that has gone so far.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) commit: Commit,
    pub(crate) trial: Trial,
}

/// How often a record has failed by itself although others got through. New ones have not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trial {
    /// It was handed back before: it is tried alone.
    pub(crate) alone: bool,
    /// Times that it failed alone after a flush of the lane had gone well.
    pub(crate) failed: u32,
    /// The lane's count of flushes that went well, when it failed last.
    pub(crate) flushes: u64,
}

/// What the lane answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is over.
    Came(Ack),
    /// The database is in trouble: the run keeps its record, and asks again in a moment.
    Later(Box<Record>),
}

/// How a run reaches its lane.
#[derive(Clone)]
pub(crate) struct LaneHandle {
    pub(crate) lease: Lease,
    pub(crate) acknowledged: Arc<Acknowledged>,
    pub(crate) requests: mpsc::Sender<Request>,
    /// The lane was declared dead: all its runs stop at once.
    pub(crate) dead: CancellationToken,
}
