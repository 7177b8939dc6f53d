//! What the server says of itself: for `doctor` and for a caller that refuses an unsafe one.

use sqlx::{PgConnection, Row};

use super::{schema::Schema, session};
use crate::engine::{error::Error, read_models::ServerSettings};

/// Makes a commit that changes nothing and waits for the disk, and for standbys, as any other does: a message in the log that
/// nobody reads.
pub(crate) async fn commit_nothing(conn: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("SELECT pg_logical_emit_message(true, 'backstitch', '')").execute(conn).await?;
    Ok(())
}

/// Settings that the promises rest on, and how far the clocks are apart.
pub(crate) async fn load_settings(schema: &Schema, conn: &mut PgConnection) -> Result<ServerSettings, Error> {
    let query =
        "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS text,
        EXISTS (SELECT FROM pg_stat_replication) AS has_standbys, clock_timestamp() AS now,
        CASE WHEN to_regclass('{schema}.clock') IS NULL THEN 0 ELSE 1 END AS has_clock";
    let row = sqlx::query(schema.sql(query)).fetch_one(&mut *conn).await?;
    #[expect(clippy::disallowed_methods, reason = "the machine's own clock is what is compared with the database's")]
    let here = chrono::Utc::now();
    let now: chrono::DateTime<chrono::Utc> = row.try_get("now")?;
    let shift_ms: i64 = if row.try_get::<i32, _>("has_clock")? == 1 {
        let query = "SELECT (extract(epoch FROM shift) * 1000)::bigint FROM {schema}.clock";
        sqlx::query_scalar(schema.sql(query)).fetch_one(&mut *conn).await?
    } else {
        0
    };
    let (encoding, overrides) = (session::encoding(conn).await?, session::overrides(conn).await?);
    let query = "SELECT name, setting FROM pg_settings
        WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') ORDER BY name";
    Ok(ServerSettings {
        version: row.try_get("number")?,
        version_text: row.try_get("text")?,
        durability: sqlx::query_as(schema.sql(query)).fetch_all(conn).await?,
        has_standbys: row.try_get("has_standbys")?,
        clock_skew_ms: now.signed_duration_since(here).num_milliseconds(),
        shift_ms,
        encoding,
        overrides,
    })
}
