//! How long a worker waits for the database. Silence has an end on both sides: the server's own limits are the shorter ones, so
//! that a lock of ours never outlives our patience; and an answer that does not come in time is taken for lost, with its connection.

use std::{future::Future, io, time::Duration};

use super::config::WorkerConfig;
use crate::engine::{error::Error, store::SessionLimits};

/// A connection has to be there within this time.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How much longer than the server's limit the client waits: for the way there and back.
const GRACE: Duration = Duration::from_secs(3);
/// A statement may take as long as a lane may be silent, within these bounds.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);
/// A lane waits no longer than this for somebody else's lock: it has other runs to write. Longer than Postgres takes to see a
/// deadlock.
const LOCK_WAIT: Duration = Duration::from_secs(2);

impl WorkerConfig {
    /// An answer has to be there within this time.
    pub(crate) fn answer_within(&self) -> Duration {
        self.statement_within().saturating_add(GRACE)
    }

    fn statement_within(&self) -> Duration {
        self.takeover_after.clamp(SHORTEST, LONGEST)
    }

    /// The server's limits for the sessions of lanes.
    pub(crate) fn session_limits(&self) -> SessionLimits {
        // A transaction that stands still for so long belongs to a lane that others may take over.
        SessionLimits { statement: self.statement_within(), idle_in_transaction: self.takeover_after, lock: LOCK_WAIT }
    }
}

/// Waits for an answer for so long; without one the connection is of no use.
pub(crate) async fn within<T>(limit: Duration, statement: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(limit, statement).await.unwrap_or_else(|_| Err(no_answer(limit)))
}

/// Whether an answer did not come in time.
pub(crate) fn is_silence(error: &Error) -> bool {
    matches!(error, Error::Unavailable(sqlx::Error::Io(io)) if io.kind() == io::ErrorKind::TimedOut)
}

fn no_answer(limit: Duration) -> Error {
    let text = format!("no answer within {limit:?}");
    Error::Unavailable(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text)))
}
