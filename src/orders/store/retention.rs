//! What the shop remembers for a time: the gateway's events, the callers' keys, differences that are no more.

use super::first_id_of;
use crate::engine::Time;
use sqlx::PgConnection;

/// Forgets what of these is from before this moment, up to `limit` of each; gives how many.
pub(crate) async fn forget(conn: &mut PgConnection, before: Time, limit: i64) -> Result<u64, sqlx::Error> {
    let events = "DELETE FROM shop.webhook_events WHERE id IN
        (SELECT id FROM shop.webhook_events WHERE received_at < $1 LIMIT $2)";
    let rejects = "DELETE FROM shop.webhook_rejects WHERE id IN
        (SELECT id FROM shop.webhook_rejects WHERE received_at < $1 ORDER BY id LIMIT $2)";
    let mut forgotten = 0;
    let differences = "DELETE FROM shop.difference WHERE id IN
        (SELECT id FROM shop.difference WHERE state <> 'open' AND last_seen < $1 LIMIT $2)";
    let comparisons = "DELETE FROM shop.reconciliation WHERE run_id IN
        (SELECT run_id FROM shop.reconciliation WHERE began_at < $1 LIMIT $2)";
    for query in [events, rejects, differences, comparisons] {
        forgotten += sqlx::query(query).bind(before).bind(limit).execute(&mut *conn).await?.rows_affected();
    }
    // A key is as old as its order, whose id says when it was made.
    let keys = "DELETE FROM shop.order_keys WHERE key IN
        (SELECT key FROM shop.order_keys WHERE order_id < $1 LIMIT $2)";
    // Where a customer is reached is forgotten once the order is archived; a notification's id says when that was made.
    let contacts = "DELETE FROM shop.order_contact WHERE order_id IN
        (SELECT c.order_id FROM shop.order_contact c LEFT JOIN shop.orders o ON o.id = c.order_id
         WHERE c.order_id < $1 AND (o.id IS NULL OR o.archived_at IS NOT NULL) LIMIT $2)";
    let sellers = "DELETE FROM shop.order_seller WHERE (order_id, seller_id, email) IN
        (SELECT order_id, seller_id, email FROM shop.order_seller WHERE order_id < $1 LIMIT $2)";
    let notifications = "DELETE FROM shop.notification WHERE id IN
        (SELECT id FROM shop.notification WHERE id < $1 LIMIT $2)";
    for query in [keys, contacts, sellers, notifications] {
        let done = sqlx::query(query).bind(first_id_of(before)).bind(limit).execute(&mut *conn).await?;
        forgotten += done.rows_affected();
    }
    Ok(forgotten)
}
