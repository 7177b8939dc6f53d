//! What operators did, newest first.

use sqlx::{PgConnection, Postgres, QueryBuilder, Row, postgres::PgRow};

use super::super::rows::{parse_json, read_word};
use super::super::schema::Schema;
use crate::engine::{
    core::redact::hide,
    error::Error,
    read_models::{AuditEntry, AuditFilter},
};

/// Up to `limit` entries before a number. As with runs the statement has only the conditions that are asked for, and is
/// planned with their values: each has an index of its own.
pub(crate) async fn load_page(
    schema: &Schema,
    conn: &mut PgConnection,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<AuditEntry>, Error> {
    let mut query = QueryBuilder::<Postgres>::new(schema.render(
        "SELECT id, at, actor, action, run_id, subject, operation_id, outcome, code, message, reason,
            before::text AS before, after::text AS after,
            (SELECT w.secret_fields FROM {schema}.run r JOIN {schema}.workflow w ON w.id = r.workflow_id
             WHERE r.id = audit.run_id) AS secret_fields
         FROM {schema}.audit WHERE true",
    ));
    if let Some(run) = filter.run_id {
        query.push(" AND run_id = ").push_bind(run);
    }
    if let Some(operation) = filter.operation_id {
        query.push(" AND operation_id = ").push_bind(operation);
    }
    if let Some(actor) = &filter.actor {
        // A search for a key finds it with any name that its client gives itself (in brackets behind it).
        let column = if actor.contains(" (") { "actor" } else { "split_part(actor, ' (', 1)" };
        query.push(format_args!(" AND {column} = ")).push_bind(actor.clone());
    }
    if let Some(action) = &filter.action {
        query.push(" AND action = ").push_bind(action.clone());
    }
    if let Some(outcome) = filter.outcome {
        query.push(" AND outcome = ").push_bind(outcome.word());
    }
    if let Some(since) = filter.since {
        query.push(" AND at >= ").push_bind(since);
    }
    if let Some(before) = before {
        query.push(" AND id < ").push_bind(before);
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
    let rows = query.build().persistent(false).fetch_all(conn).await?;
    rows.iter().map(|row| read_entry(row).map_err(Error::from)).collect()
}

fn read_entry(row: &PgRow) -> Result<AuditEntry, sqlx::Error> {
    let secret: Vec<String> = row.try_get::<Option<_>, _>("secret_fields")?.unwrap_or_default();
    let (mut before, mut after) = (parse_json(row.try_get("before")?), parse_json(row.try_get("after")?));
    hide(&mut before, &secret);
    hide(&mut after, &secret);
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at: row.try_get("at")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        run_id: row.try_get("run_id")?,
        subject: row.try_get("subject")?,
        operation_id: row.try_get("operation_id")?,
        outcome: read_word(row, "outcome")?,
        code: row.try_get("code")?,
        message: row.try_get("message")?,
        reason: row.try_get("reason")?,
        before,
        after,
    })
}
