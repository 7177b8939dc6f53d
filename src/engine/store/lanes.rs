//! Workers and their lanes: registration, heartbeat, takeover, release.
//!
//! A lane is a worker's flushing connection. Its row is lease, heartbeat and fence in one: every flush and claim updates it
//! `WHERE alive`, so there is no heartbeat per run, and a worker that was declared dead writes nothing at all.

use std::time::Duration;

use sqlx::PgConnection;

use super::schema::Schema;
use crate::engine::error::Error;

/// A workflow's version, as it is registered.
#[derive(Debug)]
pub(crate) struct Registration<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: i32,
    pub(crate) secret_fields: Vec<String>,
    pub(crate) internal: bool,
    pub(crate) public_signals: Vec<&'a str>,
}

/// Registers a workflow's version and gives its id. Safe side by side.
///
/// Secret fields are added to those of all its versions, and never taken away: while an old and a new process run beside each
/// other, whichever registers last must not show what the other hides.
pub(crate) async fn register_workflow(
    schema: &Schema,
    conn: &mut PgConnection,
    what: &Registration<'_>,
) -> Result<i32, Error> {
    let Registration { name, version, secret_fields, internal, public_signals } = what;
    let insert = "INSERT INTO {schema}.workflow AS w (name, version, secret_fields, internal, public_signals)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (name, version) DO UPDATE SET internal = excluded.internal, public_signals = excluded.public_signals
        WHERE (w.internal, w.public_signals) <> (excluded.internal, excluded.public_signals)";
    sqlx::query(schema.sql(insert))
        .bind(name)
        .bind(version)
        .bind(secret_fields)
        .bind(internal)
        .bind(public_signals)
        .execute(&mut *conn)
        .await?;
    let hide = "UPDATE {schema}.workflow w SET secret_fields = known.fields
        FROM (SELECT array_agg(DISTINCT field ORDER BY field) AS fields
            FROM {schema}.workflow v, unnest(v.secret_fields || $2::text[]) field WHERE v.name = $1) known
        WHERE name = $1 AND NOT secret_fields @> known.fields";
    sqlx::query(schema.sql(hide)).bind(name).bind(secret_fields).execute(&mut *conn).await?;
    let select = "SELECT id FROM {schema}.workflow WHERE name = $1 AND version = $2";
    Ok(sqlx::query_scalar(schema.sql(select)).bind(name).bind(version).fetch_one(conn).await?)
}

/// A worker process, as people see it.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) queues: Vec<String>,
    pub(crate) workflows: Vec<i32>,
    pub(crate) slots: i32,
}

/// Registers a worker process and gives its id.
pub(crate) async fn register_worker(schema: &Schema, conn: &mut PgConnection, worker: &Worker) -> Result<i32, Error> {
    let query = "INSERT INTO {schema}.worker (name, queues, workflows, slots) VALUES ($1, $2, $3, $4) RETURNING id";
    let Worker { name, queues, workflows, slots } = worker;
    Ok(sqlx::query_scalar(schema.sql(query))
        .bind(name)
        .bind(queues)
        .bind(workflows)
        .bind(slots)
        .fetch_one(conn)
        .await?)
}

/// Puts a worker's row back where it is gone: one that was cut off for days has been swept away with its lanes.
async fn register_again(schema: &Schema, conn: &mut PgConnection, id: i32, worker: &Worker) -> Result<(), Error> {
    let query = "INSERT INTO {schema}.worker (id, name, queues, workflows, slots) OVERRIDING SYSTEM VALUE
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING";
    let Worker { name, queues, workflows, slots } = worker;
    sqlx::query(schema.sql(query)).bind(id).bind(name).bind(queues).bind(workflows).bind(slots).execute(conn).await?;
    Ok(())
}

/// Opens a lane of a worker and gives its id.
pub(crate) async fn open(schema: &Schema, conn: &mut PgConnection, id: i32, worker: &Worker) -> Result<i32, Error> {
    register_again(schema, conn, id, worker).await?;
    let query = "INSERT INTO {schema}.lane (worker_id) VALUES ($1) RETURNING id";
    Ok(sqlx::query_scalar(schema.sql(query)).bind(id).fetch_one(conn).await?)
}

/// Says that the lane is alive.
///
/// # Errors
/// `LeaseLost` when it has been declared dead.
pub(crate) async fn beat(schema: &Schema, conn: &mut PgConnection, lane: i32) -> Result<(), Error> {
    let query = "UPDATE {schema}.lane SET beat = clock_timestamp() WHERE id = $1 AND alive";
    let beaten = sqlx::query(schema.sql(query)).bind(lane).execute(conn).await?.rows_affected();
    if beaten == 1 { Ok(()) } else { Err(Error::LeaseLost) }
}

/// What a takeover did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Takeover {
    /// Lanes declared dead.
    pub(crate) lanes: i64,
    /// Runs that are due again.
    pub(crate) runs: i64,
}

/// Declares lanes dead that have not been heard of for `after`, and makes their runs due again.
pub(crate) async fn take_over(schema: &Schema, conn: &mut PgConnection, after: Duration) -> Result<Takeover, Error> {
    let millis = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    let (lanes, runs) =
        sqlx::query_as(schema.sql(include_str!("sql/takeover.sql"))).bind(millis).fetch_one(conn).await?;
    Ok(Takeover { lanes, runs })
}

/// Ends a lane in good order and gives back what it still holds.
pub(crate) async fn release(schema: &Schema, conn: &mut PgConnection, lane: i32) -> Result<u64, Error> {
    Ok(sqlx::query(schema.sql(include_str!("sql/release_lane.sql"))).bind(lane).execute(conn).await?.rows_affected())
}

/// How often a run is handed on before it is stuck: with the waits between about five minutes.
const HANDED_ON_AT_MOST: i16 = 10;

/// Hands a run on to another worker, if there is one that has its workflow. False: there is none, or all have tried.
pub(crate) async fn hand_on(
    schema: &Schema,
    conn: &mut PgConnection,
    run: crate::engine::core::model::RunId,
    (lane, worker): (i32, i32),
) -> Result<bool, Error> {
    let handed_on = sqlx::query(schema.sql(include_str!("sql/hand_on.sql")))
        .bind(run)
        .bind(lane)
        .bind(worker)
        .bind(HANDED_ON_AT_MOST)
        .execute(conn)
        .await?;
    Ok(handed_on.rows_affected() > 0)
}

/// Gives back suspects that can't be begun beside what the worker holds: see `core::poison`. Others come first.
pub(crate) async fn set_suspects_aside(
    schema: &Schema,
    conn: &mut PgConnection,
    lane: i32,
    runs: &[crate::engine::core::model::RunId],
) -> Result<(), Error> {
    let query = "UPDATE {schema}.ready SET lane = NULL, due_at = {schema}.now() + interval '1 second'
        WHERE lane = $1 AND run_id = ANY ($2)";
    sqlx::query(schema.sql(query)).bind(lane).bind(runs).execute(conn).await?;
    Ok(())
}

/// Gives back the runs that the table says the lane holds and its worker does not know of: a claim whose answer was lost.
pub(crate) async fn give_back_unknown(
    schema: &Schema,
    conn: &mut PgConnection,
    lane: i32,
    known: &[crate::engine::core::model::RunId],
) -> Result<u64, Error> {
    let query = "UPDATE {schema}.ready SET lane = NULL, fresh = false WHERE lane = $1 AND run_id <> ALL ($2)";
    Ok(sqlx::query(schema.sql(query)).bind(lane).bind(known).execute(conn).await?.rows_affected())
}
