//! Waking parked runs whose time has come, by the database's clock.

use sqlx::PgConnection;

use crate::engine::{core::model::Time, error::Error};

/// Makes up to `limit` parked runs due, oldest timer first. Gives the times that they were due at.
pub(crate) async fn fire(conn: &mut PgConnection, limit: i64) -> Result<Vec<Time>, Error> {
    Ok(sqlx::query_scalar(include_str!("sql/fire_timers.sql")).bind(limit).fetch_all(conn).await?)
}
