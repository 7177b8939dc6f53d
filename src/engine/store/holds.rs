//! Holds: what operators hold back, and the runs that were put aside for a held activity.
//!
//! A held queue or workflow is left out by claims. A held activity's runs stand in `ready` under a queue of their own that
//! nobody serves; see docs/decisions/0017.

use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{HOLDS_HINT, rows::read_word, schema::Schema};
use crate::engine::{
    core::holds::{HeldBack, HoldKind},
    error::Error,
    read_models::Hold,
};

/// Everything that is held back, oldest first.
pub(crate) async fn list(schema: &Schema, conn: &mut PgConnection) -> Result<Vec<Hold>, Error> {
    let query = "SELECT kind, name, actor, reason, since FROM {schema}.hold ORDER BY since, kind, name";
    let rows = sqlx::query(schema.sql(query)).fetch_all(conn).await?;
    rows.iter().map(|row| read_hold(row).map_err(Error::from)).collect()
}

/// The same, as workers look at it.
pub(crate) async fn held_back(schema: &Schema, conn: &mut PgConnection) -> Result<HeldBack, Error> {
    let rows: Vec<(String, String)> =
        sqlx::query_as(schema.sql("SELECT kind, name FROM {schema}.hold")).fetch_all(conn).await?;
    Ok(rows.into_iter().filter_map(|(kind, name)| Some((kind.parse().ok()?, name))).collect())
}

/// Whether any version of this workflow was ever registered.
pub(crate) async fn knows_workflow(schema: &Schema, conn: &mut PgConnection, name: &str) -> Result<bool, Error> {
    let query = "SELECT EXISTS (SELECT FROM {schema}.workflow WHERE name = $1)";
    Ok(sqlx::query_scalar(schema.sql(query)).bind(name).fetch_one(conn).await?)
}

/// Holds something back. False: it was held already, and that hold stays as it is.
pub(crate) async fn set(
    schema: &Schema,
    conn: &mut PgConnection,
    kind: HoldKind,
    name: &str,
    actor: &str,
    reason: &str,
) -> Result<(Hold, bool), Error> {
    let query = "INSERT INTO {schema}.hold (kind, name, actor, reason, since) VALUES ($1, $2, $3, $4, {schema}.now())
        ON CONFLICT DO NOTHING RETURNING kind, name, actor, reason, since";
    let insert = sqlx::query(schema.sql(query)).bind(kind.word()).bind(name).bind(actor).bind(reason);
    if let Some(row) = insert.fetch_optional(&mut *conn).await? {
        send_hint(schema, conn).await?;
        return Ok((read_hold(&row)?, true));
    }
    // A statement of its own: it sees whose insert the other one waited for.
    let query = "SELECT kind, name, actor, reason, since FROM {schema}.hold WHERE kind = $1 AND name = $2";
    let row = sqlx::query(schema.sql(query)).bind(kind.word()).bind(name).fetch_optional(conn).await?;
    let row =
        row.ok_or_else(|| Error::WrongState("its hold was released at this very moment: ask again".to_owned()))?;
    Ok((read_hold(&row)?, false))
}

/// Releases something. None: it was not held.
pub(crate) async fn release(
    schema: &Schema,
    conn: &mut PgConnection,
    kind: HoldKind,
    name: &str,
) -> Result<Option<Hold>, Error> {
    let query = "DELETE FROM {schema}.hold WHERE kind = $1 AND name = $2 RETURNING kind, name, actor, reason, since";
    let row = sqlx::query(schema.sql(query)).bind(kind.word()).bind(name).fetch_optional(&mut *conn).await?;
    send_hint(schema, conn).await?;
    row.as_ref().map(read_hold).transpose().map_err(Error::from)
}

/// Workers look at once, when this commits.
async fn send_hint(schema: &Schema, conn: &mut PgConnection) -> Result<(), Error> {
    sqlx::query(schema.sql("SELECT pg_notify('{schema}_due', $1)")).bind(HOLDS_HINT).execute(conn).await?;
    Ok(())
}

fn read_hold(row: &PgRow) -> Result<Hold, sqlx::Error> {
    Ok(Hold {
        kind: read_word(row, "kind")?,
        name: row.try_get("name")?,
        actor: row.try_get("actor")?,
        reason: row.try_get("reason")?,
        since: row.try_get("since")?,
        note: None,
    })
}

/// Brings up to `limit` runs back whose activity is held no more.
pub(crate) async fn bring_back_released(schema: &Schema, conn: &mut PgConnection, limit: i64) -> Result<u64, Error> {
    Ok(sqlx::query(schema.sql(include_str!("sql/release_held.sql"))).bind(limit).execute(conn).await?.rows_affected())
}

/// Brings up to `limit` runs back of which something else is due.
pub(crate) async fn bring_back_due(schema: &Schema, conn: &mut PgConnection, limit: i64) -> Result<u64, Error> {
    Ok(sqlx::query(schema.sql(include_str!("sql/held_and_due.sql"))).bind(limit).execute(conn).await?.rows_affected())
}

/// Brings up to `limit` runs of which something is due out of queues that nobody serves.
pub(crate) async fn bring_back_unserved(schema: &Schema, conn: &mut PgConnection, limit: i64) -> Result<u64, Error> {
    let query = include_str!("sql/unserved_and_due.sql");
    Ok(sqlx::query(schema.sql(query)).bind(limit).execute(conn).await?.rows_affected())
}
