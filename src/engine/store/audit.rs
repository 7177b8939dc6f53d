//! The audit: what was done, in the commit that does it, and what was refused, in a statement of its own. To runs, and to what is
//! no run: holds, operations, schedules, keys.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{core::model::RunId, error::Error};

/// What somebody did to something that is no run, or was refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Who.
    pub(crate) actor: &'a str,
    /// What: `hold`, `release`, `pause` …
    pub(crate) action: &'a str,
    /// To what: its kind and its name.
    pub(crate) subject: &'a str,
    /// Why.
    pub(crate) reason: Option<&'a str>,
}

/// Puts down what was done, in the commit that does it.
pub(crate) async fn done(
    conn: &mut PgConnection,
    entry: Entry<'_>,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<(), Error> {
    let query = "INSERT INTO backstitch.audit (at, actor, action, subject, reason, before, after)
        VALUES (backstitch.now(), $1, $2, $3, $4, $5::json, $6::json)";
    let text = |value: Option<Value>| value.map(|value| value.to_string());
    sqlx::query(query)
        .bind(entry.actor)
        .bind(entry.action)
        .bind(entry.subject)
        .bind(entry.reason)
        .bind(text(before))
        .bind(text(after))
        .execute(conn)
        .await?;
    Ok(())
}

/// Puts down what was refused, and why.
pub(crate) async fn refused(conn: &mut PgConnection, entry: Entry<'_>, why: &Error) -> Result<(), Error> {
    let query = "INSERT INTO backstitch.audit (at, actor, action, subject, reason, outcome, code, message)
        VALUES (backstitch.now(), $1, $2, $3, $4, 'refused', $5, $6)";
    sqlx::query(query)
        .bind(entry.actor)
        .bind(entry.action)
        .bind(entry.subject)
        .bind(entry.reason)
        .bind(why.code())
        .bind(why.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Who acts on a run, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By<'a> {
    pub(crate) actor: &'a str,
    pub(crate) reason: Option<&'a str>,
    /// The bulk operation that it is part of.
    pub(crate) operation: Option<Uuid>,
}

/// What was refused, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused<'a> {
    pub(crate) action: &'a str,
    pub(crate) run: Option<RunId>,
    /// What it was about, where that is no run.
    pub(crate) subject: Option<&'a str>,
    pub(crate) code: &'a str,
    pub(crate) message: &'a str,
}

/// Puts down what was done to a run, in the commit that does it.
pub(crate) async fn done_to_run(
    conn: &mut PgConnection,
    run: RunId,
    action: &str,
    before: Option<Value>,
    after: Option<Value>,
    by: By<'_>,
) -> Result<(), Error> {
    let query = "INSERT INTO backstitch.audit (at, actor, action, run_id, reason, before, after, operation_id)
        VALUES (backstitch.now(), $1, $2, $3, $4, $5::json, $6::json, $7)";
    sqlx::query(query)
        .bind(by.actor)
        .bind(action)
        .bind(run)
        .bind(by.reason)
        .bind(before.map(|value| value.to_string()))
        .bind(after.map(|value| value.to_string()))
        .bind(by.operation)
        .execute(conn)
        .await?;
    Ok(())
}

/// Puts down a refusal, of a run or of anything. Called after whatever was begun has been rolled back.
pub(crate) async fn refusal(conn: &mut PgConnection, refused: &Refused<'_>, by: By<'_>) -> Result<(), Error> {
    let query = "INSERT INTO backstitch.audit
            (at, actor, action, run_id, reason, subject, code, message, operation_id, outcome)
        VALUES (backstitch.now(), $1, $2, $3, $4, $5, $6, $7, $8, 'refused')";
    sqlx::query(query)
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
