//! Signals: into the inbox, and the run awake.

use sqlx::PgConnection;

use super::schema::Schema;
use crate::engine::{
    core::model::{Json, RunId},
    error::Error,
};

/// The workflow of a run that does not take this signal from callers.
pub(crate) async fn closed_workflow(
    schema: &Schema,
    conn: &mut PgConnection,
    run: RunId,
    name: &str,
) -> Result<Option<String>, Error> {
    let query = "SELECT w.name FROM {schema}.run r JOIN {schema}.workflow w ON w.id = r.workflow_id
        WHERE r.id = $1 AND w.internal AND $2 <> ALL (w.public_signals)";
    Ok(sqlx::query_scalar(schema.sql(query)).bind(run).bind(name).fetch_optional(conn).await?)
}

/// Puts a signal into a run's inbox. With a key that the run has seen already, nothing changes.
///
/// # Errors
/// `unknown_run`; `run_ended`.
pub(crate) async fn send(
    schema: &Schema,
    conn: &mut PgConnection,
    run: RunId,
    name: &str,
    payload: Option<&Json>,
    key: Option<&str>,
) -> Result<(), Error> {
    let sent: i64 = sqlx::query_scalar(schema.sql(include_str!("sql/signal.sql")))
        .bind(run)
        .bind(name)
        .bind(payload.map(|json| json.get()))
        .bind(key)
        .fetch_one(&mut *conn)
        .await?;
    if sent == 1 {
        return Ok(());
    }
    let query = "SELECT r.status, EXISTS (SELECT FROM {schema}.signal s WHERE s.run_id = r.id AND s.key = $2)
        FROM {schema}.run r WHERE r.id = $1";
    let found: Option<(i16, bool)> = sqlx::query_as(schema.sql(query)).bind(run).bind(key).fetch_optional(conn).await?;
    match found {
        None => Err(Error::UnknownRun(run)),
        Some((_, true)) => Ok(()),
        Some((_, false)) => Err(Error::RunEnded(run)),
    }
}
