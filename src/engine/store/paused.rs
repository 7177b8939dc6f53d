//! `paused`: since when a run is held back by an operator.

use sqlx::PgConnection;

use super::schema::Schema;
use crate::engine::{
    core::model::{RunId, Time},
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
