//! Workers and their lanes: registration, heartbeat, takeover, release.
//!
//! A lane is a worker's flushing connection. Its row is lease, heartbeat and fence in one: every flush and claim updates it
//! `WHERE alive`, so there is no heartbeat per run, and a worker that was declared dead writes nothing at all.
//!
//! A database that is restored from a backup issues its ids again, and knows lanes as they were. So a lane has a token that
//! nobody else can get, and one that connects again must find the heartbeat that it sent last.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{migrate, schema::Schema};
use crate::engine::{
    core::model::{Direction, RunId, Time},
    error::Error,
};

/// What a worker shows to write as a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// The lane's id.
    pub(crate) lane: i32,
    pub(crate) token: Uuid,
}

/// A workflow's version, as it is registered.
#[derive(Debug)]
pub(crate) struct Registration<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: i32,
    pub(crate) secret_fields: Vec<String>,
    pub(crate) internal: bool,
    pub(crate) public_signals: Vec<&'a str>,
    /// The JSON schema of its input, for servers without its code.
    pub(crate) input: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) deadline_ms: Option<i64>,
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
    let Registration { name, version, secret_fields, internal, public_signals, input, output, deadline_ms } = what;
    let insert = "INSERT INTO {schema}.workflow AS w
            (name, version, secret_fields, internal, public_signals, input, output, deadline_ms)
        VALUES ($1, $2, $3, $4, $5, $6::json, $7::json, $8)
        ON CONFLICT (name, version) DO UPDATE SET internal = excluded.internal, public_signals = excluded.public_signals,
            input = excluded.input, output = excluded.output, deadline_ms = excluded.deadline_ms
        WHERE (w.internal, w.public_signals, w.input::text, w.output::text, w.deadline_ms) IS DISTINCT FROM
            (excluded.internal, excluded.public_signals, excluded.input::text, excluded.output::text, excluded.deadline_ms)";
    let insert = sqlx::query(schema.sql(insert)).bind(name).bind(version).bind(secret_fields).bind(internal);
    let insert = insert.bind(public_signals).bind(input).bind(output).bind(deadline_ms);
    insert.execute(&mut *conn).await?;
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
    let query = "INSERT INTO {schema}.worker (name, queues, workflows, slots, release)
        VALUES ($1, $2, $3, $4, $5) RETURNING id";
    let Worker { name, queues, workflows, slots } = worker;
    Ok(sqlx::query_scalar(schema.sql(query))
        .bind(name)
        .bind(queues)
        .bind(workflows)
        .bind(slots)
        .bind(migrate::release())
        .fetch_one(conn)
        .await?)
}

/// Puts a worker's row back where it is gone: one that was cut off for days has been swept away with its lanes. Gives its id,
/// which is another one where a restored database has issued it again.
async fn register_again(schema: &Schema, conn: &mut PgConnection, id: i32, worker: &Worker) -> Result<i32, Error> {
    let query = "INSERT INTO {schema}.worker (id, name, queues, workflows, slots, release) OVERRIDING SYSTEM VALUE
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING";
    let Worker { name, queues, workflows, slots } = worker;
    let query = sqlx::query(schema.sql(query)).bind(id).bind(name).bind(queues).bind(workflows).bind(slots);
    query.bind(migrate::release()).execute(&mut *conn).await?;
    let query = "SELECT name = $2 FROM {schema}.worker WHERE id = $1";
    let its_own: Option<bool> =
        sqlx::query_scalar(schema.sql(query)).bind(id).bind(name).fetch_optional(&mut *conn).await?;
    if its_own == Some(true) { Ok(id) } else { register_worker(schema, conn, worker).await }
}

/// Opens a lane of a worker. Gives the worker's id too.
pub(crate) async fn open(
    schema: &Schema,
    conn: &mut PgConnection,
    id: i32,
    worker: &Worker,
) -> Result<(i32, Lease), Error> {
    let id = register_again(schema, conn, id, worker).await?;
    let token = Uuid::new_v4();
    let query = "INSERT INTO {schema}.lane (worker_id, token) VALUES ($1, $2) RETURNING id";
    let lane = sqlx::query_scalar(schema.sql(query)).bind(id).bind(token).fetch_one(conn).await?;
    Ok((id, Lease { lane, token }))
}

/// A step or an undo by its key.
pub(crate) type StepKey = (RunId, u32, Direction);

/// Says that the lane is alive, and gives the time of that.
///
/// # Errors
/// `LeaseLost` when it has been declared dead.
pub(crate) async fn beat(schema: &Schema, conn: &mut PgConnection, lease: Lease) -> Result<Time, Error> {
    let query =
        "UPDATE {schema}.lane SET beat = clock_timestamp() WHERE id = $1 AND token = $2 AND alive RETURNING beat";
    let query = sqlx::query_scalar(schema.sql(query)).bind(lease.lane).bind(lease.token);
    query.fetch_optional(conn).await?.ok_or(Error::LeaseLost)
}

/// The same on a new connection. `last` and `steps`: when the lane was heard last, as far as it knows, and which of its steps
/// have committed since; a database that has not heard of them comes from a backup, or is a standby that was behind.
///
/// # Errors
/// `LeaseLost` when it has been declared dead, or the database has forgotten what it had acknowledged.
pub(crate) async fn beat_again(
    schema: &Schema,
    conn: &mut PgConnection,
    lease: Lease,
    (last, steps): (Option<Time>, Vec<StepKey>),
) -> Result<Time, Error> {
    let query = sqlx::query_scalar(schema.sql(include_str!("sql/beat_again.sql")))
        .bind(lease.lane)
        .bind(lease.token)
        .bind(last)
        .bind(steps.iter().map(|(run, ..)| *run).collect::<Vec<_>>())
        .bind(steps.iter().map(|(_, seq, _)| *seq as i32).collect::<Vec<_>>())
        .bind(steps.iter().map(|(.., direction)| direction.code()).collect::<Vec<_>>());
    query.fetch_optional(conn).await?.ok_or(Error::LeaseLost)
}

/// What a takeover did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Takeover {
    /// Lanes declared dead.
    pub(crate) lanes: i64,
    /// Runs that are due again.
    pub(crate) runs: i64,
}

/// Declares lanes dead that have not been heard of for `after`, and makes their runs due again. None: only those of lanes
/// that are dead already.
pub(crate) async fn take_over(
    schema: &Schema,
    conn: &mut PgConnection,
    after: Option<Duration>,
) -> Result<Takeover, Error> {
    let millis = after.map(|after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
    let (lanes, runs) =
        sqlx::query_as(schema.sql(include_str!("sql/takeover.sql"))).bind(millis).fetch_one(conn).await?;
    Ok(Takeover { lanes, runs })
}

/// Ends a lane in good order and gives back what it still holds.
pub(crate) async fn release(schema: &Schema, conn: &mut PgConnection, lease: Lease) -> Result<u64, Error> {
    let query = sqlx::query(schema.sql(include_str!("sql/release_lane.sql"))).bind(lease.lane).bind(lease.token);
    Ok(query.execute(conn).await?.rows_affected())
}

/// Whether any lane is alive.
pub(crate) async fn any_alive(schema: &Schema, conn: &mut PgConnection) -> Result<bool, Error> {
    let query = "SELECT EXISTS (SELECT FROM {schema}.lane WHERE alive)";
    Ok(sqlx::query_scalar(schema.sql(query)).fetch_one(conn).await?)
}

/// How often a run is handed on before it is stuck: with the waits between about five minutes.
const HANDED_ON_AT_MOST: i16 = 10;

/// Hands a run on to another worker, if there is one that has its workflow. False: there is none, or all have tried.
pub(crate) async fn hand_on(
    schema: &Schema,
    conn: &mut PgConnection,
    run: RunId,
    lease: Lease,
    worker: i32,
) -> Result<bool, Error> {
    let handed_on = sqlx::query(schema.sql(include_str!("sql/hand_on.sql")))
        .bind(run)
        .bind(lease.lane)
        .bind(worker)
        .bind(HANDED_ON_AT_MOST)
        .bind(lease.token)
        .execute(conn)
        .await?;
    Ok(handed_on.rows_affected() > 0)
}

/// Gives back suspects that can't be begun beside what the worker holds: see `core::poison`. Others come first.
pub(crate) async fn set_suspects_aside(
    schema: &Schema,
    conn: &mut PgConnection,
    lease: Lease,
    runs: &[RunId],
) -> Result<(), Error> {
    sqlx::query(schema.sql(include_str!("sql/set_suspects_aside.sql")))
        .bind(lease.lane)
        .bind(runs)
        .bind(lease.token)
        .execute(conn)
        .await?;
    Ok(())
}

/// Gives back the runs that the table says the lane holds and its worker does not know of: a claim whose answer was lost.
pub(crate) async fn give_back_unknown(
    schema: &Schema,
    conn: &mut PgConnection,
    lease: Lease,
    known: &[RunId],
) -> Result<u64, Error> {
    let query = sqlx::query(schema.sql(include_str!("sql/give_back_unknown.sql")));
    let query = query.bind(lease.lane).bind(known).bind(lease.token);
    Ok(query.execute(conn).await?.rows_affected())
}

/// Why a run is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// For any worker, at once.
    ForAnother,
    /// Its decisions panicked here.
    Panicked,
}

/// Gives one run back, due at once for any worker: what a drain does between two steps, and what is done where the
/// fate of a commit is open. It waits for a step's commit that its client has given up but the server has not: nobody can claim
/// the run before that is over.
pub(crate) async fn release_run(
    schema: &Schema,
    conn: &mut PgConnection,
    lease: Lease,
    run: RunId,
    why: Release,
) -> Result<(), Error> {
    let query = match why {
        Release::ForAnother => include_str!("sql/release_run.sql"),
        Release::Panicked => include_str!("sql/release_panicked.sql"),
    };
    sqlx::query(schema.sql(query)).bind(lease.lane).bind(run).bind(lease.token).execute(conn).await?;
    Ok(())
}
