//! Forks: a new run with a part of another one's record, in one commit with its audit.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{audit, schema::Schema, verbs};
use crate::engine::{
    core::{
        model::{RunId, Status},
        ruling::{Forked, fork as rule_fork},
    },
    error::Error,
};

/// What is to be forked.
#[derive(Debug)]
pub(crate) struct Fork<'a> {
    pub(crate) run: RunId,
    /// The first step that is made again.
    pub(crate) from: u32,
    /// Another input than the first run's.
    pub(crate) input: Option<&'a str>,
    /// The new run's id.
    pub(crate) new: RunId,
}

/// Forks a run inside of the caller's transaction, or says what that would keep. Gives the first run's status.
///
/// # Errors
/// What the core refuses; `unknown_run`.
pub(crate) async fn fork(
    schema: &Schema,
    conn: &mut PgConnection,
    what: &Fork<'_>,
    by: audit::By<'_>,
    dry_run: bool,
) -> Result<(Status, Forked), Error> {
    let facts = verbs::lock(schema, conn, what.run).await?;
    let forked = rule_fork(&facts, what.from, what.input.is_some());
    let forked = forked.map_err(|refusal| verbs::refusal_error(what.run, refusal))?;
    if dry_run {
        return Ok((facts.status, forked));
    }
    // As long for its pivot as the first one had.
    let query = "INSERT INTO {schema}.run
            (id, created_at, deadline_at, workflow_id, queue, parent_id, tags, input, traceparent)
        SELECT $2, {schema}.now(), {schema}.now() + (deadline_at - created_at), workflow_id, queue, id, tags,
            coalesce($3::json, input), traceparent
        FROM {schema}.run WHERE id = $1";
    sqlx::query(schema.sql(query)).bind(what.run).bind(what.new).bind(what.input).execute(&mut *conn).await?;
    // Only what replay tells again; never to be undone from here.
    let query =
        "INSERT INTO {schema}.step (run_id, seq, direction, kind, name, ord, issued_after, outcome, attempts, generation,
            undoable, input, output, error, details, due_at, lane, started_at, finished_at)
        SELECT $2, seq, direction, kind, name, ord, issued_after, outcome, attempts, generation,
            false, input, output, error, details, due_at, lane, started_at, finished_at
        FROM {schema}.step WHERE run_id = $1 AND direction = 0 AND ord < $3";
    sqlx::query(schema.sql(query))
        .bind(what.run)
        .bind(what.new)
        .bind(forked.completions as i32)
        .execute(&mut *conn)
        .await?;
    verbs::make_due(schema, conn, what.new).await?;
    let (kept, from) = (&forked.kept, what.from);
    let after = json!({"status": facts.status.word(), "new_run": what.new, "from_step": from, "kept": kept});
    let before = json!({"status": facts.status.word()});
    audit::record_done(schema, conn, &audit_entry(what.run, Some(before), after), by).await?;
    let begun = json!({"status": Status::Active.word(), "forked_from": what.run, "from_step": from});
    audit::record_done(schema, conn, &audit_entry(what.new, None, begun), by).await?;
    Ok((facts.status, forked))
}

fn audit_entry(run: RunId, before: Option<Value>, after: Value) -> audit::Entry<'static> {
    audit::Entry { action: "fork", run: Some(run), subject: None, before, after: Some(after) }
}

/// The workflow that a run is of.
#[derive(sqlx::FromRow)]
pub(crate) struct WorkflowOf {
    pub(crate) name: String,
    pub(crate) version: i32,
    pub(crate) internal: bool,
    /// The JSON schema of its input.
    pub(crate) input: Option<Value>,
}

/// The workflow that a run is of.
pub(crate) async fn workflow_of(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<WorkflowOf, Error> {
    let query = "SELECT w.name, w.version, w.internal, w.input
        FROM {schema}.run r JOIN {schema}.workflow w ON w.id = r.workflow_id WHERE r.id = $1";
    sqlx::query_as(schema.sql(query)).bind(run).fetch_optional(conn).await?.ok_or(Error::UnknownRun(run))
}
