//! The gateway's events: recorded once per id, before anything comes of them.

use std::collections::HashMap;

use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
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
    /// What is expected to come of it.
    pub(crate) handled: &'a str,
}

/// Records events, and locks their orders. Gives the order, if there is one, of each event that was not known.
pub(crate) async fn record_all(
    conn: &mut PgConnection,
    events: &[NewEvent<'_>],
) -> Result<HashMap<String, Option<Order>>, sqlx::Error> {
    let rows = sqlx::query(include_str!("sql/record_events.sql"))
        .bind(events.iter().map(|event| event.id).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.event_type).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.order).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.handled).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.body).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.made_at_s as f64).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
    let read = |row: &PgRow| {
        let found: Option<Uuid> = row.try_get("id")?;
        Ok((row.try_get("event")?, found.map(|_| Order::from_row(row)).transpose()?))
    };
    rows.iter().map(read).collect()
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
