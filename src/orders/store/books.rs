//! The ledger invariants of the shop's own books: what `doctor`, the demo and tests ask. Nothing here writes.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::Time;

/// Breaches that are listed at most.
const AT_MOST: i64 = 50;

/// What does not add up, in sentences; none when all does.
pub(crate) async fn find_breaches(conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(include_str!("sql/book_breaches.sql")).bind(AT_MOST).fetch_all(conn).await
}

/// What our books say of an order's payment.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Booked {
    pub(crate) id: Uuid,
    pub(crate) intent_id: String,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
    /// Its run is about to settle it.
    pub(crate) under_way: bool,
    pub(crate) updated_at: Time,
}

/// One order with a payment, or the newest ones.
pub(crate) async fn booked(conn: &mut PgConnection, one: Option<Uuid>, limit: i64) -> Result<Vec<Booked>, sqlx::Error> {
    let query = "SELECT id, intent_id, captured, refunded, updated_at,
            payment_state IN ('pending', 'unknown', 'refund_pending') OR state = 'cancelling' AS under_way
        FROM shop.orders WHERE intent_id IS NOT NULL AND ($1::uuid IS NULL OR id = $1) ORDER BY id DESC LIMIT $2";
    sqlx::query_as(query).bind(one).bind(limit).fetch_all(conn).await
}

/// Units of an item that orders have taken for good.
pub(crate) async fn units_committed(conn: &mut PgConnection, sku: &str) -> Result<i64, sqlx::Error> {
    let query =
        "SELECT coalesce(sum(quantity), 0)::bigint FROM shop.reservations WHERE sku = $1 AND state = 'committed'";
    sqlx::query_scalar(query).bind(sku).fetch_one(conn).await
}
