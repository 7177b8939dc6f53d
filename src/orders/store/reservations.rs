//! The stock ledger: one reservation per order line. A reservation is committed or released once, however many ask.
//!
//! Each function first locks the item rows in the order of their skus, then moves reservations by an UPDATE that names the state
//! they move from; a second caller finds none in that state and changes nothing.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::orders::error::Error;

/// Holds all lines of an order, or none.
///
/// # Errors
/// `out_of_stock`, naming the first line (by sku) that is short.
pub(crate) async fn reserve(conn: &mut PgConnection, order: Uuid) -> Result<(), Error> {
    let lines: Vec<(String, i64, i64)> =
        sqlx::query_as(include_str!("sql/lock_lines.sql")).bind(order).fetch_all(&mut *conn).await?;
    if let Some((sku, wanted, available)) = lines.into_iter().find(|(_, wanted, available)| available < wanted) {
        return Err(Error::OutOfStock { sku, wanted, available });
    }
    sqlx::query(include_str!("sql/reserve.sql")).bind(order).execute(conn).await?;
    Ok(())
}

/// Commits the reservations of an order: their units leave the stock. Gives how many reservations moved.
pub(crate) async fn commit(conn: &mut PgConnection, order: Uuid) -> Result<i64, sqlx::Error> {
    lock_held(conn, order).await?;
    sqlx::query_scalar(include_str!("sql/commit_reservations.sql")).bind(order).fetch_one(conn).await
}

/// Releases the reservations of an order: what was held is free again, what was committed is on hand again. Gives how many moved.
pub(crate) async fn release(conn: &mut PgConnection, order: Uuid) -> Result<i64, sqlx::Error> {
    lock_held(conn, order).await?;
    sqlx::query_scalar(include_str!("sql/release_reservations.sql")).bind(order).fetch_one(conn).await
}

async fn lock_held(conn: &mut PgConnection, order: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("sql/lock_reserved.sql")).bind(order).execute(conn).await?;
    Ok(())
}
