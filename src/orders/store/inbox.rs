//! The gateway's events: recorded once per id, before anything comes of them.

use sqlx::{FromRow, PgConnection, Row};
use uuid::Uuid;

use crate::orders::order::Order;

/// An event to record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewEvent<'a> {
    pub(crate) id: &'a str,
    pub(crate) event_type: &'a str,
    pub(crate) order: Option<Uuid>,
    pub(crate) made_at_s: i64,
    pub(crate) body: &'a str,
}

/// Records an event as `handled`, and locks its order. `None`: it was known; `Some(None)`: there is no such order.
pub(crate) async fn record(
    conn: &mut PgConnection,
    event: NewEvent<'_>,
    handled: &str,
) -> Result<Option<Option<Order>>, sqlx::Error> {
    let recorded = sqlx::query(include_str!("sql/record_event.sql"))
        .bind(event.id)
        .bind(event.event_type)
        .bind(event.order)
        .bind(event.made_at_s as f64)
        .bind(event.body)
        .bind(handled)
        .fetch_optional(conn)
        .await?;
    let Some(row) = recorded else { return Ok(None) };
    let found: Option<Uuid> = row.try_get("id")?;
    Ok(Some(found.map(|_| Order::from_row(&row)).transpose()?))
}

/// Notes what came of an event, where that is not what was expected.
pub(crate) async fn mark_handled(conn: &mut PgConnection, id: &str, handled: &str) -> Result<(), sqlx::Error> {
    let query = "UPDATE shop.webhook_events SET handled = $2 WHERE id = $1";
    sqlx::query(query).bind(id).bind(handled).execute(conn).await?;
    Ok(())
}

/// Records a webhook that is signed and can't be read: a hash and the size.
pub(crate) async fn reject(conn: &mut PgConnection, code: &str, hash: &[u8], bytes: i64) -> Result<(), sqlx::Error> {
    let query = "INSERT INTO shop.webhook_rejects (code, body_hash, body_bytes, received_at)
        VALUES ($1, $2, $3, shop.now())";
    sqlx::query(query).bind(code).bind(hash).bind(bytes).execute(conn).await?;
    Ok(())
}
