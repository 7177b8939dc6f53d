//! `paused`: since when a run is held back by an operator.

use sqlx::PgConnection;

use crate::engine::{
    core::model::{Request, RunId, Time},
    error::Error,
};

/// From now on. The same again keeps the first moment.
pub(super) async fn write(conn: &mut PgConnection, run: RunId, at: Time) -> Result<(), Error> {
    let query = "INSERT INTO backstitch.paused (run_id, at) VALUES ($1, $2) ON CONFLICT (run_id) DO NOTHING";
    sqlx::query(query).bind(run).bind(at).execute(conn).await?;
    Ok(())
}

/// No more.
pub(super) async fn delete(conn: &mut PgConnection, run: RunId) -> Result<(), Error> {
    sqlx::query("DELETE FROM backstitch.paused WHERE run_id = $1").bind(run).execute(conn).await?;
    Ok(())
}

/// The pause came too late: the run has ended or stands still, and nobody waits for it to be paused.
pub(super) async fn forget(conn: &mut PgConnection, run: RunId) -> Result<(), Error> {
    let query = "UPDATE backstitch.run SET request = 0 WHERE id = $1 AND request = $2";
    sqlx::query(query).bind(run).bind(Request::Pause.code()).execute(&mut *conn).await?;
    delete(conn, run).await
}
