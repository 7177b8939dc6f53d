//! The stock ledger: one reservation per order line. A reservation is committed or released once, however many ask.
//!
//! Each function first locks the item rows in the order of their skus, then moves reservations by an UPDATE that names the state
//! they move from; a second caller finds none in that state and changes nothing.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    engine::Time,
    orders::{
        error::Error,
        stock::{Demand, share_out},
    },
};

/// Holds all lines of an order, or none, for each of these orders; the first in the list comes first. Gives those that go
/// without, and the first of their lines (by sku) that is short.
pub(crate) async fn reserve(conn: &mut PgConnection, orders: &[Uuid]) -> Result<HashMap<Uuid, Error>, sqlx::Error> {
    let lines: Vec<(Uuid, String, i64, i64)> =
        sqlx::query_as(include_str!("sql/lock_lines.sql")).bind(orders).fetch_all(&mut *conn).await?;
    let demands = lines.into_iter().map(|(order, sku, wanted, available)| Demand { order, sku, wanted, available });
    let short = share_out(orders, demands.collect());
    let held: Vec<Uuid> = orders.iter().filter(|order| !short.contains_key(order)).copied().collect();
    if !held.is_empty() {
        sqlx::query(include_str!("sql/reserve.sql")).bind(held).execute(conn).await?;
    }
    Ok(short)
}

/// Commits the reservations of orders: their units leave the stock. Gives the time, after all waiting.
pub(crate) async fn commit(conn: &mut PgConnection, orders: &[Uuid]) -> Result<Time, sqlx::Error> {
    lock_held(conn, orders).await?;
    sqlx::query_scalar(include_str!("sql/commit_reservations.sql")).bind(orders).fetch_one(conn).await
}

/// Releases the reservations of orders: what was held is free again, what was committed is on hand again. Gives the orders
/// that had some.
pub(crate) async fn release(conn: &mut PgConnection, orders: &[Uuid]) -> Result<HashSet<Uuid>, sqlx::Error> {
    lock_held(conn, orders).await?;
    let released: Vec<Uuid> =
        sqlx::query_scalar(include_str!("sql/release_reservations.sql")).bind(orders).fetch_all(conn).await?;
    Ok(released.into_iter().collect())
}

async fn lock_held(conn: &mut PgConnection, orders: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("sql/lock_reserved.sql")).bind(orders).execute(conn).await?;
    Ok(())
}
