//! Circuit breakers that processes share. Real time, not the clock that tests move: they protect the systems of now.

use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{rows::read_word, schema::Schema};
use crate::engine::{
    core::breaker::{BreakerMode, Circuit},
    error::Error,
    read_models::{BreakerScope, BreakerStatus},
};

/// Everything that is on record, by scope, and the time in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) now: i64,
    pub(crate) circuits: Vec<(String, String, Circuit)>,
    pub(crate) modes: Vec<(String, BreakerMode)>,
}

/// Reads all breakers and modes: there are few.
pub(crate) async fn load(schema: &Schema, conn: &mut PgConnection) -> Result<Recorded, Error> {
    let query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now, NULL AS mode, b.scope, operation, state,
            (extract(epoch FROM since) * 1000)::bigint AS since, (extract(epoch FROM window_from) * 1000)::bigint AS window_from,
            calls, failures FROM {schema}.breaker b
        UNION ALL
        SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, mode, scope, NULL, NULL, NULL, NULL, NULL, NULL
        FROM {schema}.breaker_mode";
    let mut recorded = Recorded::default();
    for row in sqlx::query(schema.sql(query)).fetch_all(conn).await? {
        recorded.now = row.try_get("now")?;
        let scope: String = row.try_get("scope")?;
        match row.try_get::<Option<String>, _>("mode")? {
            Some(_) => recorded.modes.push((scope, read_word(&row, "mode")?)),
            None => recorded.circuits.push((scope, row.try_get("operation")?, read_circuit(&row)?)),
        }
    }
    Ok(recorded)
}

fn read_circuit(row: &PgRow) -> Result<Circuit, sqlx::Error> {
    Ok(Circuit {
        state: read_word(row, "state")?,
        since: row.try_get("since")?,
        window_from: row.try_get("window_from")?,
        calls: row.try_get::<i32, _>("calls")?.unsigned_abs(),
        failures: row.try_get::<i32, _>("failures")?.unsigned_abs(),
    })
}

/// Locks one breaker until the transaction ends; gives it and the time.
pub(crate) async fn lock(
    schema: &Schema,
    conn: &mut PgConnection,
    (scope, operation): (&str, &str),
) -> Result<(Circuit, i64), Error> {
    let query = include_str!("sql/lock_breaker.sql");
    let row = sqlx::query(schema.sql(query)).bind(scope).bind(operation).fetch_one(conn).await?;
    Ok((read_circuit(&row)?, row.try_get("now")?))
}

/// Writes one that is locked.
pub(crate) async fn save(
    schema: &Schema,
    conn: &mut PgConnection,
    (scope, operation): (&str, &str),
    circuit: &Circuit,
) -> Result<(), Error> {
    let query = "UPDATE {schema}.breaker SET state = $3, since = to_timestamp($4::numeric / 1000),
            window_from = to_timestamp($5::numeric / 1000), calls = $6, failures = $7
        WHERE scope = $1 AND operation = $2";
    sqlx::query(schema.sql(query))
        .bind(scope)
        .bind(operation)
        .bind(circuit.state.word())
        .bind(circuit.since)
        .bind(circuit.window_from)
        .bind(i32::try_from(circuit.calls).unwrap_or(i32::MAX))
        .bind(i32::try_from(circuit.failures).unwrap_or(i32::MAX))
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes what operators want of a scope; gives what they wanted before.
pub(crate) async fn set_mode(
    schema: &Schema,
    conn: &mut PgConnection,
    scope: &str,
    mode: BreakerMode,
    (actor, reason): (&str, &str),
) -> Result<(), Error> {
    let query = "INSERT INTO {schema}.breaker_mode (scope, mode, actor, reason, since)
        VALUES ($1, $2, $3, $4, {schema}.now())
        ON CONFLICT (scope) DO UPDATE SET mode = excluded.mode, actor = excluded.actor, reason = excluded.reason,
            since = excluded.since";
    sqlx::query(schema.sql(query)).bind(scope).bind(mode.word()).bind(actor).bind(reason).execute(conn).await?;
    Ok(())
}

/// What operators want of each scope, by name, and its breakers.
pub(crate) async fn list(schema: &Schema, conn: &mut PgConnection) -> Result<Vec<BreakerScope>, Error> {
    let query = "SELECT coalesce(b.scope, m.scope) AS scope, coalesce(m.mode, 'auto') AS mode, m.actor, m.reason,
            m.since AS set_at, b.operation, b.state, b.since, b.calls, b.failures
        FROM {schema}.breaker b FULL JOIN {schema}.breaker_mode m ON m.scope = b.scope ORDER BY 1, b.operation";
    let mut scopes: Vec<BreakerScope> = Vec::new();
    for row in sqlx::query(schema.sql(query)).fetch_all(conn).await? {
        let scope: String = row.try_get("scope")?;
        if scopes.last().is_none_or(|last| last.scope != scope) {
            scopes.push(BreakerScope {
                scope,
                mode: read_word(&row, "mode")?,
                actor: row.try_get("actor")?,
                reason: row.try_get("reason")?,
                set_at: row.try_get("set_at")?,
                operations: Vec::new(),
            });
        }
        let operation: Option<String> = row.try_get("operation")?;
        if let (Some(operation), Some(last)) = (operation, scopes.last_mut()) {
            last.operations.push(BreakerStatus {
                operation,
                state: read_word(&row, "state")?,
                since: row.try_get("since")?,
                calls: row.try_get::<i32, _>("calls")?.unsigned_abs(),
                failures: row.try_get::<i32, _>("failures")?.unsigned_abs(),
            });
        }
    }
    Ok(scopes)
}
