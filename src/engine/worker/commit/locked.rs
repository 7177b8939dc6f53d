//! Runs whose rows somebody else has locked: a caller that has signalled one in a transaction which is still open, say. They are
//! parted from the others, so that nobody waits but they.

use crate::engine::{
    core::{ids::RunSet, model::RunId},
    error::Error,
    store::flush::{self, Commit},
    worker::{connection::LaneConnection, limits::within},
};

/// The commits of locked runs, and the others.
///
/// # Errors
/// `LeaseLost`.
pub(super) async fn part_locked(
    lane: &mut LaneConnection,
    commits: Vec<Commit>,
) -> Result<(Vec<Commit>, Vec<Commit>), Error> {
    let locked = lane.locked(&commits.iter().map(|commit| commit.run).collect::<Vec<_>>()).await?;
    Ok(commits.into_iter().partition(|commit| locked.contains(&commit.run)))
}

impl LaneConnection {
    /// Which of these runs are locked just now; none where that can't be told.
    pub(super) async fn locked(&mut self, runs: &[RunId]) -> Result<RunSet, Error> {
        let looking = flush::locked(self.shared.schema(), &mut self.conn, runs);
        match within(self.shared.config.answer_within(), looking).await {
            Ok(locked) => Ok(locked),
            Err(Error::Unavailable(error) | Error::OutcomeUnknown(error) | Error::Database(error)) => {
                self.reconnect(&error).await?;
                Ok(RunSet::default())
            }
            Err(error) => Err(error),
        }
    }
}
