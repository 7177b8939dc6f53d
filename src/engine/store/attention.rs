//! `attention`: what an operator should look at.

use sqlx::PgConnection;

use super::schema::Schema;
use crate::engine::{
    core::{attention::AttentionKind, model::RunId},
    error::Error,
};

/// An operator has seen to the run: what needs another look from here on is put there anew. What the run could do without
/// nobody mends by that, so it stays until it is acknowledged.
pub(super) async fn settle(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<(), Error> {
    let query = "DELETE FROM {schema}.attention WHERE run_id = $1 AND kind <> $2";
    sqlx::query(schema.sql(query)).bind(run).bind(AttentionKind::BestEffort.word()).execute(conn).await?;
    Ok(())
}

/// An operator has settled one step.
pub(super) async fn settle_step(schema: &Schema, conn: &mut PgConnection, run: RunId, seq: u32) -> Result<(), Error> {
    let query = "DELETE FROM {schema}.attention WHERE run_id = $1 AND seq = $2";
    sqlx::query(schema.sql(query)).bind(run).bind(seq as i32).execute(conn).await?;
    Ok(())
}

/// An operator has seen it all.
pub(super) async fn acknowledge(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<(), Error> {
    sqlx::query(schema.sql("DELETE FROM {schema}.attention WHERE run_id = $1")).bind(run).execute(conn).await?;
    Ok(())
}

/// The steps (none: the run as a whole) that need attention, with why.
pub(super) async fn load(
    schema: &Schema,
    conn: &mut PgConnection,
    run: RunId,
) -> Result<Vec<(Option<u32>, String)>, Error> {
    let query = "SELECT seq, kind FROM {schema}.attention WHERE run_id = $1 ORDER BY seq";
    let rows: Vec<(i32, String)> = sqlx::query_as(schema.sql(query)).bind(run).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(seq, kind)| (u32::try_from(seq).ok(), kind)).collect())
}
