//! A connection of a pool that goes back only when it has answered.
//!
//! A future that is dropped within a statement, by a deadline or a shutdown, leaves a connection that is of no use: the pool
//! would wait for its answer, for ever if the network is silent. So it is closed.
//!
//! What the engine alone has used, and what has answered all, goes back without being looked at.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};

use super::{session, transaction::acquire};
use crate::engine::error::Error;

/// A connection of a pool for a few statements. It is closed when it is dropped, unless [`Lent::give_back`] was called; then it
/// goes back without a look at it, which any other connection of a [`guarded`](crate::engine::guarded) pool gets.
pub struct Lent {
    conn: PoolConnection<Postgres>,
    answered: bool,
}

impl Lent {
    /// One of the pool's, within the pool's own time.
    ///
    /// # Errors
    /// `database_unavailable`.
    pub async fn of(pool: &PgPool) -> Result<Self, Error> {
        Ok(Self { conn: acquire(pool).await?, answered: false })
    }

    /// Everything has been answered, and is as it was: no transaction, no setting. The next one may have it.
    pub fn give_back(mut self) {
        self.answered = true;
    }
}

/// Gives back a connection that the engine alone has used, of which [`Lent::give_back`] may say the same. One that is dropped is
/// looked at first.
pub(crate) fn give_back(mut conn: PoolConnection<Postgres>) {
    session::give_back(&mut conn);
}

/// Closes the pool's idle connections, without a word to the server.
pub(crate) fn close_idle(pool: &PgPool) {
    while let Some(conn) = pool.try_acquire() {
        drop(conn.detach());
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.answered {
            session::give_back(&mut self.conn);
        } else {
            self.conn.close_on_drop();
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.conn
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.conn
    }
}
