//! The token buckets that servers share. Real time, not the clock that tests move: limits protect the database of now.

use std::time::Duration;

use sqlx::PgConnection;

use super::schema::Schema;
use crate::engine::{
    core::bucket::{Drawn, Rate},
    error::Error,
};

/// Draws up to `want` tokens from the bucket of this name. A commit without a flush: the table is unlogged.
pub(crate) async fn draw(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    rate: Rate,
    want: u32,
) -> Result<Drawn, Error> {
    // $2: seconds that a token takes. $3: the tokens of a full bucket. $4: how many are wanted. A hair more than what divides
    // exactly: full_at is kept in microseconds.
    let query = "INSERT INTO {schema}.rate_bucket AS b (name, full_at, granted)
        SELECT $1, clock_timestamp() + make_interval(secs => $2::float8 * n), n
        FROM (SELECT least($4::float8, $3::float8)::int AS n) want
        ON CONFLICT (name) DO UPDATE SET (full_at, granted) = (
            SELECT greatest(b.full_at, t.now) + make_interval(secs => $2 * n), n
            FROM (SELECT clock_timestamp() AS now) t,
                LATERAL (SELECT extract(epoch FROM greatest(b.full_at - t.now, interval '0'))::float8 AS lacks) l,
                LATERAL (SELECT greatest(0, least($4, floor($3 - lacks / $2 + 1e-3)))::int AS n) possible)
        RETURNING granted, extract(epoch FROM full_at - clock_timestamp())::float8";
    let (granted, lacks): (i32, f64) = sqlx::query_as(schema.sql(query))
        .bind(name)
        .bind(rate.per_token().as_secs_f64())
        .bind(f64::from(rate.burst))
        .bind(f64::from(want))
        .fetch_one(conn)
        .await?;
    let each = rate.per_token().as_secs_f64();
    let left = (f64::from(rate.burst) - lacks / each).clamp(0.0, f64::from(rate.burst));
    let next = Duration::try_from_secs_f64((1.0 - left) * each).unwrap_or_default();
    Ok(Drawn { granted: granted.unsigned_abs(), left: left as u32, next })
}

/// Forgets buckets that have been full for a while, a bounded number of them.
pub(crate) async fn forget_full(schema: &Schema, conn: &mut PgConnection) -> Result<u64, Error> {
    // Asked for twice: a bucket that is drawn from meanwhile stays.
    let query = "DELETE FROM {schema}.rate_bucket WHERE full_at < clock_timestamp() - interval '1 minute' AND name IN (
        SELECT name FROM {schema}.rate_bucket WHERE full_at < clock_timestamp() - interval '1 minute' LIMIT 10000)";
    Ok(sqlx::query(schema.sql(query)).execute(conn).await?.rows_affected())
}
