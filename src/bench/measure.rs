//! Counts what has happened, in the database and in this process, from outside of the engine.

use std::time::Duration;

use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgPool, Row};
use uuid::Uuid;

use crate::engine::{Engine, Error};

/// Backends report their commits about once a second.
const COMMITS_ARE_REPORTED_AFTER: Duration = Duration::from_millis(1_100);

/// The database's counters at one moment.
pub(super) struct Counters {
    /// Bytes of write-ahead log since the server was made.
    pub(super) wal: i64,
    /// Commits in this database.
    pub(super) commits: i64,
    /// Bytes of this database.
    pub(super) size: i64,
    /// The run that was started last.
    pub(super) newest: Uuid,
}

impl Counters {
    /// Reads them when all commits so far have been reported. There must be at least one run.
    pub(super) async fn read(engine: &Engine) -> Result<Self, Error> {
        tokio::time::sleep(COMMITS_ARE_REPORTED_AFTER).await;
        let query = format!(
            "SELECT (pg_current_wal_lsn() - '0/0')::bigint AS wal,
                (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS commits,
                pg_database_size(current_database()) AS size,
                (SELECT id FROM {schema}.run ORDER BY id DESC LIMIT 1) AS newest",
            schema = engine.schema_name()
        );
        let row = sqlx::query(AssertSqlSafe(query)).fetch_one(engine.pool()).await?;
        Ok(Self {
            wal: row.try_get("wal")?,
            commits: row.try_get("commits")?,
            size: row.try_get("size")?,
            newest: row.try_get("newest")?,
        })
    }
}

/// Runs that are due or in a worker's hands.
pub(super) async fn count_open(engine: &Engine) -> Result<u64, Error> {
    let query = format!("SELECT count(*) FROM {}.ready", engine.schema_name());
    let open: i64 = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(engine.pool()).await?;
    Ok(open.unsigned_abs())
}

/// Checks that `runs` runs after `newest` have completed, each with its steps.
pub(super) async fn check(engine: &Engine, newest: Uuid, runs: usize, steps_per_run: u32) -> Result<(), Error> {
    let query = format!(
        "SELECT count(*), (SELECT count(*) FROM {schema}.step WHERE run_id > $1 AND outcome = 1)
        FROM {schema}.run WHERE id > $1 AND status = 5",
        schema = engine.schema_name()
    );
    let (ended, steps): (i64, i64) = sqlx::query_as(AssertSqlSafe(query)).bind(newest).fetch_one(engine.pool()).await?;
    let steps_due = runs as i64 * i64::from(steps_per_run);
    if (ended, steps) == (runs as i64, steps_due) {
        return Ok(());
    }
    let message = format!("{ended} of {runs} runs are completed, with {steps} steps in place of {steps_due}");
    Err(Error::WrongState(message))
}

/// The settings of Postgres that matter here.
pub(super) async fn read_settings(pool: &PgPool) -> Result<Map<String, Value>, Error> {
    let query = "SELECT name, setting || coalesce(unit, '') FROM pg_settings WHERE name IN ('server_version', 'fsync',
        'synchronous_commit', 'full_page_writes', 'wal_compression', 'shared_buffers', 'max_wal_size', 'wal_level')";
    let rows: Vec<(String, String)> = sqlx::query_as(query).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|(name, value)| (name, value.into())).collect())
}

/// The largest resident size of this process so far, from the kernel's account of it; 0 where it gives none.
pub(super) fn read_peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1024.0
}
