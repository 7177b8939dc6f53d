//! How many runs stand where, for metrics; and whether a worker's lanes are alive, for its readiness.

use std::time::Duration;

use sqlx::{PgConnection, Row};

use super::{outbox, schema::Schema, search::fleet};
use crate::engine::{error::Error, read_models::Gauges};

/// The counts, inside of a transaction of the caller's, for whose rest the limit holds. They are bounded in time by the server, so that a scrape never becomes a load of its own.
pub(crate) async fn load(schema: &Schema, conn: &mut PgConnection, at_most: Duration) -> Result<Gauges, Error> {
    let millis = at_most.as_millis().to_string();
    sqlx::query("SELECT set_config('statement_timeout', $1, true)").bind(millis).execute(&mut *conn).await?;
    let row = sqlx::query(schema.sql(include_str!("sql/gauges.sql"))).fetch_one(&mut *conn).await?;
    let counts = fleet::count_runs(schema, conn).await?;
    Ok(Gauges {
        runs: counts.into_iter().filter(|count| !count.status.has_ended()).collect(),
        oldest_due_seconds: row.try_get("oldest_due")?,
        attention_runs: row.try_get("attention")?,
        holds: row.try_get("holds")?,
        operations_open: row.try_get("operations")?,
        events_parked: row.try_get("events_parked")?,
        workers_alive: row.try_get("workers")?,
        outbox: outbox::lag(schema, conn).await?,
    })
}

/// How long ago the newest worker of that name was heard of, in seconds, through the lane that spoke last. None: it has no lane.
pub(crate) async fn silent_for(schema: &Schema, conn: &mut PgConnection, worker: &str) -> Result<Option<f64>, Error> {
    let query = "SELECT extract(epoch FROM clock_timestamp() - max(l.beat))::float8 FROM {schema}.lane l
        WHERE l.alive AND l.worker_id = (SELECT max(id) FROM {schema}.worker WHERE name = $1)";
    Ok(sqlx::query_scalar(schema.sql(query)).bind(worker).fetch_one(conn).await?)
}
