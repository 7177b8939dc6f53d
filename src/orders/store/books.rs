//! The shop's own books: their invariants, what `doctor`, the demo and tests ask, and what a comparison reads. Nothing here
//! writes.

use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::orders::read_word;
use crate::{engine::Time, orders::difference::Mismatch};

/// Breaches that are listed at most.
const AT_MOST: i64 = 50;

/// What does not add up, in sentences; none when all does.
pub(crate) async fn find_breaches(conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let query = include_str!("sql/book_breaches.sql");
    let none: Option<Time> = None;
    let rows = sqlx::query(query).bind(AT_MOST).bind(none).bind(Uuid::nil()).fetch_all(conn).await?;
    rows.iter().map(|row| row.try_get("breach")).collect()
}

/// The same as differences, of orders since `since` that have not changed after `until` and are not under way.
pub(crate) async fn find_differences(
    conn: &mut PgConnection,
    since: Time,
    until: Time,
    limit: i64,
) -> Result<Vec<Mismatch>, sqlx::Error> {
    let query = include_str!("sql/book_breaches.sql");
    sqlx::query_as(query).bind(limit).bind(until).bind(super::first_id_of(since)).fetch_all(conn).await
}

impl FromRow<'_, PgRow> for Mismatch {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            kind: read_word(row, "kind")?,
            order_id: row.try_get("order_id")?,
            payment_id: None,
            sku: row.try_get("sku")?,
            expected: row.try_get("expected")?,
            actual: row.try_get("actual")?,
            currency: row.try_get("currency")?,
        })
    }
}

/// What our books say of an order's payment.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Booked {
    pub(crate) id: Uuid,
    pub(crate) intent_id: Option<String>,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
    pub(crate) currency: String,
    /// A run is about to settle it, or it has changed lately.
    pub(crate) under_way: bool,
}

/// Orders as a comparison sees them; `$1` is the moment from which on a change is too young. A late payment's run may wait
/// for its order's undo: it has a day from the event that started it.
macro_rules! booked {
    ($condition:literal) => {
        concat!(
            "SELECT o.id, o.intent_id, o.captured, o.refunded, o.currency,
                o.payment_state IN ('pending', 'unknown', 'refund_pending')
                OR o.state IN ('created', 'awaiting_payment', 'cancelling') OR o.updated_at > $1
                OR (o.captured = 0 AND EXISTS (SELECT FROM shop.webhook_events e WHERE e.order_id = o.id
                    AND e.handled = 'late_payment' AND e.received_at > shop.now() - interval '1 day')) AS under_way
            FROM shop.orders o WHERE ",
            $condition
        )
    };
}

/// The orders with these ids, and those that these payments are booked for.
pub(crate) async fn of_payments(
    conn: &mut PgConnection,
    until: Time,
    orders: &[Uuid],
    payments: &[&str],
) -> Result<Vec<Booked>, sqlx::Error> {
    let query = booked!("o.id = ANY ($2) OR o.intent_id = ANY ($3)");
    sqlx::query_as(query).bind(until).bind(orders).bind(payments).fetch_all(conn).await
}

/// A page of the orders with a payment, newest first, older than `before` and not older than `since`.
pub(crate) async fn page(
    conn: &mut PgConnection,
    until: Time,
    since: Time,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Booked>, sqlx::Error> {
    let query = booked!(
        "o.intent_id IS NOT NULL AND o.id >= $2 AND ($3::uuid IS NULL OR o.id < $3) ORDER BY o.id DESC LIMIT $4"
    );
    sqlx::query_as(query).bind(until).bind(super::first_id_of(since)).bind(before).bind(limit).fetch_all(conn).await
}

/// Units of an item that orders have taken for good.
pub(crate) async fn units_committed(conn: &mut PgConnection, sku: &str) -> Result<i64, sqlx::Error> {
    let query =
        "SELECT coalesce(sum(quantity), 0)::bigint FROM shop.reservations WHERE sku = $1 AND state = 'committed'";
    sqlx::query_scalar(query).bind(sku).fetch_one(conn).await
}
