//! What needs attention: groups of the same error, most runs first, and the entries of one run.

use sqlx::{PgConnection, Row, postgres::PgRow};

use super::super::{rows::read_word, schema::Schema};
use crate::engine::{
    core::{attention::AttentionKind, model::RunId},
    error::Error,
    read_models::{Attention, AttentionFilter, AttentionGroup},
};

/// A group, and the place in the list that it stands at.
pub(crate) type Placed = (AttentionGroup, (i64, String));

/// Up to `limit` groups after a place, most runs first.
pub(crate) async fn load_groups(
    schema: &Schema,
    conn: &mut PgConnection,
    filter: &AttentionFilter,
    after: Option<(i64, String)>,
    limit: i64,
) -> Result<Vec<Placed>, Error> {
    let (count, key) = after.unzip();
    let rows = sqlx::query(schema.sql(include_str!("../sql/attention_groups.sql")))
        .bind(&filter.workflow)
        .bind(filter.kind.map(AttentionKind::word))
        .bind(count)
        .bind(key)
        .bind(limit)
        .persistent(false)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| read_group(row).map_err(Error::from)).collect()
}

fn read_group(row: &PgRow) -> Result<Placed, sqlx::Error> {
    let count: i64 = row.try_get("runs")?;
    let group = AttentionGroup {
        fingerprint: row.try_get::<Option<i64>, _>("fingerprint")?.map(to_hex),
        kind: read_word(row, "kind")?,
        workflow: row.try_get("workflow")?,
        step: row.try_get("step_name")?,
        queue: row.try_get("queue")?,
        code: row.try_get("code")?,
        message: row.try_get("message")?,
        count,
        first_seen: row.try_get("first_seen")?,
        last_seen: row.try_get("last_seen")?,
        example: row.try_get("example")?,
    };
    Ok((group, (count, row.try_get("key")?)))
}

fn to_hex(fingerprint: i64) -> String {
    format!("{:016x}", fingerprint.cast_unsigned())
}

/// Why one run needs attention; nothing where it does not.
pub(crate) async fn of_run(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<Vec<Attention>, Error> {
    let query = "SELECT seq, kind, code, message, since, step_name, fingerprint
        FROM {schema}.attention WHERE run_id = $1 ORDER BY seq";
    let rows = sqlx::query(schema.sql(query)).bind(run).fetch_all(conn).await?;
    let entry = |row: &PgRow| {
        Ok(Attention {
            seq: u32::try_from(row.try_get::<i32, _>("seq")?).ok(),
            step: row.try_get("step_name")?,
            kind: read_word(row, "kind")?,
            code: row.try_get("code")?,
            message: row.try_get("message")?,
            since: row.try_get("since")?,
            fingerprint: to_hex(row.try_get("fingerprint")?),
        })
    };
    rows.iter().map(entry).collect()
}
