//! The gateway's events: recorded once per id, before anything comes of them.

use sqlx::PgConnection;
use uuid::Uuid;

/// An event to record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewEvent<'a> {
    pub(crate) id: &'a str,
    pub(crate) event_type: &'a str,
    pub(crate) order: Option<Uuid>,
    pub(crate) made_at_s: i64,
    pub(crate) body: &'a str,
}

/// Records an event. False: it was known. Of two at the same moment the second waits for the first one's commit.
pub(crate) async fn record(conn: &mut PgConnection, event: NewEvent<'_>) -> Result<bool, sqlx::Error> {
    let query = "INSERT INTO shop.webhook_events (id, event_type, order_id, handled, body, made_at, received_at)
        VALUES ($1, $2, $3, 'received', $5::json, to_timestamp($4::double precision), shop.now())
        ON CONFLICT DO NOTHING";
    let recorded = sqlx::query(query)
        .bind(event.id)
        .bind(event.event_type)
        .bind(event.order)
        .bind(event.made_at_s as f64)
        .bind(event.body)
        .execute(conn)
        .await?;
    Ok(recorded.rows_affected() == 1)
}

/// Notes what came of an event.
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
