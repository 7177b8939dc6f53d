//! The transaction that a step's own SQL and its outcome commit in.

use tokio::sync::OwnedSemaphorePermit;

use crate::engine::store::transaction::Transaction;

/// An open transaction whose step is ok: its outcome is committed in it.
pub(crate) struct OpenTransaction {
    pub(crate) tx: Transaction,
    /// Until its connection is back in the pool, another transactional attempt has to wait.
    pub(crate) _permit: Option<OwnedSemaphorePermit>,
}
