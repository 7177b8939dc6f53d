//! Starting runs: many in one commit, once per key, also inside the caller's own transaction.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::schema::Schema;
use crate::engine::{
    core::model::{RunId, Time},
    error::Error,
};

/// A start that has passed all checks.
#[derive(Debug)]
pub(crate) struct NewRun {
    pub(crate) id: RunId,
    pub(crate) workflow_id: i32,
    pub(crate) workflow: String,
    pub(crate) queue: String,
    pub(crate) input: String,
    pub(crate) key: Option<String>,
    pub(crate) hash: Option<Vec<u8>>,
    pub(crate) start_at: Option<Time>,
    pub(crate) tags: Option<String>,
    pub(crate) parent_id: Option<RunId>,
    pub(crate) deadline_ms: Option<i64>,
    pub(crate) traceparent: Option<String>,
}

/// The run that a key belongs to, and the hash of the request that it came with.
pub(crate) type KeyOwner = (RunId, Vec<u8>);

/// Inserts the runs whose key is free (or that have none) and gives their ids, and the time.
pub(crate) async fn start(
    schema: &Schema,
    conn: &mut PgConnection,
    runs: &[NewRun],
) -> Result<Vec<(RunId, Time)>, Error> {
    let rows = sqlx::query(schema.sql(include_str!("sql/start.sql")))
        .bind(runs.iter().map(|run| run.id).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.workflow_id).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.workflow.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.queue.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.input.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.key.as_deref()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.hash.as_deref()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.start_at).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.tags.as_deref()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.parent_id).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.deadline_ms).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.traceparent.as_deref()).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Whether a start failed because its run's id is another run's.
pub(crate) fn is_taken_id(error: &Error) -> bool {
    // Of `run`, `ready` or `timer`, whichever comes first; a key that is taken is no error.
    let Error::Database(sqlx::Error::Database(refused)) = error else { return false };
    refused.is_unique_violation()
}

/// Who owns a key. A statement of its own after [`start`]: its snapshot sees a winner that committed in between.
pub(crate) async fn key_owner(
    schema: &Schema,
    conn: &mut PgConnection,
    workflow: &str,
    key: &str,
) -> Result<Option<KeyOwner>, Error> {
    let row: Option<(Uuid, Vec<u8>)> =
        sqlx::query_as(schema.sql("SELECT run_id, hash FROM {schema}.run_key WHERE workflow = $1 AND key = $2"))
            .bind(workflow)
            .bind(key)
            .fetch_optional(conn)
            .await?;
    Ok(row)
}

/// A registered version of a workflow.
#[derive(sqlx::FromRow)]
pub(crate) struct Newest {
    pub(crate) id: i32,
    pub(crate) version: i32,
    pub(crate) internal: bool,
    /// The JSON schema of its input.
    pub(crate) input: Option<serde_json::Value>,
    pub(crate) deadline_ms: Option<i64>,
}

/// The newest registered version of a workflow.
pub(crate) async fn newest_workflow(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
) -> Result<Option<Newest>, Error> {
    let query = "SELECT id, version, internal, input, deadline_ms FROM {schema}.workflow WHERE name = $1
        ORDER BY version DESC LIMIT 1";
    Ok(sqlx::query_as(schema.sql(query)).bind(name).fetch_optional(conn).await?)
}
