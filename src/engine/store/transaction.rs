//! The one way to begin a transaction, and to borrow a connection, that is safe to be dropped at any await.
//!
//! A future that is dropped within `BEGIN` leaves a connection that its client takes for idle and the server for one in a
//! transaction: the next caller writes into that, and nobody ever commits it. A future that is dropped while a connection
//! is tried out costs that connection. So both are done in a task of their own, which hands over what it has, or lets go of
//! it where nobody waits for it.

use std::{
    fmt, io,
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, SqlSafeStr, SqlStr, pool::PoolConnection};
use tokio::sync::oneshot;
use tracing::Instrument;

use super::session::{self, Trial};
use crate::engine::error::Error;

/// `BEGIN` has to be answered within this time. What waits for it may be gone by then, and nobody else would end it.
const BEGUN_WITHIN: Duration = Duration::from_secs(5);

/// An open transaction, to be used as a [`PgConnection`]. Dropped, it is rolled back.
pub struct Transaction(sqlx::Transaction<'static, Postgres>);

/// Begins a transaction on a connection of the pool. This future may be dropped at any time, and leaves nothing open. (One of
/// `pool.begin()` that is dropped may leave a transaction open, which swallows what others write later.)
///
/// # Errors
/// `database_unavailable`.
pub async fn begin(pool: &PgPool) -> Result<Transaction, Error> {
    begin_by(pool, None).await
}

/// The same for a transaction that may stand still, and whose statements may wait, for so long at most: then the server ends it.
/// Without the second limit, the sessions of a process that is stopped get a lock one after the other, and each keeps it for as
/// long as it may stand still. In one message with its BEGIN.
pub(crate) async fn begin_bounded(pool: &PgPool, limit: Duration) -> Result<Transaction, Error> {
    let millis = limit.as_millis().clamp(1, i32::MAX as u128);
    let statement = format!(
        "BEGIN; SET LOCAL idle_in_transaction_session_timeout = {millis}; SET LOCAL statement_timeout = {millis}"
    );
    begin_by(pool, Some(AssertSqlSafe(statement).into_sql_str())).await
}

/// The same for a transaction whose statements wait for a lock for so long at most.
pub(crate) async fn begin_impatient(pool: &PgPool, for_locks: Duration) -> Result<Transaction, Error> {
    let millis = for_locks.as_millis().clamp(1, i32::MAX as u128);
    begin_by(pool, Some(AssertSqlSafe(format!("BEGIN; SET LOCAL lock_timeout = {millis}")).into_sql_str())).await
}

/// BEGIN is a connection's sign of life as well: one that is tried out first costs a round trip. BEGIN changes nothing, so where
/// it fails it is sent again, over a connection that has been tried out.
async fn begin_by(pool: &PgPool, statement: Option<SqlStr>) -> Result<Transaction, Error> {
    let begin = {
        let statement = statement.clone();
        |conn: PoolConnection<Postgres>| sqlx::Transaction::begin(conn, statement)
    };
    let begun = match hand_over(pool, Trial::Left, begin).await {
        Err(error) if is_of_connection(&error) => {
            hand_over(pool, Trial::First, |conn| sqlx::Transaction::begin(conn, statement)).await
        }
        begun => begun,
    };
    Ok(Transaction(begun?))
}

/// Whether another connection may do what this one failed to do. No time is left for one where the pool, or BEGIN, took too long.
fn is_of_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => false,
        sqlx::Error::Io(error) => error.kind() != io::ErrorKind::TimedOut,
        _ => true,
    }
}

/// A connection of the pool.
///
/// # Errors
/// `database_unavailable`.
pub(crate) async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>, Error> {
    Ok(hand_over(pool, Trial::First, |conn| std::future::ready(Ok(conn))).await?)
}

/// A transaction on a connection that nobody else gets, such as a lane's, or a savepoint inside of a transaction.
pub(crate) async fn begin_on(conn: &mut PgConnection) -> Result<sqlx::Transaction<'_, Postgres>, Error> {
    Ok(conn.begin().await?)
}

/// What `make` makes of a connection of the pool, in a task of its own. Where nobody waits for it, it is dropped.
async fn hand_over<T, F>(
    pool: &PgPool,
    trial: Trial,
    make: impl FnOnce(PoolConnection<Postgres>) -> F + Send + 'static,
) -> Result<T, sqlx::Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, sqlx::Error>> + Send,
{
    let (mut waits, handed) = oneshot::channel();
    let pool = pool.clone();
    let task = async move {
        let acquiring = session::acquire(&pool, trial);
        tokio::pin!(acquiring);
        let acquired = tokio::select! {
            biased;
            acquired = &mut acquiring => acquired,
            // In a queue it can be given up; within a connect or a ping that would cost a connection.
            () = waits.closed() => if is_exhausted(&pool) { return } else { acquiring.await },
        };
        let made = match acquired {
            Ok(_) if waits.is_closed() => return,
            // Given up, the connection is closed when it does not answer its pool either.
            Ok(conn) => match tokio::time::timeout(BEGUN_WITHIN, make(conn)).await {
                Ok(made) => made,
                Err(_) => Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "BEGIN was not answered"))),
            },
            Err(error) => Err(error),
        };
        let _ = waits.send(made);
    };
    tokio::spawn(task.in_current_span());
    handed.await.map_err(|_| sqlx::Error::WorkerCrashed)?
}

/// Whether the next caller has to wait for a connection.
fn is_exhausted(pool: &PgPool) -> bool {
    pool.num_idle() == 0 && pool.size() >= pool.options().get_max_connections()
}

impl Transaction {
    /// Commits.
    ///
    /// # Errors
    /// `outcome_unknown` where the answer is lost: it may be committed. Any other: it is rolled back.
    pub async fn commit(self) -> Result<(), Error> {
        if !self.0.is_in_transaction() {
            // A future that was dropped within a savepoint makes sqlx roll back the whole.
            return Err(Error::Unavailable(sqlx::Error::BeginFailed));
        }
        self.0.commit().await.map_err(|error| Error::from(error).of_write())
    }

    /// Rolls back.
    ///
    /// # Errors
    /// `database_unavailable`: the server rolls back with the connection.
    pub async fn rollback(self) -> Result<(), Error> {
        Ok(self.0.rollback().await?)
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}
