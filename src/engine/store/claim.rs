//! Claiming due runs, and loading what is on record of them.

use std::sync::Arc;

use futures_util::TryStreamExt;
use sqlx::{PgConnection, Row};

use super::lanes::Lease;
use super::rows::{parse_json, read_step, step_columns};
use super::schema::Schema;
use crate::engine::{
    core::{
        decision::Snapshot,
        ids::RunMap,
        model::{Request, RunId, Signal, Status, Step, Time},
    },
    error::Error,
};

/// A run that a lane has taken.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) workflow_id: i32,
    /// It has been advanced before: its steps (and signals) must be loaded.
    pub(crate) has_history: bool,
    pub(crate) started_at: Option<Time>,
    pub(crate) due_at: Time,
    pub(crate) traceparent: Option<String>,
    pub(crate) now: Time,
    pub(crate) snapshot: Snapshot,
}

/// Takes up to `limit` due runs of the given (queue, workflow id) pairs for a lane. None when the lane is dead.
pub(crate) async fn claim(
    schema: &Schema,
    conn: &mut PgConnection,
    lease: Lease,
    served: &[(String, i32)],
    limit: i64,
) -> Result<Vec<Claimed>, Error> {
    let rows = sqlx::query(schema.sql(include_str!("sql/claim.sql")))
        .bind(lease.lane)
        .bind(served.iter().map(|(queue, _)| queue.as_str()).collect::<Vec<_>>())
        .bind(served.iter().map(|(_, workflow)| *workflow).collect::<Vec<_>>())
        .bind(limit)
        .bind(lease.token)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| read_claimed(row).map_err(Error::from)).collect()
}

fn read_claimed(row: &sqlx::postgres::PgRow) -> Result<Claimed, sqlx::Error> {
    let fresh: bool = row.try_get("fresh")?;
    let failure: Option<String> = row.try_get("failure")?;
    let status = Status::from_code(row.try_get("status")?)
        .ok_or_else(|| sqlx::Error::Decode("run.status holds a number that means nothing".into()))?;
    let input = parse_json(row.try_get("input")?).ok_or_else(|| sqlx::Error::Decode("run.input is no JSON".into()))?;
    Ok(Claimed {
        workflow_id: row.try_get("workflow_id")?,
        has_history: !fresh,
        started_at: row.try_get("started_at")?,
        due_at: row.try_get("due_at")?,
        traceparent: row.try_get("traceparent")?,
        now: row.try_get("now")?,
        snapshot: Snapshot {
            run: row.try_get("run_id")?,
            created_at: row.try_get("created_at")?,
            queue: row.try_get::<String, _>("queue")?.into(),
            deadline_at: row.try_get("deadline_at")?,
            status,
            request: Request::from_code(row.try_get("request")?),
            inbox: row.try_get("inbox")?,
            takeovers: row.try_get("takeovers")?,
            input,
            failure: failure.and_then(|text| serde_json::from_str(&text).ok()),
            steps: Vec::new(),
            signals: Vec::new(),
        },
    })
}

/// The steps of runs, each in the order of their positions.
pub(crate) async fn load_steps(
    schema: &Schema,
    conn: &mut PgConnection,
    runs: &[RunId],
) -> Result<RunMap<Vec<Step>>, Error> {
    let query = concat!(
        "SELECT ",
        step_columns!(),
        " FROM {schema}.step WHERE run_id = ANY ($1) ORDER BY run_id, seq, direction"
    );
    // Read as they come: a second copy of hundreds of histories would be large.
    let mut rows = sqlx::query(schema.sql(query)).bind(runs).fetch(conn);
    let mut found: RunMap<Vec<Step>> = RunMap::default();
    while let Some(row) = rows.try_next().await? {
        found.entry(row.try_get("run_id")?).or_default().push(read_step(&row)?);
    }
    Ok(found)
}

/// The signals of runs that no step has taken, oldest first.
pub(crate) async fn load_signals(
    schema: &Schema,
    conn: &mut PgConnection,
    runs: &[RunId],
) -> Result<RunMap<Vec<Signal>>, Error> {
    let query = "SELECT run_id, id, name, payload::text AS payload FROM {schema}.signal
        WHERE run_id = ANY ($1) AND consumed_by IS NULL ORDER BY run_id, id";
    let mut rows = sqlx::query(schema.sql(query)).bind(runs).fetch(conn);
    let mut found: RunMap<Vec<Signal>> = RunMap::default();
    while let Some(row) = rows.try_next().await? {
        let name: Arc<str> = row.try_get::<String, _>("name")?.into();
        let signal = Signal { id: row.try_get("id")?, name, payload: parse_json(row.try_get("payload")?) };
        found.entry(row.try_get("run_id")?).or_default().push(signal);
    }
    Ok(found)
}

/// What a worker that holds a run looks up between two decisions.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) inbox: i32,
    pub(crate) request: Request,
    pub(crate) signals: Vec<Signal>,
}

/// The inboxes of runs. The counters are read first, so that none ever claims to cover a signal that was not read.
pub(crate) async fn load_inboxes(
    schema: &Schema,
    conn: &mut PgConnection,
    runs: &[RunId],
) -> Result<RunMap<Inbox>, Error> {
    let query = "SELECT id, inbox, request FROM {schema}.run WHERE id = ANY ($1)";
    let counted: Vec<(RunId, i32, i16)> = sqlx::query_as(schema.sql(query)).bind(runs).fetch_all(&mut *conn).await?;
    let filled: Vec<RunId> = counted.iter().filter(|(_, inbox, _)| *inbox > 0).map(|(run, ..)| *run).collect();
    let mut signals = if filled.is_empty() { RunMap::default() } else { load_signals(schema, conn, &filled).await? };
    let inbox = |(run, inbox, request)| {
        let signals = signals.remove(&run).unwrap_or_default();
        (run, Inbox { inbox, request: Request::from_code(request), signals })
    };
    Ok(counted.into_iter().map(inbox).collect())
}

/// The inbox of one run.
pub(crate) async fn load_inbox(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<Inbox, Error> {
    load_inboxes(schema, conn, &[run]).await?.remove(&run).ok_or(Error::UnknownRun(run))
}

/// The inbox counters of runs that a worker holds.
pub(crate) async fn load_inbox_sizes(
    schema: &Schema,
    conn: &mut PgConnection,
    runs: &[RunId],
) -> Result<Vec<(RunId, i32)>, Error> {
    let query = "SELECT id, inbox FROM {schema}.run WHERE id = ANY ($1)";
    Ok(sqlx::query_as(schema.sql(query)).bind(runs).fetch_all(conn).await?)
}

/// The database's time, and the due times of a run's open steps as their rows have them.
pub(crate) type Dues = (Time, Vec<(u32, Time)>);

/// The same of many runs.
pub(crate) async fn load_dues(
    schema: &Schema,
    conn: &mut PgConnection,
    runs: &[RunId],
) -> Result<(Time, RunMap<Vec<(u32, Time)>>), Error> {
    let now = super::now(schema, conn).await?;
    let query = "SELECT run_id, seq, due_at FROM {schema}.step
        WHERE run_id = ANY ($1) AND direction = 0 AND outcome IS NULL AND due_at IS NOT NULL";
    let rows: Vec<(RunId, i32, Time)> = sqlx::query_as(schema.sql(query)).bind(runs).fetch_all(conn).await?;
    let mut found: RunMap<Vec<(u32, Time)>> = RunMap::default();
    for (run, seq, at) in rows {
        found.entry(run).or_default().push((seq as u32, at));
    }
    Ok((now, found))
}
