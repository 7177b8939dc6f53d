//! Counts what has happened, in the database and in this process, from outside of the engine.

use std::{collections::BTreeMap, iter, time::Duration};

use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::{
    engine::{Engine, Error},
    telemetry,
};

/// `run.status` of a run that has ended well, and of one whose steps were undone.
pub(super) const COMPLETED: i16 = 5;
pub(super) const COMPENSATED: i16 = 6;

/// A connection reports what it has done about once a second, in its next transaction.
const REPORTED_AFTER: Duration = Duration::from_millis(1_100);

/// The database's counters at one moment, and those of this process.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    /// Bytes of write-ahead log since the server was made.
    pub(super) wal: i64,
    /// Commits in this database.
    pub(super) commits: i64,
    /// Bytes of this database.
    pub(super) size: i64,
    /// Versions of rows that were written or deleted in it.
    pub(super) rows: i64,
    /// Updates, and those of them that touched no index.
    pub(super) updates: i64,
    pub(super) hot_updates: i64,
    /// Pages that were looked at in it, wherever they were found.
    pub(super) pages: i64,
    /// Deadlocks in it.
    pub(super) deadlocks: i64,
    /// Statements of this process, where it counts them.
    pub(super) statements: Option<BTreeMap<String, u64>>,
}

impl Counters {
    /// Reads them before a load, when all that was done so far has been reported.
    pub(super) async fn before(pool: &PgPool) -> Result<Self, Error> {
        let counters = Self::read(pool).await?;
        Ok(Self { statements: telemetry::counted_statements(), ..counters })
    }

    /// The same after it: the statements of reading are nobody's.
    pub(super) async fn after(pool: &PgPool) -> Result<Self, Error> {
        let statements = telemetry::counted_statements();
        Ok(Self { statements, ..Self::read(pool).await? })
    }

    async fn read(pool: &PgPool) -> Result<Self, Error> {
        tokio::time::sleep(REPORTED_AFTER).await;
        // An idle connection reports nothing by itself.
        let idle: Vec<_> = iter::from_fn(|| pool.try_acquire()).collect();
        for mut conn in idle {
            sqlx::query("SELECT 1").execute(&mut *conn).await?;
        }
        let query = "SELECT (pg_current_wal_lsn() - '0/0')::bigint AS wal, d.xact_commit, d.deadlocks,
                d.blks_hit + d.blks_read AS pages,
                pg_database_size(current_database()) AS size,
                coalesce(t.rows, 0)::bigint AS rows, coalesce(t.updates, 0)::bigint AS updates, coalesce(t.hot, 0)::bigint AS hot
            FROM pg_stat_database d, (
                SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) AS rows, sum(n_tup_upd) AS updates, sum(n_tup_hot_upd) AS hot
                FROM pg_stat_user_tables
            ) t WHERE d.datname = current_database()";
        let row = sqlx::query(query).fetch_one(pool).await?;
        Ok(Self {
            wal: row.try_get("wal")?,
            commits: row.try_get("xact_commit")?,
            size: row.try_get("size")?,
            rows: row.try_get("rows")?,
            updates: row.try_get("updates")?,
            hot_updates: row.try_get("hot")?,
            pages: row.try_get("pages")?,
            deadlocks: row.try_get("deadlocks")?,
            statements: None,
        })
    }
}

/// Makes a database on the server of this pool.
pub(super) async fn create_database(pool: &PgPool, name: &str) -> Result<(), Error> {
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(pool).await?;
    Ok(())
}

/// Removes it, with the connections that are left to it.
pub(super) async fn drop_database(pool: &PgPool, name: &str) -> Result<(), Error> {
    sqlx::query(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).execute(pool).await?;
    Ok(())
}

/// The run that was started last; nil without any.
pub(super) async fn newest_run(engine: &Engine) -> Result<Uuid, Error> {
    let query = format!("SELECT id FROM {}.run ORDER BY id DESC LIMIT 1", engine.schema_name());
    let newest: Option<Uuid> = sqlx::query_scalar(AssertSqlSafe(query)).fetch_optional(engine.pool()).await?;
    Ok(newest.unwrap_or_default())
}

/// Runs that are due or in a worker's hands.
pub(super) async fn count_open(engine: &Engine) -> Result<u64, Error> {
    let query = format!("SELECT count(*) FROM {}.ready", engine.schema_name());
    let open: i64 = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(engine.pool()).await?;
    Ok(open.unsigned_abs())
}

/// Whether there is one.
pub(super) async fn any_open(engine: &Engine) -> Result<bool, Error> {
    let query = format!("SELECT EXISTS (SELECT FROM {}.ready)", engine.schema_name());
    Ok(sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(engine.pool()).await?)
}

/// Checks that `runs` runs after `newest` have ended as they should, with so many records of what went well.
pub(super) async fn check(
    engine: &Engine,
    newest: Uuid,
    runs: usize,
    (ends_as, steps_per_run): (i16, u32),
) -> Result<(), Error> {
    let query = format!(
        "SELECT count(*), (SELECT count(*) FROM {schema}.step WHERE run_id > $1 AND outcome = 1)
        FROM {schema}.run WHERE id > $1 AND status = $2",
        schema = engine.schema_name()
    );
    let (ended, steps): (i64, i64) =
        sqlx::query_as(AssertSqlSafe(query)).bind(newest).bind(ends_as).fetch_one(engine.pool()).await?;
    let steps_due = runs as i64 * i64::from(steps_per_run);
    if (ended, steps) == (runs as i64, steps_due) {
        return Ok(());
    }
    let message = format!("{ended} of {runs} runs ended as they should, with {steps} steps in place of {steps_due}");
    Err(Error::WrongState(message))
}

/// Milliseconds from start to end of the runs after `newest`: of half of them at most, and of all but one in a hundred.
pub(super) async fn latencies(engine: &Engine, newest: Uuid) -> Result<(f64, f64), Error> {
    let query = format!(
        "SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), 0)::float8,
                coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY ms), 0)::float8
        FROM (SELECT extract(epoch FROM finished_at - created_at) * 1000 AS ms FROM {}.run
              WHERE id > $1 AND finished_at IS NOT NULL) run",
        engine.schema_name()
    );
    Ok(sqlx::query_as(AssertSqlSafe(query)).bind(newest).fetch_one(engine.pool()).await?)
}

/// Runs after `newest` that have not ended.
pub(super) async fn count_unended(engine: &Engine, newest: Uuid) -> Result<i64, Error> {
    let query = format!("SELECT count(*) FROM {}.run WHERE id > $1 AND finished_at IS NULL", engine.schema_name());
    Ok(sqlx::query_scalar(AssertSqlSafe(query)).bind(newest).fetch_one(engine.pool()).await?)
}

/// What a parked run waits for.
pub(super) async fn waits_for(engine: &Engine, run: Uuid) -> Result<Option<String>, Error> {
    let query = format!("SELECT wait_kind FROM {}.run WHERE id = $1 AND status = 1", engine.schema_name());
    let found: Option<Option<String>> =
        sqlx::query_scalar(AssertSqlSafe(query)).bind(run).fetch_optional(engine.pool()).await?;
    Ok(found.flatten())
}

/// How late timers fired.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(super) struct Lateness {
    pub(super) fired: i64,
    /// From the first one due to the last one fired.
    pub(super) seconds: f64,
    pub(super) ms_p50: f64,
    pub(super) ms_p99: f64,
}

/// The timers of the runs after `newest`.
pub(super) async fn lateness(engine: &Engine, newest: Uuid) -> Result<Lateness, Error> {
    let query = format!(
        "SELECT count(*) AS fired, coalesce(extract(epoch FROM max(finished_at) - min(due_at)), 0)::float8 AS seconds,
            coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY late), 0)::float8 AS ms_p50,
            coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY late), 0)::float8 AS ms_p99
        FROM (SELECT finished_at, due_at, extract(epoch FROM finished_at - due_at) * 1000 AS late FROM {}.step
              WHERE run_id > $1 AND kind = 1 AND outcome = 1) timer",
        engine.schema_name()
    );
    Ok(sqlx::query_as(AssertSqlSafe(query)).bind(newest).fetch_one(engine.pool()).await?)
}

/// How long the statement that waits longest for a lock has been waiting, in milliseconds; Postgres 14 and newer say.
pub(super) async fn longest_lock_wait(pool: &PgPool) -> Result<f64, Error> {
    let query = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)) * 1000, 0)::float8
        FROM pg_locks WHERE NOT granted AND waitstart IS NOT NULL";
    Ok(sqlx::query_scalar(query).fetch_one(pool).await?)
}

/// What a database looks like in the middle of a load.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(super) struct State {
    pub(super) dead_rows: i64,
    pub(super) index_bytes: i64,
    pub(super) open: i64,
}

/// Dead rows and bytes of indexes of all tables, and runs that are due or at work.
pub(super) async fn read_state(engine: &Engine) -> Result<State, Error> {
    let query = format!(
        "SELECT coalesce(sum(n_dead_tup), 0)::bigint AS dead_rows,
            coalesce(sum(pg_indexes_size(relid)), 0)::bigint AS index_bytes,
            (SELECT count(*) FROM {}.ready) AS open
        FROM pg_stat_user_tables",
        engine.schema_name()
    );
    Ok(sqlx::query_as(AssertSqlSafe(query)).fetch_one(engine.pool()).await?)
}

/// Takes a snapshot and keeps it until the connection is closed: what was deleted since then can't be cleared away.
pub(super) async fn hold_snapshot(pool: &PgPool) -> Result<PgConnection, Error> {
    let mut conn = PgConnection::connect_with(&pool.connect_options()).await?;
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class").execute(&mut conn).await?;
    Ok(conn)
}

/// Milliseconds from the creation of an order to `placed`, as its row has them, of the orders whose runs came after `newest`.
#[cfg(feature = "shop")]
pub(super) async fn placed_latencies(pool: &PgPool, newest: Uuid) -> Result<(f64, f64), Error> {
    let query = "SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), 0)::float8,
                coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY ms), 0)::float8
        FROM (SELECT extract(epoch FROM placed_at - created_at) * 1000 AS ms FROM shop.orders
              WHERE run_id > $1 AND placed_at IS NOT NULL) placed";
    Ok(sqlx::query_as(query).bind(newest).fetch_one(pool).await?)
}

/// The settings of Postgres that matter here.
pub(super) async fn read_settings(pool: &PgPool) -> Result<Map<String, Value>, Error> {
    let query = "SELECT name, setting || coalesce(unit, '') FROM pg_settings WHERE name IN ('server_version', 'fsync',
        'synchronous_commit', 'full_page_writes', 'wal_compression', 'shared_buffers', 'max_wal_size', 'wal_level')";
    let rows: Vec<(String, String)> = sqlx::query_as(query).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|(name, value)| (name, value.into())).collect())
}

/// Begins a new account of this process's largest resident size, where the kernel keeps one.
pub(super) fn forget_peak_rss() {
    let _ = std::fs::write("/proc/self/clear_refs", "5"); // where that is refused, the peak is of all so far
}

/// The largest resident size of this process so far, from the kernel's account of it; 0 where it gives none.
pub(super) fn read_peak_rss_mb() -> f64 {
    read_status_mb("VmHWM:")
}

/// The same of now.
pub(super) fn read_rss_mb() -> f64 {
    read_status_mb("VmRSS:")
}

fn read_status_mb(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kb = line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1024.0
}
