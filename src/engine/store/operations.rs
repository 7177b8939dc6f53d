//! Bulk operations: one row for the operation, one for each of its runs.
//!
//! The runs are matched once, in the statement that creates the operation. What becomes of each is written in the commit that
//! does it, so that a crash anywhere leaves a run either untouched and open, or done and told so.

use std::time::Duration;

use sqlx::{PgConnection, Postgres, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    rows::{read_word, word_or_null},
    schema::Schema,
    search::Matching,
};
use crate::engine::{
    core::{
        model::{RunId, to_json},
        operation::OperationStatus,
        redact::redact,
        time::Moment,
        verb::Verb,
    },
    error::Error,
    read_models::{Operation, OperationRefusals, OperationRun, OperationRunState, OperationStatusCount, RunFilter},
};

/// A bulk operation that is to be created.
#[derive(Debug)]
pub(crate) struct NewOperation<'a> {
    pub(crate) id: Uuid,
    pub(crate) action: &'a Verb,
    pub(crate) filter: &'a RunFilter,
    pub(crate) actor: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) rate: u32,
}

/// Creates an operation over all runs that match just now. One without any is completed as it comes.
pub(crate) async fn create(
    schema: &Schema,
    conn: &mut PgConnection,
    new: &NewOperation<'_>,
    runs: &Matching,
) -> Result<(), Error> {
    let mut query = QueryBuilder::<Postgres>::new(
        schema.render("INSERT INTO {schema}.operation_run (operation_id, run_id) SELECT "),
    );
    query.push_bind(new.id).push(format_args!(", {}", runs.id()));
    runs.push_to(schema, &mut query);
    let total = query.build().persistent(false).execute(&mut *conn).await?.rows_affected();
    let query = "INSERT INTO {schema}.operation
            (id, action, filter, reason, actor, rate, total, created_at, status, finished_at)
        SELECT $1, $2::json, $3::json, $4, $5, $6, $7, now, CASE WHEN $7 = 0 THEN 'completed' ELSE 'pending' END,
            CASE WHEN $7 = 0 THEN now END
        FROM {schema}.now() now";
    sqlx::query(schema.sql(query))
        .bind(new.id)
        .bind(to_text(new.action)?)
        .bind(to_text(new.filter)?)
        .bind(new.reason)
        .bind(new.actor)
        .bind(i32::try_from(new.rate).unwrap_or(i32::MAX))
        .bind(i32::try_from(total).unwrap_or(i32::MAX))
        .execute(conn)
        .await?;
    Ok(())
}

fn to_text<T: serde::Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Database(sqlx::Error::Encode(error.into())))
}

/// How many runs match, by status, in the words that people see.
pub(crate) async fn count_statuses(
    schema: &Schema,
    conn: &mut PgConnection,
    runs: &Matching,
) -> Result<Vec<OperationStatusCount>, Error> {
    let mut query = QueryBuilder::<Postgres>::new(format!("WITH m AS (SELECT {} AS id", runs.id()));
    runs.push_to(schema, &mut query);
    query.push(
        schema.text(") SELECT CASE
            WHEN r.status = 0 OR (r.status = 1 AND q.run_id IS NOT NULL)
                THEN CASE WHEN q.fresh AND q.lane IS NULL THEN 'pending' ELSE 'running' END
            ELSE (ARRAY['waiting', 'paused', 'compensating', 'stuck', 'completed', 'compensated', 'failed', 'abandoned'])
                [r.status] END AS status, count(*) AS count
        FROM m JOIN {schema}.run r ON r.id = m.id LEFT JOIN {schema}.ready q ON q.run_id = r.id
        GROUP BY 1 ORDER BY 2 DESC, 1"),
    );
    let rows = query.build().persistent(false).fetch_all(conn).await?;
    let count =
        |row: &PgRow| Ok(OperationStatusCount { status: read_word(row, "status")?, count: row.try_get("count")? });
    rows.iter().map(count).collect()
}

/// The oldest runs that match.
pub(crate) async fn load_first(
    schema: &Schema,
    conn: &mut PgConnection,
    runs: &Matching,
    limit: i64,
) -> Result<Vec<RunId>, Error> {
    let id = runs.id();
    let mut query = QueryBuilder::<Postgres>::new(format!("SELECT {id} AS id"));
    runs.push_to(schema, &mut query);
    query.push(format_args!(" ORDER BY {id} LIMIT ")).push_bind(limit);
    let rows = query.build().persistent(false).fetch_all(conn).await?;
    rows.iter().map(|row| row.try_get("id").map_err(Error::from)).collect()
}

/// One operation with its counts, and why runs refused it.
pub(crate) async fn get(schema: &Schema, conn: &mut PgConnection, id: Uuid) -> Result<Operation, Error> {
    let query = concat!(include_str!("sql/operation_counts.sql"), " WHERE o.id = $1");
    let row = sqlx::query(schema.sql(query)).bind(id).fetch_optional(&mut *conn).await?;
    let mut found = read_operation(&row.ok_or_else(|| Error::UnknownOperation(id.to_string()))?)?;
    if found.refused > 0 {
        let query = "SELECT coalesce(code, '') AS code, count(*) AS count, min(message) AS example
            FROM {schema}.operation_run WHERE operation_id = $1 AND outcome = 'refused' GROUP BY 1 ORDER BY 2 DESC, 1";
        let rows = sqlx::query(schema.sql(query)).bind(id).fetch_all(conn).await?;
        for row in &rows {
            let (code, count) = (row.try_get("code")?, row.try_get("count")?);
            found.refusals.push(OperationRefusals { code, count, example: row.try_get("example")? });
        }
    }
    Ok(found)
}

/// Up to `limit` operations before a cursor, newest first.
pub(crate) async fn list(
    schema: &Schema,
    conn: &mut PgConnection,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Operation>, Error> {
    let query = concat!(
        include_str!("sql/operation_counts.sql"),
        " WHERE ($1::uuid IS NULL OR o.id < $1) ORDER BY o.id DESC LIMIT $2"
    );
    let rows = sqlx::query(schema.sql(query)).bind(before).bind(limit).fetch_all(conn).await?;
    rows.iter().map(|row| read_operation(row).map_err(Error::from)).collect()
}

fn read_operation(row: &PgRow) -> Result<Operation, sqlx::Error> {
    let unreadable = |what: &str| sqlx::Error::Decode(format!("operation.{what} can't be read").into());
    let json = |column: &str| row.try_get::<String, _>(column);
    let status: OperationStatus = read_word(row, "status")?;
    let (total, rate) = (i64::from(row.try_get::<i32, _>("total")?), row.try_get::<i32, _>("rate")?);
    let (done, refused): (i64, i64) = (row.try_get("done")?, row.try_get("refused")?);
    let open = (total - done - refused).max(0);
    let now: chrono::DateTime<chrono::Utc> = row.try_get("now")?;
    let left = Duration::from_millis(open.cast_unsigned().saturating_mul(1_000) / rate.max(1).cast_unsigned() as u64);
    let mut arguments: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&json("action")?).map_err(|_| unreadable("action"))?;
    let action = arguments.remove("action").and_then(|word| word.as_str().map(str::to_owned));
    let action = action.ok_or_else(|| unreadable("action"))?;
    if let Some(output) = arguments.get_mut("output") {
        *output = show(output, &row.try_get::<Vec<String>, _>("secret_fields")?).ok_or_else(|| unreadable("action"))?;
    }
    let is_on_its_way = matches!(status, OperationStatus::Pending | OperationStatus::Running);
    Ok(Operation {
        id: row.try_get("id")?,
        action,
        arguments,
        refusals: Vec::new(),
        filter: serde_json::from_str(&json("filter")?).map_err(|_| unreadable("filter"))?,
        reason: row.try_get("reason")?,
        actor: row.try_get("actor")?,
        rate: rate.unsigned_abs(),
        status,
        total,
        done,
        refused,
        open,
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        eta: is_on_its_way.then(|| now.later(left)),
    })
}

/// A payload as it may be shown.
fn show(payload: &serde_json::Value, secret: &[String]) -> Option<serde_json::Value> {
    serde_json::from_str(redact(&to_json(payload).ok()?, secret).get()).ok()
}

/// Up to `limit` runs of an operation after a cursor, in the order in which they are taken up.
pub(crate) async fn load_runs(
    schema: &Schema,
    conn: &mut PgConnection,
    id: Uuid,
    state: Option<OperationRunState>,
    after: Option<RunId>,
    limit: i64,
) -> Result<Vec<OperationRun>, Error> {
    let query = "SELECT run_id, outcome, code, message, at FROM {schema}.operation_run
        WHERE operation_id = $1 AND ($2::uuid IS NULL OR run_id > $2)
            AND ($3::text IS NULL OR coalesce(outcome, 'open') = $3)
        ORDER BY run_id LIMIT $4";
    let rows = sqlx::query(schema.sql(query))
        .bind(id)
        .bind(after)
        .bind(state.map(OperationRunState::word))
        .bind(limit)
        .fetch_all(conn)
        .await?;
    let run = |row: &PgRow| {
        Ok(OperationRun {
            run_id: row.try_get("run_id")?,
            outcome: word_or_null(row, "outcome")?,
            code: row.try_get("code")?,
            message: row.try_get("message")?,
            at: row.try_get("at")?,
        })
    };
    rows.iter().map(run).collect()
}

/// An operation's status, its row locked until the end of the transaction.
pub(crate) async fn lock(schema: &Schema, conn: &mut PgConnection, id: Uuid) -> Result<OperationStatus, Error> {
    let query = include_str!("sql/lock_operation.sql");
    let row = sqlx::query(schema.sql(query)).bind(id).fetch_optional(conn).await?;
    Ok(read_word(&row.ok_or_else(|| Error::UnknownOperation(id.to_string()))?, "status")?)
}

/// Moves an operation, whose row the caller has locked, to another status. What ends has its counts written down: none of its
/// runs is taken up from now on.
pub(crate) async fn set_status(
    schema: &Schema,
    conn: &mut PgConnection,
    id: Uuid,
    status: OperationStatus,
) -> Result<(), Error> {
    let query = "UPDATE {schema}.operation SET status = $2,
            started_at = CASE WHEN $2 = 'running' THEN coalesce(started_at, {schema}.now()) ELSE started_at END,
            finished_at = CASE WHEN $3 THEN {schema}.now() END,
            (done, refused) = (SELECT
                CASE WHEN $3 THEN count(*) FILTER (WHERE outcome = 'done') END,
                CASE WHEN $3 THEN count(*) FILTER (WHERE outcome = 'refused') END
                FROM {schema}.operation_run WHERE $3 AND operation_id = $1)
        WHERE id = $1";
    sqlx::query(schema.sql(query)).bind(id).bind(status.word()).bind(status.is_end()).execute(conn).await?;
    Ok(())
}

/// An operation that this transaction has for itself.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) id: Uuid,
    pub(crate) action: Verb,
    pub(crate) actor: String,
    pub(crate) reason: Option<String>,
    pub(crate) rate: u32,
}

/// Takes any operation that is to go on and that nobody else has, until the transaction ends.
pub(crate) async fn take(schema: &Schema, conn: &mut PgConnection) -> Result<Option<Taken>, Error> {
    let row = sqlx::query(schema.sql(include_str!("sql/take_operation.sql"))).fetch_optional(conn).await?;
    let Some(row) = row else { return Ok(None) };
    let action: String = row.try_get("action")?;
    let unreadable = || sqlx::Error::Decode("operation.action can't be read".into());
    Ok(Some(Taken {
        id: row.try_get("id")?,
        action: serde_json::from_str(&action).map_err(|_| unreadable())?,
        actor: row.try_get("actor")?,
        reason: row.try_get("reason")?,
        rate: row.try_get::<i32, _>("rate")?.unsigned_abs(),
    }))
}

/// The next runs that are to be done, after one that was.
pub(crate) async fn load_open_runs(
    schema: &Schema,
    conn: &mut PgConnection,
    id: Uuid,
    after: Option<RunId>,
    limit: i64,
) -> Result<Vec<RunId>, Error> {
    let query = "SELECT run_id FROM {schema}.operation_run
        WHERE operation_id = $1 AND outcome IS NULL AND ($2::uuid IS NULL OR run_id > $2) ORDER BY run_id LIMIT $3";
    Ok(sqlx::query_scalar(schema.sql(query)).bind(id).bind(after).bind(limit).fetch_all(conn).await?)
}

/// Whether the operation is on its way, and stays so until the transaction ends: a pause that was answered finds none of
/// its runs in the middle.
pub(crate) async fn is_running(schema: &Schema, conn: &mut PgConnection, id: Uuid) -> Result<bool, Error> {
    let query = include_str!("sql/share_operation.sql");
    let word: Option<String> = sqlx::query_scalar(schema.sql(query)).bind(id).fetch_optional(conn).await?;
    Ok(word.as_deref() == Some(OperationStatus::Running.word()))
}

/// Takes one run of an operation. False: it is done, or somebody else has it.
pub(crate) async fn take_run(schema: &Schema, conn: &mut PgConnection, id: Uuid, run: RunId) -> Result<bool, Error> {
    let query = include_str!("sql/take_operation_run.sql");
    Ok(sqlx::query_scalar(schema.sql(query)).bind(id).bind(run).fetch_optional(conn).await?.unwrap_or(false))
}

/// What became of one run: done, or why it was refused. In the commit that did it.
pub(crate) async fn record(
    schema: &Schema,
    conn: &mut PgConnection,
    id: Uuid,
    run: RunId,
    refused: Option<&Error>,
) -> Result<(), Error> {
    let query = "UPDATE {schema}.operation_run SET outcome = CASE WHEN $3::text IS NULL THEN 'done' ELSE 'refused' END,
        code = $3, message = $4, at = {schema}.now() WHERE operation_id = $1 AND run_id = $2";
    sqlx::query(schema.sql(query))
        .bind(id)
        .bind(run)
        .bind(refused.map(Error::code))
        .bind(refused.map(ToString::to_string))
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether any run is left to be done.
pub(crate) async fn has_open(schema: &Schema, conn: &mut PgConnection, id: Uuid) -> Result<bool, Error> {
    let query = "SELECT EXISTS (SELECT FROM {schema}.operation_run WHERE operation_id = $1 AND outcome IS NULL)";
    Ok(sqlx::query_scalar(schema.sql(query)).bind(id).fetch_one(conn).await?)
}
