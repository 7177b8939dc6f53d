//! What a session has to be for our statements to mean what they say, whatever a database or a role sets for its sessions.
//!
//! Set when a connection opens, and looked at when it comes back to its pool: a session that is another one by then, or is still
//! inside of a transaction, is closed. Where only we have used it, and all was answered, that is known without a look.

use std::{fmt::Write, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Row,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::engine::error::Error;

/// Settings that are ours to choose, and their values as Postgres shows them.
///
/// Isolation: a statement that waited for a lock has to see what was committed meanwhile, and no commit fails for what others
/// read. The limits: time-outs are chosen where a statement is sent, and one of somebody else's would cut what needs its time.
const PINNED: [(&str, &str); 10] = [
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_deferrable", "off"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("session_replication_role", "origin"),
    ("TimeZone", "UTC"),
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("transform_null_equals", "off"),
];

/// A client that is gone without a word is noticed within about half a minute, and its locks with it; without these it takes
/// the operating system's two hours.
pub(super) const KEEPALIVES: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
];

/// A connection that comes back has to answer within this time.
const LOOKED_AT_WITHIN: Duration = Duration::from_secs(5);

/// What is looked at when a connection comes back.
const CHECKED: &str = "SELECT now() = statement_timestamp() AS outside,
    current_setting('default_transaction_isolation') = 'read committed'
    AND current_setting('default_transaction_read_only') = 'off'
    AND current_setting('TimeZone') = 'UTC' AS as_opened";

tokio::task_local! {
    /// Set in the task that gives a connection back of which nothing has to be found out.
    static AS_LENT: ();
    /// Set in the task that acquires a connection.
    static TRIAL: Trial;
}

/// How it is found out that a connection which was idle is still one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    /// By a round trip of its own, before it is lent.
    First,
    /// By its first statement, which can be repeated over another.
    Left,
}

/// A connection of a pool.
pub(super) async fn acquire(pool: &PgPool, trial: Trial) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    TRIAL.scope(trial, pool.acquire()).await
}

/// Gives a connection back to its pool that is as it was lent: whatever went over it is answered, no transaction is open, and no
/// setting was changed. Only its pool's own sign of life is waited for.
pub(super) fn give_back(conn: &mut PoolConnection<Postgres>) {
    let returning = AS_LENT.scope((), conn.return_to_pool());
    // One that gives no sign of life is closed.
    tokio::spawn(tokio::time::timeout(LOOKED_AT_WITHIN, returning));
}

/// Connection options whose sessions have what we rely on from their first statement.
pub(crate) fn pinned(options: PgConnectOptions) -> PgConnectOptions {
    options.options(PINNED.iter().filter(|(name, _)| !NOT_EVERYBODYS.contains(name)).copied())
}

/// Settings that only a superuser may choose: looked at, but not set.
const NOT_EVERYBODYS: [&str; 1] = ["session_replication_role"];

/// Sets them in an open session.
async fn pin(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut sets = String::new();
    let pinned = PINNED.iter().filter(|(name, _)| !NOT_EVERYBODYS.contains(name));
    for (name, value) in pinned.chain(&KEEPALIVES) {
        let _ = write!(sets, "SET {name} = '{value}';");
    }
    sqlx::raw_sql(AssertSqlSafe(sets)).execute(conn).await.map(drop)
}

/// Why a session can't be used by the next one; `None`: it can.
async fn blemish(conn: &mut PgConnection) -> Result<Option<&'static str>, sqlx::Error> {
    // One simple query, so that outside of a transaction both times are those of its arrival.
    let row = sqlx::raw_sql(CHECKED).fetch_one(conn).await?;
    Ok(match (row.try_get(0)?, row.try_get(1)?) {
        (false, _) => Some("inside_transaction"),
        (_, false) => Some("settings_changed"),
        _ => None,
    })
}

/// A pool's options with what the engine relies on: its settings are set in each new session, and a connection that comes back
/// inside of a transaction, or with other settings, is closed, counted and logged. This takes the hooks `after_connect`,
/// `before_acquire` and `after_release`: a service sets none of its own. For the pool that a service gives to
/// [`Engine::new`](crate::engine::Engine::new). How long a transaction of the service may stand still is for the service to
/// say (`idle_in_transaction_session_timeout` in the pool's connect options); without it, a frozen one keeps its locks.
pub fn guarded(pool: PgPoolOptions) -> PgPoolOptions {
    let pool = pool.after_connect(|conn, _| Box::pin(async move { pin(conn).await }));
    // What a pool does by itself, but for a connection that is tried out by its first statement.
    let pool = pool.test_before_acquire(false).before_acquire(|conn, _| {
        let left = TRIAL.try_get().is_ok_and(|trial| trial == Trial::Left);
        Box::pin(async move { Ok(left || conn.ping().await.is_ok()) })
    });
    pool.after_release(|conn, _| {
        Box::pin(async move {
            if AS_LENT.try_with(|()| ()).is_ok() {
                return Ok(true);
            }
            // One that was left within a statement may never answer.
            let looked = tokio::time::timeout(LOOKED_AT_WITHIN, blemish(conn)).await;
            let looked = looked.unwrap_or_else(|_| Ok(Some("silent")))?;
            let Some(why) = looked else { return Ok(true) };
            tracing::error!(why, "a connection came back to its pool as nobody may get it; it is closed");
            metrics::counter!("backstitch_connections_closed_total", "why" => why).increment(1);
            Ok(false)
        })
    })
}

/// What differs from what we rely on, as `name = value`.
pub(crate) async fn differences(conn: &mut PgConnection) -> Result<Vec<String>, Error> {
    let (names, values): (Vec<&str>, Vec<&str>) = PINNED.iter().copied().unzip();
    let query = "SELECT p.name || ' = ' || current_setting(p.name) FROM unnest($1::text[], $2::text[]) p(name, value)
        WHERE current_setting(p.name) <> p.value ORDER BY 1";
    Ok(sqlx::query_scalar(query).bind(names).bind(values).fetch_all(conn).await?)
}

/// What this database or this role sets for its sessions beside what the server does, of the settings that we rely on:
/// `database: name=value`.
pub(crate) async fn overrides(conn: &mut PgConnection) -> Result<Vec<String>, Error> {
    let names: Vec<String> = PINNED.iter().map(|(name, _)| name.to_lowercase()).collect();
    let query =
        "SELECT CASE WHEN s.setrole = 0 THEN 'database' WHEN s.setdatabase = 0 THEN 'role' ELSE 'role in database' END
            || ': ' || setting
        FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) setting
        WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
          AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
          AND (lower(split_part(setting, '=', 1)) = ANY ($1) OR split_part(setting, '=', 1) LIKE '%timeout')
        ORDER BY 1";
    Ok(sqlx::query_scalar(query).bind(names).fetch_all(conn).await?)
}

/// How the database keeps texts.
pub(crate) async fn encoding(conn: &mut PgConnection) -> Result<String, Error> {
    Ok(sqlx::query_scalar("SELECT current_setting('server_encoding')").fetch_one(conn).await?)
}
