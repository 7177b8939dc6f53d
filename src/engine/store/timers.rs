//! Waking parked runs whose time has come, by the database's clock.

use std::time::Duration;

use sqlx::PgConnection;

use super::schema::Schema;
use crate::engine::{
    core::{model::Time, time::Moment},
    error::Error,
};

/// Makes up to `limit` parked runs due, oldest timer first. Gives how late each of them is.
pub(crate) async fn fire(schema: &Schema, conn: &mut PgConnection, limit: i64) -> Result<Vec<Duration>, Error> {
    let fired: Vec<(Time, Time)> =
        sqlx::query_as(schema.sql(include_str!("sql/fire_timers.sql"))).bind(limit).fetch_all(conn).await?;
    Ok(fired.into_iter().map(|(due, now)| now.since(due)).collect())
}
