//! `audit`: what operators did, in the commit that does it; and what they were refused, in a statement of its own.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::schema::Schema;
use crate::engine::{core::model::RunId, error::Error};

/// Who acts, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By<'a> {
    pub(crate) actor: &'a str,
    pub(crate) reason: Option<&'a str>,
    /// The bulk operation that it is part of.
    pub(crate) operation: Option<Uuid>,
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) action: &'a str,
    pub(crate) run: Option<RunId>,
    /// What it was about, where that is no run.
    pub(crate) subject: Option<&'a str>,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

/// What was refused, and why.
#[derive(Debug)]
pub(crate) struct Refused<'a> {
    pub(crate) action: &'a str,
    pub(crate) run: Option<RunId>,
    /// What it was about, where that is no run.
    pub(crate) subject: Option<&'a str>,
    pub(crate) code: &'a str,
    pub(crate) message: &'a str,
}

/// Writes what was done. Called in the transaction that does it.
pub(crate) async fn record_done(
    schema: &Schema,
    conn: &mut PgConnection,
    entry: &Entry<'_>,
    by: By<'_>,
) -> Result<(), Error> {
    let query = "INSERT INTO {schema}.audit (at, actor, action, run_id, reason, before, after, operation_id, subject)
        VALUES ({schema}.now(), $1, $2, $3, $4, $5::json, $6::json, $7, $8)";
    sqlx::query(schema.sql(query))
        .bind(by.actor)
        .bind(entry.action)
        .bind(entry.run)
        .bind(by.reason)
        .bind(entry.before.as_ref().map(Value::to_string))
        .bind(entry.after.as_ref().map(Value::to_string))
        .bind(by.operation)
        .bind(entry.subject)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes what was refused. Called after whatever was begun has been rolled back.
pub(crate) async fn record_refused(
    schema: &Schema,
    conn: &mut PgConnection,
    refused: &Refused<'_>,
    by: By<'_>,
) -> Result<(), Error> {
    let query = "INSERT INTO {schema}.audit
            (at, actor, action, run_id, reason, subject, code, message, operation_id, outcome)
        VALUES ({schema}.now(), $1, $2, $3, $4, $5, $6, $7, $8, 'refused')";
    sqlx::query(schema.sql(query))
        .bind(by.actor)
        .bind(refused.action)
        .bind(refused.run)
        .bind(by.reason)
        .bind(refused.subject)
        .bind(refused.code)
        .bind(refused.message)
        .bind(by.operation)
        .execute(conn)
        .await?;
    Ok(())
}
