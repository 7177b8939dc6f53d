//! `paused`: since when a run is held back by an operator.

use sqlx::PgConnection;

use super::schema::Schema;
use crate::engine::{
    core::model::{Request, RunId, Time},
    error::Error,
};

/// From now on. The same again keeps the first moment.
pub(super) async fn write(schema: &Schema, conn: &mut PgConnection, run: RunId, at: Time) -> Result<(), Error> {
    let query = "INSERT INTO {schema}.paused (run_id, at) VALUES ($1, $2) ON CONFLICT (run_id) DO NOTHING";
    sqlx::query(schema.sql(query)).bind(run).bind(at).execute(conn).await?;
    Ok(())
}

/// No more.
pub(super) async fn delete(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<(), Error> {
    sqlx::query(schema.sql("DELETE FROM {schema}.paused WHERE run_id = $1")).bind(run).execute(conn).await?;
    Ok(())
}

/// The pause came too late: the run has ended or stands still, and nobody waits for it to be paused.
pub(super) async fn forget(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<(), Error> {
    let query = "UPDATE {schema}.run SET request = 0 WHERE id = $1 AND request = $2";
    sqlx::query(schema.sql(query)).bind(run).bind(Request::Pause.code()).execute(&mut *conn).await?;
    delete(schema, conn, run).await
}
