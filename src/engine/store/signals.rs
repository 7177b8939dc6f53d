//! Signals: into the inbox, and the run awake.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;

use super::schema::Schema;
use crate::engine::{
    core::model::{Json, RunId},
    error::Error,
};

/// The workflow of a run that does not take this signal from callers.
pub(crate) async fn closed_workflow(
    schema: &Schema,
    conn: &mut PgConnection,
    run: RunId,
    name: &str,
) -> Result<Option<String>, Error> {
    let query = "SELECT w.name FROM {schema}.run r JOIN {schema}.workflow w ON w.id = r.workflow_id
        WHERE r.id = (SELECT $1::uuid) AND w.internal AND $2 <> ALL (w.public_signals)";
    Ok(sqlx::query_scalar(schema.sql(query)).bind(run).bind(name).fetch_optional(conn).await?)
}

/// A signal that has passed all checks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewSignal<'a> {
    pub(crate) run: RunId,
    pub(crate) name: &'a str,
    pub(crate) payload: Option<&'a Json>,
    pub(crate) key: Option<&'a str>,
}

/// Puts signals into runs' inboxes, each into another run's, and says what became of each. With a key that its run has seen
/// already, nothing changes.
pub(crate) async fn send(
    schema: &Schema,
    conn: &mut PgConnection,
    signals: &[NewSignal<'_>],
) -> Result<Vec<Result<(), Error>>, Error> {
    let query = sqlx::query_scalar(schema.sql(include_str!("sql/signals.sql")))
        .bind(signals.iter().map(|signal| signal.run).collect::<Vec<_>>())
        .bind(signals.iter().map(|signal| signal.name).collect::<Vec<_>>())
        .bind(signals.iter().map(|signal| signal.payload.map(|json| json.get())).collect::<Vec<_>>())
        .bind(signals.iter().map(|signal| signal.key).collect::<Vec<_>>());
    let sent: Vec<RunId> = query.fetch_all(&mut *conn).await?;
    let sent: HashSet<RunId> = sent.into_iter().collect();
    let others: Vec<NewSignal<'_>> = signals.iter().filter(|signal| !sent.contains(&signal.run)).copied().collect();
    let known = if others.is_empty() { HashMap::new() } else { find_others(schema, conn, &others).await? };
    let answer = |signal: &NewSignal<'_>| match known.get(&signal.run) {
        _ if sent.contains(&signal.run) => Ok(()),
        None => Err(Error::UnknownRun(signal.run)),
        Some(true) => Ok(()),
        Some(false) => Err(Error::RunEnded(signal.run)),
    };
    Ok(signals.iter().map(answer).collect())
}

/// Of runs that have not taken their signal: whether they know its key.
async fn find_others(
    schema: &Schema,
    conn: &mut PgConnection,
    signals: &[NewSignal<'_>],
) -> Result<HashMap<RunId, bool>, Error> {
    let query = "SELECT r.id, EXISTS (SELECT FROM {schema}.signal s WHERE s.run_id = r.id AND s.key = u.key)
        FROM unnest($1::uuid[], $2::text[]) u(run_id, key) JOIN {schema}.run r ON r.id = u.run_id";
    let found: Vec<(RunId, bool)> = sqlx::query_as(schema.sql(query))
        .bind(signals.iter().map(|signal| signal.run).collect::<Vec<_>>())
        .bind(signals.iter().map(|signal| signal.key).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
    Ok(found.into_iter().collect())
}
