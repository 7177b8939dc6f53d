//! What people see of runs. Nothing here is hot, and nothing here writes.
//!
//! `(SELECT $1::uuid)`, and a materialised CTE, keep an id from the planner: with it, it would leave out partitions and find its
//! plan better than one for any id, and so plan anew at each call, which takes longer than the statement. Without it, the plan is
//! kept, and partitions are left out when it is carried out.

use std::collections::{BTreeMap, HashSet};

use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{
    rows::{parse_json, read_step, step_columns, word_or_null},
    schema::Schema,
    search,
};
use crate::engine::{
    core::{
        model::{Failure, Json, PastAttempt, RunId, Status, StepKind, Time, WaitKind, idempotency_key},
        redact::redact,
        trace::Trace,
    },
    error::Error,
    names::INTERNAL_KEY,
    read_models::{Run, RunFilter, RunResult, RunStatus, RunStep, WaitingOn},
};

/// Follows a WITH that has the ids of the runs as `page`.
const READ_RUNS: &str = include_str!("sql/read_runs.sql");

/// One run, without its steps.
pub(crate) async fn load_run(schema: &Schema, conn: &mut PgConnection, id: RunId) -> Result<Run, Error> {
    let query = concat!("WITH page AS MATERIALIZED (SELECT $1::uuid AS id) ", include_str!("sql/read_runs.sql"));
    let row = sqlx::query(schema.sql(query)).bind(id).fetch_optional(conn).await?.ok_or(Error::UnknownRun(id))?;
    Ok(read_run(&row)?)
}

/// Up to two ids of runs in a range.
pub(crate) async fn ids_between(
    schema: &Schema,
    conn: &mut PgConnection,
    (first, last): (RunId, RunId),
) -> Result<Vec<RunId>, Error> {
    let query = "SELECT id FROM {schema}.run WHERE id BETWEEN $1 AND $2 LIMIT 2";
    Ok(sqlx::query_scalar(schema.sql(query)).bind(first).bind(last).fetch_all(conn).await?)
}

/// Up to `limit` runs before a cursor, newest first.
pub(crate) async fn load_page(
    schema: &Schema,
    conn: &mut PgConnection,
    filter: &RunFilter,
    before: Option<RunId>,
    limit: i64,
) -> Result<Vec<Run>, Error> {
    let rows = search::fetch_rows(schema, conn, filter, before, limit, READ_RUNS).await?;
    rows.iter().map(|row| read_run(row).map_err(Error::from)).collect()
}

/// A key as the service stated it.
fn as_stated(key: &str) -> &str {
    key.strip_prefix(INTERNAL_KEY).unwrap_or(key)
}

fn read_run(row: &PgRow) -> Result<Run, sqlx::Error> {
    let status = Status::from_code(row.try_get("status")?)
        .ok_or_else(|| sqlx::Error::Decode("run.status holds a number that means nothing".into()))?;
    let failure = parse::<Failure>(row.try_get("failure")?);
    let tags: Option<BTreeMap<String, String>> = parse(row.try_get("tags")?);
    let secret: Vec<String> = row.try_get("secret_fields")?;
    Ok(Run {
        id: row.try_get("id")?,
        workflow: row.try_get("workflow")?,
        version: row.try_get("version")?,
        key: row.try_get::<Option<String>, _>("key")?.map(|key| as_stated(&key).to_owned()),
        queue: row.try_get("queue")?,
        status: seen_status(status, row)?,
        waiting_on: waiting_on(status, failure.as_ref(), row)?,
        input: show(parse_json(row.try_get("input")?), &secret),
        output: show(parse_json(row.try_get("output")?), &secret),
        failure,
        tags: tags.unwrap_or_default(),
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        parent_id: row.try_get("parent_id")?,
        trace_id: Trace::of(row.try_get("id")?, row.try_get("traceparent")?).id_text(),
        steps: None,
        attention: None,
        children: None,
    })
}

/// The status in the contract's words: what is due or held is pending or running, whatever it waited for before.
fn seen_status(status: Status, row: &PgRow) -> Result<RunStatus, sqlx::Error> {
    let due: bool = row.try_get("due")?;
    let never_held = row.try_get::<Option<bool>, _>("fresh")?.unwrap_or(false) && !row.try_get::<bool, _>("held")?;
    Ok(match status {
        Status::Active | Status::Waiting if due && never_held => RunStatus::Pending,
        Status::Waiting if due => RunStatus::Running,
        other => other.into(),
    })
}

/// What keeps a due run from being taken.
#[derive(serde::Deserialize)]
struct HeldBy {
    name: String,
    since: Time,
}

fn waiting_on(status: Status, failure: Option<&Failure>, row: &PgRow) -> Result<Option<WaitingOn>, sqlx::Error> {
    let due: bool = row.try_get("due")?;
    let due_at: Option<Time> = row.try_get("due_at")?;
    let waiting = |kind, name: Option<String>, since, until| Some(WaitingOn { kind, name, since, until });
    if due {
        if let Some(hold) = parse::<HeldBy>(row.try_get("hold")?) {
            return Ok(waiting(WaitKind::Hold, Some(hold.name), Some(hold.since), None));
        }
        if row.try_get("served")? {
            return Ok(None);
        }
        let known: bool = row.try_get("known")?;
        let name: String = row.try_get(if known { "due_queue" } else { "workflow" })?;
        return Ok(waiting(if known { WaitKind::Queue } else { WaitKind::Worker }, Some(name), due_at, None));
    }
    Ok(match status {
        Status::Waiting | Status::Compensating => match word_or_null(row, "wait_kind")? {
            Some(kind) => {
                waiting(kind, row.try_get("wait_name")?, row.try_get("wait_since")?, row.try_get("wait_until")?)
            }
            None => None,
        },
        Status::Stuck | Status::Paused => {
            waiting(WaitKind::Operator, failure.map(|failure| failure.code.clone()), row.try_get("stands_since")?, None)
        }
        _ => None,
    })
}

fn parse<T: serde::de::DeserializeOwned>(text: Option<String>) -> Option<T> {
    text.and_then(|text| serde_json::from_str(&text).ok())
}

/// The steps of a run: forward ones in their order, then undos in the order in which they are made.
pub(crate) async fn load_steps(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<Vec<RunStep>, Error> {
    let query = concat!(
        "SELECT ",
        step_columns!(),
        ", attempt_log::text[] AS attempt_log, finished_at,
            (SELECT w.secret_fields FROM {schema}.run r JOIN {schema}.workflow w ON w.id = r.workflow_id WHERE r.id = (SELECT $1::uuid))
                AS secret_fields,
            (SELECT k.name FROM {schema}.lane l JOIN {schema}.worker k ON k.id = l.worker_id WHERE l.id = step.lane) AS worker
         FROM {schema}.step WHERE run_id = (SELECT $1::uuid) ORDER BY direction, CASE WHEN direction = 0 THEN seq ELSE -seq END"
    );
    let rows = sqlx::query(schema.sql(query)).bind(run).fetch_all(conn).await?;
    let secret: Vec<String> = rows.first().map(|row| row.try_get("secret_fields")).transpose()?.unwrap_or_default();
    rows.iter().map(|row| step_view(run, row, &secret).map_err(Error::from)).collect()
}

/// Runs that take on from a run, the oldest hundred.
pub(crate) async fn load_children(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<Vec<RunId>, Error> {
    let query = "SELECT id FROM {schema}.run WHERE parent_id = $1 ORDER BY id LIMIT 100";
    Ok(sqlx::query_scalar(schema.sql(query)).bind(run).fetch_all(conn).await?)
}

/// Fields of a run's payloads that are never shown.
pub(crate) async fn secret_fields(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<Vec<String>, Error> {
    let query = "SELECT w.secret_fields FROM {schema}.run r JOIN {schema}.workflow w ON w.id = r.workflow_id WHERE r.id = (SELECT $1::uuid)";
    Ok(sqlx::query_scalar(schema.sql(query)).bind(run).fetch_optional(conn).await?.unwrap_or_default())
}

fn show(json: Option<Json>, secret: &[String]) -> Option<Json> {
    json.map(|json| redact(&json, secret))
}

fn step_view(run: RunId, row: &PgRow, secret: &[String]) -> Result<RunStep, sqlx::Error> {
    let step = read_step(row)?;
    let is_activity = step.kind == StepKind::Activity;
    Ok(RunStep {
        seq: step.seq,
        name: step.name.to_string(),
        kind: step.kind,
        activity: is_activity.then(|| step.name.to_string()),
        direction: step.direction,
        outcome: step.outcome,
        attempts: step.attempts,
        idempotency_key: is_activity.then(|| idempotency_key(run, step.seq, step.direction, step.generation)),
        due_at: step.due.map(|due| due.estimate()),
        input: show(step.input, secret),
        output: show(step.output, secret),
        error: step.error,
        next_attempt_at: step.next_attempt_at,
        undo_after: step.undo_after,
        attempt_log: attempt_log(row)?,
        started_at: step.started_at,
        finished_at: row.try_get("finished_at")?,
        worker: row.try_get("worker")?,
    })
}

fn attempt_log(row: &PgRow) -> Result<Vec<PastAttempt>, sqlx::Error> {
    let entries: Vec<String> = row.try_get::<Option<_>, _>("attempt_log")?.unwrap_or_default();
    Ok(entries.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
}

/// Those of these runs that have ended, or are not kept.
pub(crate) async fn ended_among(
    schema: &Schema,
    conn: &mut PgConnection,
    runs: &[RunId],
) -> Result<HashSet<RunId>, Error> {
    let mut ended: HashSet<RunId> = runs.iter().copied().collect();
    let query = "SELECT id, status FROM {schema}.run WHERE id = ANY ($1)";
    for row in sqlx::query(schema.sql(query)).bind(runs).fetch_all(conn).await? {
        if !Status::from_code(row.try_get("status")?).is_some_and(Status::is_end) {
            ended.remove(&row.try_get("id")?);
        }
    }
    Ok(ended)
}

/// How a run ended; none while it has not. One look at one row, because those who wait look often.
pub(crate) async fn find_result(
    schema: &Schema,
    conn: &mut PgConnection,
    run: RunId,
) -> Result<Option<RunResult>, Error> {
    let query = "SELECT status, output::text AS output, failure::text AS failure,
            CASE WHEN output IS NOT NULL THEN
                (SELECT w.secret_fields FROM {schema}.workflow w WHERE w.id = workflow_id) END AS secret_fields
        FROM {schema}.run WHERE id = (SELECT $1::uuid)";
    let row = sqlx::query(schema.sql(query)).bind(run).fetch_optional(conn).await?.ok_or(Error::UnknownRun(run))?;
    let Some(status) = Status::from_code(row.try_get("status")?).filter(|status| status.is_end()) else {
        return Ok(None);
    };
    let (output, failure) = (parse_json(row.try_get("output")?), parse(row.try_get("failure")?));
    let secret_fields = row.try_get::<Option<_>, _>("secret_fields")?.unwrap_or_default();
    Ok(Some(RunResult { id: run, status: status.into(), ended: true, output, failure, secret_fields }))
}

/// How a run stands.
pub(crate) async fn load_result(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<RunResult, Error> {
    let found = self::load_run(schema, conn, run).await?;
    let (output, failure) = (found.output, found.failure);
    Ok(RunResult {
        id: run,
        status: found.status,
        ended: found.status.has_ended(),
        output,
        failure,
        secret_fields: Vec::new(),
    })
}
