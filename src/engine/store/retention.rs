//! Partitions made ahead, and what goes when it has been kept long enough.
//!
//! A run goes when it has ended, long enough ago, and nothing of it is open: no attention, no request that made it due again. A
//! week that is old enough is dropped whole, after the few runs of it that stay were put aside into the default partition, in
//! the same commit. Where many stay, and for runs elsewhere, rows are deleted in batches. Names of tables come from the
//! catalogue, never from callers.

use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

use super::{
    schema::Schema,
    statistics,
    transaction::{Transaction, acquire, begin},
};
use crate::engine::{
    core::model::Time,
    error::Error,
    read_models::{PartitionCount, Retention},
};

/// Weeks whose partitions are made ahead.
const AHEAD: i32 = 4;
/// How long a statement that locks a table waits. Those who start and work wait behind it, so: less than anybody notices.
/// It is also less than `deadlock_timeout`, so that in a deadlock this gives up and nobody else does.
const LOCK_WITHIN: &str = "500ms";
/// Runs that are carried over when a partition is dropped; with more, their week's others are deleted row by row.
const CARRIED_AT_MOST: i64 = 5_000;
/// Runs deleted in one commit.
const BATCH: i64 = 1_000;
/// How long the audit is kept.
const AUDIT_DAYS: i32 = 365;

/// The runs of a table `r` that stay, given the default retention in seconds as $1.
const STAYS: &str = "(r.status < 5 OR r.finished_at IS NULL
    OR r.finished_at >= {schema}.now() - make_interval(secs => coalesce(
        (SELECT k.keep_s FROM {schema}.retention k JOIN {schema}.workflow w ON w.name = k.workflow
            WHERE w.id = r.workflow_id), $1)::float8)
    OR EXISTS (SELECT FROM {schema}.attention a WHERE a.run_id = r.id)
    OR EXISTS (SELECT FROM {schema}.ready q WHERE q.run_id = r.id)
    OR EXISTS (SELECT FROM {schema}.timer t WHERE t.run_id = r.id))";

/// Begins a turn: false where another server is at it.
async fn begin_turn(schema: &Schema, conn: &mut PgConnection) -> Result<bool, Error> {
    // One server at a time.
    let query = "SELECT pg_try_advisory_xact_lock(hashtextextended('{schema} retention', 0)),
        set_config('lock_timeout', $1, true)";
    let (alone, _): (bool, String) = sqlx::query_as(schema.sql(query)).bind(LOCK_WITHIN).fetch_one(conn).await?;
    Ok(alone)
}

/// Ends a turn in which there was nothing to do, before the next begins: a transaction that is only dropped is rolled back a
/// moment later, and holds the turn's lock until then.
async fn end_turn(tx: Transaction) -> Result<bool, Error> {
    tx.rollback().await?;
    Ok(false)
}

/// Whether the statement only gave up waiting for a lock: it is tried again in a later turn.
fn gave_up(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03" || code == "40P01")
}

/// Makes the next partition that is lacking; false where none is.
pub(crate) async fn make_partition(schema: &Schema, pool: &PgPool) -> Result<bool, Error> {
    let mut tx = begin(pool).await?;
    if !begin_turn(schema, &mut tx).await? {
        return Ok(false);
    }
    match sqlx::query_scalar(schema.sql("SELECT {schema}.make_partition($1)")).bind(AHEAD).fetch_one(&mut *tx).await {
        Ok(made) => {
            tx.commit().await?;
            Ok(made)
        }
        Err(error) if gave_up(&error) => end_turn(tx).await,
        Err(error) => Err(error.into()),
    }
}

/// A partition of `run` and the one of `step` with the same bounds.
#[derive(Debug, sqlx::FromRow)]
struct Partition {
    name: String,
    /// All of its runs are older than the shortest retention that covers a whole week: the default.
    is_old: bool,
}

/// The partitions, oldest first, the default one last.
async fn list_partitions(schema: &Schema, conn: &mut PgConnection, default_s: i64) -> Result<Vec<Partition>, Error> {
    let query = "SELECT substr(c.relname, 5) AS name, coalesce(
            (substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''([0-9a-f-]+)''\\)'))::uuid
                <= {schema}.id_at({schema}.now() - make_interval(secs => $1::float8)), false) AS is_old
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = '{schema}.run'::regclass
        ORDER BY c.relname = 'run_default', c.relname <> 'run_before', c.relname";
    Ok(sqlx::query_as(schema.sql(query)).bind(default_s).fetch_all(conn).await?)
}

/// How many runs of each partition would go and stay.
pub(crate) async fn count_rows(
    schema: &Schema,
    conn: &mut PgConnection,
    default_s: i64,
) -> Result<Vec<PartitionCount>, Error> {
    let stays = schema.text(STAYS);
    let mut seen = Vec::new();
    for Partition { name, is_old } in list_partitions(schema, conn, default_s).await? {
        let sql = format!(
            "SELECT count(*) FILTER (WHERE NOT {stays}), count(*) FILTER (WHERE {stays}) FROM {schema}.\"run_{name}\" r"
        );
        let (go, stay) = sqlx::query_as(AssertSqlSafe(sql)).bind(default_s).fetch_one(&mut *conn).await?;
        seen.push(PartitionCount { name, go, stay, is_old });
    }
    Ok(seen)
}

/// Does one piece of what is to be done; false where nothing is.
pub(crate) async fn sweep(schema: &Schema, pool: &PgPool, default_s: i64) -> Result<bool, Error> {
    if finish(schema, pool, default_s).await? {
        return Ok(true);
    }
    let all = list_partitions(schema, &mut *acquire(pool).await?, default_s).await?;
    for old in all.iter().filter(|partition| partition.is_old) {
        if drop_partition(schema, pool, &old.name, default_s).await?
            || delete_from(schema, pool, &old.name, "true", default_s).await?
        {
            return Ok(true);
        }
    }
    if delete_from(schema, pool, "default", "true", default_s).await? {
        return Ok(true);
    }
    // Workflows that are kept for less than the others: their runs go before their week does.
    let shorter = schema.text(
        "r.workflow_id IN (SELECT w.id FROM {schema}.workflow w JOIN {schema}.retention k ON k.workflow = w.name
        WHERE k.keep_s < $1)",
    );
    if sqlx::query_scalar(schema.sql("SELECT EXISTS (SELECT FROM {schema}.retention WHERE keep_s < $1)"))
        .bind(default_s)
        .fetch_one(&mut *acquire(pool).await?)
        .await?
    {
        for partition in &all {
            if delete_from(schema, pool, &partition.name, &shorter, default_s).await? {
                return Ok(true);
            }
        }
    }
    if sweep_leftovers(schema, pool, default_s).await? {
        return Ok(true);
    }
    statistics::analyze_whole(schema, &mut *acquire(pool).await?).await?;
    Ok(false)
}

/// Drops a week whose runs have been kept long enough. False: too many of it stay, or somebody was in the way.
async fn drop_partition(schema: &Schema, pool: &PgPool, name: &str, default_s: i64) -> Result<bool, Error> {
    let stays = schema.text(STAYS);
    let mut conn = acquire(pool).await?;
    let began: Time = sqlx::query_scalar(schema.sql("SELECT {schema}.now()")).fetch_one(&mut *conn).await?;
    let query = format!("SELECT r.id FROM {schema}.\"run_{name}\" r WHERE {stays} LIMIT $2");
    let stays: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(query))
        .bind(default_s)
        .bind(CARRIED_AT_MOST + 1)
        .fetch_all(&mut *conn)
        .await?;
    drop(conn);
    if stays.len() as i64 > CARRIED_AT_MOST {
        return Ok(false);
    }
    let mut tx = begin(pool).await?;
    if !begin_turn(schema, &mut tx).await? {
        return Ok(false);
    }
    match detach(schema, &mut tx, name, &stays, began).await {
        Ok(()) => tx.commit().await?,
        Err(error) if gave_up(&error) => return end_turn(tx).await,
        Err(error) => return Err(error.into()),
    }
    finish(schema, pool, default_s).await
}

/// The part that holds up others: milliseconds, because what stays was looked for before. What has come to it since then is
/// due or parked, or an operator has acted on it. What has come *and ended* since then is found by [`finish`].
async fn detach(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    stays: &[Uuid],
    began: Time,
) -> Result<(), sqlx::Error> {
    // In the order of a flush.
    sqlx::query(schema.sql("LOCK TABLE ONLY {schema}.step, ONLY {schema}.run IN ACCESS EXCLUSIVE MODE"))
        .execute(&mut *conn)
        .await?;
    let late = format!(
        "WITH ends AS (SELECT (SELECT id FROM {schema}.\"run_{name}\" ORDER BY id LIMIT 1) AS first,
            (SELECT id FROM {schema}.\"run_{name}\" ORDER BY id DESC LIMIT 1) AS last)
        SELECT r.id FROM {schema}.\"run_{name}\" r WHERE NOT r.id = ANY ($2) AND r.id = ANY (ARRAY(
            SELECT q.run_id FROM ends, {schema}.ready q WHERE q.run_id BETWEEN ends.first AND ends.last
            UNION ALL SELECT t.run_id FROM ends, {schema}.timer t WHERE t.run_id BETWEEN ends.first AND ends.last
            UNION ALL SELECT a.run_id FROM {schema}.audit a WHERE a.at >= $1 AND a.run_id IS NOT NULL))"
    );
    let late: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(late)).bind(began).bind(stays).fetch_all(&mut *conn).await?;
    let stays = [stays, &late].concat();
    for table in ["step", "run"] {
        let detach = format!("ALTER TABLE {schema}.{table} DETACH PARTITION {schema}.\"{table}_{name}\"");
        sqlx::query(AssertSqlSafe(detach)).execute(&mut *conn).await?;
    }
    carry_over(schema, conn, name, &stays).await
}

/// Puts runs of a week that is detached where nothing else covers their ids: into the default partition.
async fn carry_over(schema: &Schema, conn: &mut PgConnection, name: &str, runs: &[Uuid]) -> Result<(), sqlx::Error> {
    for (table, key) in [("run", "id"), ("step", "run_id")] {
        let carry = format!(
            "WITH carried AS (DELETE FROM {schema}.\"{table}_{name}\" WHERE {key} = ANY ($1) RETURNING *)
            INSERT INTO {schema}.{table} SELECT * FROM carried"
        );
        sqlx::query(AssertSqlSafe(carry)).bind(runs).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Drops what was detached, in this turn or by a server that died of it: nobody reaches those tables now, so they can be
/// looked through without a lock. False where there is none.
async fn finish(schema: &Schema, pool: &PgPool, default_s: i64) -> Result<bool, Error> {
    let stays = schema.text(STAYS);
    let mut tx = begin(pool).await?;
    if !begin_turn(schema, &mut tx).await? {
        return Ok(false);
    }
    let Some(name) = find_detached(schema, &mut tx).await? else { return end_turn(tx).await };
    let query = format!("SELECT r.id FROM {schema}.\"run_{name}\" r WHERE {stays}");
    let stays: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(query)).bind(default_s).fetch_all(&mut *tx).await?;
    carry_over(schema, &mut tx, &name, &stays).await?;
    forget_keys(schema, &mut tx, &name).await?;
    let gone = format!("DROP TABLE {schema}.\"step_{name}\", {schema}.\"run_{name}\"");
    sqlx::query(AssertSqlSafe(gone)).execute(&mut *tx).await?;
    tx.commit().await?;
    tracing::info!(week = name, "dropped a week of runs");
    Ok(true)
}

/// A week that was detached and has not been dropped yet.
async fn find_detached(schema: &Schema, conn: &mut PgConnection) -> Result<Option<String>, Error> {
    let query = "SELECT substr(c.relname, 5) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = '{schema}' AND c.relkind = 'r' AND NOT c.relispartition
          AND c.relname ~ '^run_([0-9]{4}_[0-9]{2}_[0-9]{2}|before)$' LIMIT 1";
    Ok(sqlx::query_scalar(schema.sql(query)).fetch_optional(conn).await?)
}

/// Frees the keys of a detached week's runs: of those that are left in it, for what stays has been carried over.
async fn forget_keys(schema: &Schema, conn: &mut PgConnection, name: &str) -> Result<(), Error> {
    let forget = format!(
        "DELETE FROM {schema}.run_key k USING {schema}.\"run_{name}\" r JOIN {schema}.workflow w ON w.id = r.workflow_id
        WHERE k.workflow = w.name AND k.key = r.key AND k.run_id = r.id"
    );
    sqlx::query(AssertSqlSafe(forget)).execute(conn).await?;
    Ok(())
}

/// Deletes a batch of what goes from one partition; false where nothing does.
async fn delete_from(schema: &Schema, pool: &PgPool, name: &str, which: &str, default_s: i64) -> Result<bool, Error> {
    let stays = schema.text(STAYS);
    let mut tx = begin(pool).await?;
    if !begin_turn(schema, &mut tx).await? {
        return Ok(false);
    }
    // The row's lock is what an operator's verb takes first. What it has made of a run before that is seen by the second look.
    let table = format!("{schema}.\"run_{name}\" r");
    let lock = format!("SELECT r.id FROM {table} WHERE {which} AND NOT {stays} LIMIT $2 FOR UPDATE OF r SKIP LOCKED");
    let locked: Vec<Uuid> =
        sqlx::query_scalar(AssertSqlSafe(lock)).bind(default_s).bind(BATCH).fetch_all(&mut *tx).await?;
    let goes = format!("SELECT r.id FROM {table} WHERE r.id = ANY ($2) AND NOT {stays}");
    let goes: Vec<Uuid> =
        sqlx::query_scalar(AssertSqlSafe(goes)).bind(default_s).bind(&locked).fetch_all(&mut *tx).await?;
    if goes.is_empty() {
        return end_turn(tx).await;
    }
    forget_keys_of(schema, &mut tx, &goes).await?;
    for table in ["step", "signal", "compensation", "unhealthy", "paused"] {
        let delete = format!("DELETE FROM {schema}.{table} WHERE run_id = ANY ($1)");
        sqlx::query(AssertSqlSafe(delete)).bind(&goes).execute(&mut *tx).await?;
    }
    sqlx::query(schema.sql("DELETE FROM {schema}.run WHERE id = ANY ($1)")).bind(&goes).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(true)
}

async fn forget_keys_of(schema: &Schema, conn: &mut PgConnection, runs: &[Uuid]) -> Result<(), Error> {
    let query = "DELETE FROM {schema}.run_key k USING {schema}.run r JOIN {schema}.workflow w ON w.id = r.workflow_id
        WHERE r.id = ANY ($1) AND k.workflow = w.name AND k.key = r.key AND k.run_id = r.id";
    sqlx::query(schema.sql(query)).bind(runs).execute(conn).await?;
    Ok(())
}

/// What went with runs that are gone, what was done long ago, and who has not been heard of for a day.
async fn sweep_leftovers(schema: &Schema, pool: &PgPool, default_s: i64) -> Result<bool, Error> {
    let mut tx = begin(pool).await?;
    if !begin_turn(schema, &mut tx).await? {
        return Ok(false);
    }
    // Runs that are to be carried over out of it are nowhere just now, and what belongs to them is no leftover.
    if find_detached(schema, &mut tx).await?.is_some() {
        tx.rollback().await?;
        return Ok(true);
    }
    let mut gone = 0;
    for table in ["signal", "compensation", "unhealthy", "paused"] {
        // Only ids of an age at which runs go: those of today's are never looked at.
        let sweep = format!(
            "DELETE FROM {schema}.{table} WHERE ctid = ANY (ARRAY(SELECT x.ctid FROM {schema}.{table} x
            WHERE x.run_id < {schema}.id_at({schema}.now() - make_interval(secs => least($1, coalesce(
                    (SELECT min(keep_s) FROM {schema}.retention), $1))::float8))
              AND NOT EXISTS (SELECT FROM {schema}.run r WHERE r.id = x.run_id) LIMIT $2))"
        );
        let done = sqlx::query(AssertSqlSafe(sweep)).bind(default_s).bind(BATCH).execute(&mut *tx).await?;
        gone += done.rows_affected();
    }
    let audit = "DELETE FROM {schema}.audit WHERE id = ANY (ARRAY(SELECT id FROM {schema}.audit
        WHERE at < {schema}.now() - make_interval(days => $1) LIMIT $2))";
    gone += sqlx::query(schema.sql(audit)).bind(AUDIT_DAYS).bind(BATCH).execute(&mut *tx).await?.rows_affected();
    let slots = "DELETE FROM {schema}.schedule_slot WHERE ctid = ANY (ARRAY(SELECT ctid FROM {schema}.schedule_slot
        WHERE outcome <> 'queued' AND at < {schema}.now() - make_interval(secs => $1::float8) LIMIT $2))";
    gone += sqlx::query(schema.sql(slots)).bind(default_s).bind(BATCH).execute(&mut *tx).await?.rows_affected();
    let operations = include_str!("sql/sweep_operations.sql");
    gone += sqlx::query(schema.sql(operations)).bind(default_s).execute(&mut *tx).await?.rows_affected();
    let lanes = "DELETE FROM {schema}.lane l WHERE NOT l.alive AND l.beat < clock_timestamp() - interval '1 day'
        AND NOT EXISTS (SELECT FROM {schema}.ready q WHERE q.lane = l.id)";
    gone += sqlx::query(schema.sql(lanes)).execute(&mut *tx).await?.rows_affected();
    let workers = "DELETE FROM {schema}.worker w WHERE w.started_at < clock_timestamp() - interval '1 day'
        AND NOT EXISTS (SELECT FROM {schema}.lane l WHERE l.worker_id = w.id)";
    gone += sqlx::query(schema.sql(workers)).execute(&mut *tx).await?.rows_affected();
    tx.commit().await?;
    Ok(gone > 0)
}

/// How long workflows are kept that have a retention of their own.
pub(crate) async fn list(schema: &Schema, conn: &mut PgConnection) -> Result<Vec<Retention>, Error> {
    let query = "SELECT workflow, keep_s, updated_at FROM {schema}.retention ORDER BY workflow";
    let rows: Vec<(String, i64, Time)> = sqlx::query_as(schema.sql(query)).fetch_all(conn).await?;
    let set = |(workflow, keep_s, at)| Retention { workflow: Some(workflow), keep_s, updated_at: Some(at) };
    Ok(rows.into_iter().map(set).collect())
}

/// Sets how long a workflow's ended runs are kept; none: as long as all others.
pub(crate) async fn set(
    schema: &Schema,
    conn: &mut PgConnection,
    workflow: &str,
    keep_s: Option<i64>,
) -> Result<(), Error> {
    let query = match keep_s {
        Some(_) => {
            "INSERT INTO {schema}.retention (workflow, keep_s, updated_at) VALUES ($1, $2, {schema}.now())
            ON CONFLICT (workflow) DO UPDATE SET keep_s = excluded.keep_s, updated_at = excluded.updated_at"
        }
        None => "DELETE FROM {schema}.retention WHERE workflow = $1 AND $2::bigint IS NULL",
    };
    sqlx::query(schema.sql(query)).bind(workflow).bind(keep_s).execute(conn).await?;
    Ok(())
}
