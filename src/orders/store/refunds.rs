//! Refunds: what is owed is fixed in a row before the gateway is asked, and booked once when it has answered.

use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::orders::{money, order::Order};

/// A refund of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefundRow {
    pub(crate) no: i32,
    pub(crate) amount: i64,
    pub(crate) state: String,
    pub(crate) escalated: bool,
}

fn read_refund(row: &PgRow) -> Result<RefundRow, sqlx::Error> {
    Ok(RefundRow {
        no: row.try_get("no")?,
        amount: row.try_get("amount")?,
        state: row.try_get("state")?,
        escalated: row.try_get("escalated")?,
    })
}

/// Fixes what is owed of an order that is locked: from here on a cancel's terms can't change it. The refund that is open
/// already, where there is one; `None`: nothing is owed.
pub(crate) async fn fix(conn: &mut PgConnection, order: &Order, bp: u32) -> Result<Option<RefundRow>, sqlx::Error> {
    let query = "SELECT no, amount, state, escalated_at IS NOT NULL AS escalated FROM shop.refunds
        WHERE order_id = $1 AND state IN ('requested', 'pending')";
    if let Some(row) = sqlx::query(query).bind(order.id).fetch_optional(&mut *conn).await? {
        return read_refund(&row).map(Some);
    }
    let owed = money::owed(order.captured, bp, order.refunded);
    if owed == 0 {
        return Ok(None);
    }
    let query = "INSERT INTO shop.refunds (order_id, no, amount, currency, state, created_at, updated_at)
        SELECT $1, coalesce(max(no), 0) + 1, $2, $3, 'requested', shop.now(), shop.now()
        FROM shop.refunds WHERE order_id = $1
        RETURNING no, amount, state, false AS escalated";
    let row = sqlx::query(query).bind(order.id).bind(owed).bind(&order.currency).fetch_one(conn).await?;
    read_refund(&row).map(Some)
}

/// One refund, locked.
pub(crate) async fn lock(conn: &mut PgConnection, order: Uuid, no: i32) -> Result<Option<RefundRow>, sqlx::Error> {
    let query = include_str!("sql/lock_refund.sql");
    sqlx::query(query).bind(order).bind(no).fetch_optional(conn).await?.as_ref().map(read_refund).transpose()
}

/// One refund.
pub(crate) async fn find(conn: &mut PgConnection, order: Uuid, no: i32) -> Result<Option<RefundRow>, sqlx::Error> {
    let query = "SELECT no, amount, state, escalated_at IS NOT NULL AS escalated FROM shop.refunds
        WHERE order_id = $1 AND no = $2";
    sqlx::query(query).bind(order).bind(no).fetch_optional(conn).await?.as_ref().map(read_refund).transpose()
}

/// Moves an open refund to `state`. False: it had been moved already, and nothing changed.
pub(crate) async fn settle(
    conn: &mut PgConnection,
    order: Uuid,
    no: i32,
    state: &str,
    refund_id: &str,
) -> Result<bool, sqlx::Error> {
    let query = "UPDATE shop.refunds SET state = $3, refund_id = $4, updated_at = shop.now(), last_error = NULL
        WHERE order_id = $1 AND no = $2 AND state IN ('requested', 'pending')";
    let moved = sqlx::query(query).bind(order).bind(no).bind(state).bind(refund_id).execute(conn).await?;
    Ok(moved.rows_affected() == 1)
}

/// Notes why the gateway refused.
pub(crate) async fn note_error(conn: &mut PgConnection, order: Uuid, no: i32, error: &str) -> Result<(), sqlx::Error> {
    let query = "UPDATE shop.refunds SET last_error = $3, updated_at = shop.now()
        WHERE order_id = $1 AND no = $2 AND state IN ('requested', 'pending')";
    sqlx::query(query).bind(order).bind(no).bind(error).execute(conn).await?;
    Ok(())
}

/// Notes that a failed refund was put before an operator.
pub(crate) async fn escalate(conn: &mut PgConnection, order: Uuid, no: i32) -> Result<(), sqlx::Error> {
    let query = "UPDATE shop.refunds SET escalated_at = shop.now() WHERE order_id = $1 AND no = $2";
    sqlx::query(query).bind(order).bind(no).execute(conn).await?;
    Ok(())
}

/// Whether a refund has been fixed, so that the terms of the cancel stand.
pub(crate) async fn has_any(conn: &mut PgConnection, order: Uuid) -> Result<bool, sqlx::Error> {
    let query = "SELECT EXISTS (SELECT FROM shop.refunds WHERE order_id = $1)";
    sqlx::query_scalar(query).bind(order).fetch_one(conn).await
}

/// The age in seconds of the oldest refund that the gateway has not taken; 0 when there is none.
pub(crate) async fn oldest_untold(conn: &mut PgConnection) -> Result<f64, sqlx::Error> {
    let query = "SELECT coalesce(greatest(extract(epoch FROM shop.now() - min(created_at)), 0), 0)::float8
        FROM shop.refunds WHERE state IN ('requested', 'pending') AND state = 'requested'";
    sqlx::query_scalar(query).fetch_one(conn).await
}
