//! The transaction that a step's own SQL and its outcome commit in.

use sqlx::{Postgres, Transaction};
use tokio::sync::OwnedSemaphorePermit;

/// An open transaction whose step is ok: its outcome is committed in it.
pub(crate) struct OpenTransaction {
    pub(crate) tx: Transaction<'static, Postgres>,
    /// Until its connection is back in the pool, another transactional attempt has to wait.
    pub(crate) _permit: Option<OwnedSemaphorePermit>,
}
