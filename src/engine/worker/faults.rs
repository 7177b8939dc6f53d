//! The places at which a test may have a worker die. A service has none of this: `WorkerConfig::faults` is none.

use futures_util::future::BoxFuture;

use crate::engine::core::model::RunId;

/// Before, within or after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing of it is durable.
    Before,
    /// Of a transactional step: all is written, and nothing of it is durable.
    Within,
    /// It is durable, and nothing has been made of it.
    After,
}

/// What a test does around each commit of a run: to let a worker die, it never returns.
pub trait Faults: std::fmt::Debug + Send + Sync {
    /// A commit of `run` is about to be made, or has been.
    fn commit(&self, run: RunId, moment: Moment) -> BoxFuture<'_, ()>;
}
