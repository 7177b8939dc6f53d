//! How far each sink has got. Who delivers to it holds a lease, and every write is fenced by the lease's token: only a takeover
//! changes it. Leases go by real time, not by the clock that tests move.

use std::time::Duration;

use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::Schema;
use crate::engine::{
    error::Error,
    read_models::{SinkLag, SinkState},
};

/// Makes a sink known; whether it was not.
pub(crate) async fn register(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    from_oldest: bool,
) -> Result<bool, Error> {
    let query = "INSERT INTO {schema}.event_sink (name, sequence)
        SELECT $1, CASE WHEN $2 THEN 0 ELSE last END FROM {schema}.event_head ON CONFLICT (name) DO NOTHING";
    let made = sqlx::query(schema.sql(query)).bind(name).bind(from_oldest).execute(conn).await?;
    Ok(made.rows_affected() == 1)
}

/// Takes or renews a lease. Gives how far the sink has got and how often it has failed since; none while another holds it, or
/// its pause after a failure is not over, or it is not known.
pub(crate) async fn lease(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    token: Uuid,
    lease: Duration,
) -> Result<Option<(i64, i32)>, Error> {
    let query = "UPDATE {schema}.event_sink
        SET token = $2, leased_until = clock_timestamp() + make_interval(secs => $3), seen_at = clock_timestamp()
        WHERE name = $1 AND retry_at <= clock_timestamp() AND (token = $2 OR leased_until < clock_timestamp())
        RETURNING sequence, failures";
    let query = sqlx::query_as(schema.sql(query)).bind(name).bind(token).bind(lease.as_secs_f64());
    Ok(query.fetch_optional(conn).await?)
}

/// Locks the row of a sink that is still leased to the caller, and gives how far it has got.
pub(crate) async fn lock_cursor(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    token: Uuid,
) -> Result<Option<i64>, Error> {
    let query = include_str!("../sql/lock_event_sink.sql");
    Ok(sqlx::query_scalar(schema.sql(query)).bind(name).bind(token).fetch_optional(conn).await?)
}

/// Records that a sink has got the events up to a number, and renews the lease. False: it is another's by now.
pub(crate) async fn advance(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    token: Uuid,
    sequence: i64,
    lease: Duration,
) -> Result<bool, Error> {
    let query =
        "UPDATE {schema}.event_sink SET sequence = $3, leased_until = clock_timestamp() + make_interval(secs => $4),
            seen_at = clock_timestamp(), failures = 0, failing_since = NULL, error = NULL
        WHERE name = $1 AND token = $2";
    let query = sqlx::query(schema.sql(query)).bind(name).bind(token).bind(sequence).bind(lease.as_secs_f64());
    Ok(query.execute(conn).await?.rows_affected() == 1)
}

/// Records that a delivery failed, behind a number, and gives the lease back: who takes it next waits for `pause`.
pub(crate) async fn fail(
    schema: &Schema,
    conn: &mut PgConnection,
    (name, token): (&str, Uuid),
    sequence: i64,
    error: &str,
    pause: Duration,
) -> Result<bool, Error> {
    let query = "UPDATE {schema}.event_sink SET error = $4,
            failures = CASE WHEN sequence < $3 THEN 1 ELSE failures + 1 END,
            failing_since = CASE WHEN sequence < $3 THEN {schema}.now() ELSE coalesce(failing_since, {schema}.now()) END,
            sequence = $3, leased_until = '-infinity',
            retry_at = clock_timestamp() + make_interval(secs => $5)
        WHERE name = $1 AND token = $2";
    let query = sqlx::query(schema.sql(query)).bind(name).bind(token).bind(sequence).bind(error);
    Ok(query.bind(pause.as_secs_f64()).execute(conn).await?.rows_affected() == 1)
}

/// Gives a lease back.
pub(crate) async fn give_up(schema: &Schema, conn: &mut PgConnection, token: Uuid) -> Result<(), Error> {
    let query = "UPDATE {schema}.event_sink SET leased_until = '-infinity' WHERE token = $1";
    sqlx::query(schema.sql(query)).bind(token).execute(conn).await?;
    Ok(())
}

/// What each sink lacks, and first what has no number yet.
pub(crate) async fn lag(schema: &Schema, conn: &mut PgConnection) -> Result<Vec<SinkLag>, Error> {
    let rows = sqlx::query(schema.sql(include_str!("../sql/event_lag.sql"))).fetch_all(conn).await?;
    let read = |row: &PgRow| {
        Ok(SinkLag { sink: row.try_get("sink")?, rows: row.try_get("rows")?, seconds: row.try_get("seconds")? })
    };
    rows.iter().map(read).collect()
}

/// All sinks that have been seen.
pub(crate) async fn list_sinks(schema: &Schema, conn: &mut PgConnection) -> Result<Vec<SinkState>, Error> {
    let query = "SELECT name, sequence, failures, failing_since, error, seen_at FROM {schema}.event_sink ORDER BY name";
    let rows = sqlx::query(schema.sql(query)).fetch_all(conn).await?;
    rows.iter().map(read_sink).collect()
}

/// One sink.
pub(crate) async fn find_sink(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
) -> Result<Option<SinkState>, Error> {
    let query =
        "SELECT name, sequence, failures, failing_since, error, seen_at FROM {schema}.event_sink WHERE name = $1";
    let row = sqlx::query(schema.sql(query)).bind(name).fetch_optional(conn).await?;
    row.as_ref().map(read_sink).transpose()
}

/// Moves a sink on from one number to another, at once and as if it had never failed. The new token takes the sink from who is
/// delivering to it: what that one records would move it back. None: it is no longer at that number.
pub(crate) async fn skip(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    (from, to): (i64, i64),
    token: Uuid,
) -> Result<Option<SinkState>, Error> {
    let query = "UPDATE {schema}.event_sink SET sequence = $3, token = $4, leased_until = '-infinity',
            retry_at = '-infinity', failures = 0, failing_since = NULL, error = NULL
        WHERE name = $1 AND sequence = $2
        RETURNING name, sequence, failures, failing_since, error, seen_at";
    let query = sqlx::query(schema.sql(query)).bind(name).bind(from).bind(to).bind(token);
    query.fetch_optional(conn).await?.as_ref().map(read_sink).transpose()
}

fn read_sink(row: &PgRow) -> Result<SinkState, Error> {
    Ok(SinkState {
        name: row.try_get("name")?,
        sequence: row.try_get("sequence")?,
        failures: row.try_get("failures")?,
        failing_since: row.try_get("failing_since")?,
        error: row.try_get("error")?,
        seen_at: row.try_get("seen_at")?,
    })
}

/// Forgets a sink and how far it had got.
pub(crate) async fn forget_sink(schema: &Schema, conn: &mut PgConnection, name: &str) -> Result<bool, Error> {
    let query = "DELETE FROM {schema}.event_sink WHERE name = $1";
    Ok(sqlx::query(schema.sql(query)).bind(name).execute(conn).await?.rows_affected() == 1)
}
