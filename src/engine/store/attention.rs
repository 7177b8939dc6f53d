//! `attention`: what an operator should look at.

use sqlx::PgConnection;

use super::{rows::make_storable, schema::Schema};
use crate::engine::{
    core::{attention::AttentionKind, decision::Writes, model::RunId},
    error::Error,
};

/// What a decision adds and takes away. Rows are kept under the step (-1: the run), each with the first moment that it was seen.
pub(super) async fn write(schema: &Schema, conn: &mut PgConnection, run: RunId, writes: &Writes) -> Result<(), Error> {
    if !writes.settled.is_empty() {
        let seqs: Vec<i32> = writes.settled.iter().map(|seq| *seq as i32).collect();
        let query = "DELETE FROM {schema}.attention WHERE run_id = $1 AND seq = ANY ($2)";
        sqlx::query(schema.sql(query)).bind(run).bind(seqs).execute(&mut *conn).await?;
    }
    for attention in &writes.attention {
        let query = "INSERT INTO {schema}.attention
                (run_id, seq, kind, code, message, fingerprint, step_name, workflow_id, since)
            SELECT r.id, $2, $3, $4, $5, $6, $7, r.workflow_id, {schema}.now() FROM {schema}.run r WHERE r.id = $1
            ON CONFLICT (run_id, seq) DO UPDATE SET kind = excluded.kind, code = excluded.code,
                message = excluded.message, fingerprint = excluded.fingerprint, step_name = excluded.step_name";
        sqlx::query(schema.sql(query))
            .bind(run)
            .bind(attention.seq.map_or(-1, |seq| seq as i32))
            .bind(attention.kind.word())
            .bind(make_storable(&attention.failure.code))
            .bind(make_storable(&attention.failure.message))
            .bind(attention.fingerprint)
            .bind(attention.step_name.as_deref())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

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
