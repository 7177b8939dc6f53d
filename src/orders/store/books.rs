//! The ledger invariants of the shop's own books: what `doctor`, the demo and tests ask. Nothing here writes.

use sqlx::PgConnection;

/// Breaches that are listed at most.
const AT_MOST: i64 = 50;

/// What does not add up, in sentences; none when all does.
pub(crate) async fn breaches(conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(include_str!("sql/book_breaches.sql")).bind(AT_MOST).fetch_all(conn).await
}

/// Units of an item that orders have taken for good.
pub(crate) async fn units_committed(conn: &mut PgConnection, sku: &str) -> Result<i64, sqlx::Error> {
    let query =
        "SELECT coalesce(sum(quantity), 0)::bigint FROM shop.reservations WHERE sku = $1 AND state = 'committed'";
    sqlx::query_scalar(query).bind(sku).fetch_one(conn).await
}
