//! The audit of what is no run: holds, operations, schedules, keys. What is done to a run is audited by `operate`.

use serde_json::Value;
use sqlx::PgConnection;

use crate::engine::error::Error;

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
