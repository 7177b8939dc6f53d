//! Who is there to do the work, and what there is to do. All of it from small tables.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::{PgConnection, Row};

use super::super::schema::Schema;
use crate::engine::{
    core::{holds::HoldKind, model::Time, visibility::Visibility},
    error::Error,
    read_models::{Hold, HoldNote, LaneInfo, QueueInfo, RunStatus, StatusCount, WorkerInfo, WorkflowVersion},
};

/// A lane that has not been heard of for longer than this is not taken for alive, whatever its row says.
const HEARD_OF: &str = "30 seconds";

/// Beyond this a status is not counted on: a list shows "10000+".
const COUNT_TO: i64 = 10_000;

/// What is held back, by kind and name.
pub(crate) type Holds = HashMap<(HoldKind, String), HoldNote>;

/// What is held back.
pub(crate) async fn load_holds(schema: &Schema, conn: &mut PgConnection) -> Result<Holds, Error> {
    let held = super::super::holds::list(schema, conn).await?.into_iter();
    let note = |hold: Hold| {
        let note = HoldNote { actor: hold.actor, reason: hold.reason, since: hold.since };
        ((hold.kind, hold.name), note)
    };
    Ok(held.map(note).collect())
}

/// A registered version of a workflow, as it is on record.
pub(crate) struct Recorded {
    pub(crate) name: String,
    pub(crate) version: WorkflowVersion,
    pub(crate) visibility: Visibility,
    pub(crate) input: Option<Value>,
    pub(crate) output: Option<Value>,
}

/// Every (workflow, version) that was ever registered, with the live workers that have it; newest version first.
pub(crate) async fn load_versions(schema: &Schema, conn: &mut PgConnection) -> Result<Vec<Recorded>, Error> {
    let query = "SELECT w.name, w.version, w.registered_at, w.internal, w.input, w.output, ARRAY(
            SELECT DISTINCT k.name FROM {schema}.worker k JOIN {schema}.lane l ON l.worker_id = k.id
            WHERE w.id = ANY (k.workflows) AND l.alive AND l.beat > clock_timestamp() - $1::text::interval
            ORDER BY k.name) AS workers
        FROM {schema}.workflow w ORDER BY w.name, w.version DESC";
    let rows = sqlx::query(schema.sql(query)).bind(HEARD_OF).fetch_all(conn).await?;
    let recorded = |row: &sqlx::postgres::PgRow| {
        Ok(Recorded {
            name: row.try_get("name")?,
            version: WorkflowVersion {
                version: row.try_get("version")?,
                registered_at: row.try_get("registered_at")?,
                workers: row.try_get("workers")?,
            },
            visibility: if row.try_get("internal")? { Visibility::Internal } else { Visibility::Public },
            input: row.try_get("input")?,
            output: row.try_get("output")?,
        })
    };
    rows.iter().map(recorded).collect()
}

/// The queues that have runs, or that a live worker serves, or that are held back, or that are `known`.
pub(crate) async fn load_queues(
    schema: &Schema,
    conn: &mut PgConnection,
    known: &[String],
) -> Result<Vec<QueueInfo>, Error> {
    let rows = sqlx::query(schema.sql(include_str!("../sql/queues.sql")))
        .bind(known)
        .bind(HEARD_OF)
        .fetch_all(&mut *conn)
        .await?;
    let mut holds = load_holds(schema, conn).await?;
    let mut queue = |row: &sqlx::postgres::PgRow| {
        let name: String = row.try_get("name")?;
        Ok(QueueInfo {
            due: row.try_get("due")?,
            held: row.try_get("held")?,
            oldest_due_at: row.try_get("oldest_due_at")?,
            workers: row.try_get("workers")?,
            hold: holds.remove(&(HoldKind::Queue, name.clone())),
            name,
        })
    };
    rows.iter().map(&mut queue).collect()
}

/// The workers that were heard of in the last day, live ones first, then newest first; at most `limit`.
pub(crate) async fn load_workers(
    schema: &Schema,
    conn: &mut PgConnection,
    limit: i64,
) -> Result<Vec<WorkerInfo>, Error> {
    let rows =
        sqlx::query(schema.sql(include_str!("../sql/workers.sql"))).bind(limit).bind(HEARD_OF).fetch_all(conn).await?;
    let worker = |row: &sqlx::postgres::PgRow| {
        let ids: Vec<i32> = row.try_get("lane_ids")?;
        let alive: Vec<bool> = row.try_get("lane_alive")?;
        let beats: Vec<Time> = row.try_get("lane_beats")?;
        let active_runs: Vec<i64> = row.try_get("lane_active_runs")?;
        let lanes = ids.into_iter().zip(alive).zip(beats).zip(active_runs);
        let lanes: Vec<LaneInfo> =
            lanes.map(|(((id, alive), beat), active_runs)| LaneInfo { id, alive, beat, active_runs }).collect();
        Ok(WorkerInfo {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            alive: row.try_get("alive")?,
            queues: row.try_get("queues")?,
            workflows: row.try_get("workflows")?,
            slots: row.try_get("slots")?,
            active_runs: lanes.iter().map(|lane| lane.active_runs).sum(),
            started_at: row.try_get("started_at")?,
            last_beat: row.try_get("last_beat")?,
            lanes,
        })
    };
    rows.iter().map(worker).collect()
}

/// How many runs have each status. Counted from the small tables, and no further than [`COUNT_TO`]; what is completed is
/// what the planner thinks there is of all runs, less the others.
pub(crate) async fn count_runs(schema: &Schema, conn: &mut PgConnection) -> Result<Vec<StatusCount>, Error> {
    let row = sqlx::query(schema.sql(include_str!("../sql/counts.sql")))
        .bind(COUNT_TO + 1)
        .persistent(false)
        .fetch_one(conn)
        .await?;
    let mut counts = Vec::new();
    let mut others = 0;
    for status in RunStatus::ALL.iter().copied().filter(|status| *status != RunStatus::Completed) {
        let counted: i64 = row.try_get(status.word())?;
        others += counted;
        counts.push(StatusCount { status, count: counted.min(COUNT_TO), exact: counted <= COUNT_TO });
    }
    let all: i64 = row.try_get("all_runs")?;
    counts.push(StatusCount { status: RunStatus::Completed, count: (all - others).max(0), exact: false });
    counts.sort_by_key(|count| count.status);
    Ok(counts)
}
