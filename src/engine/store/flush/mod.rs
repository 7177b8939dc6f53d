//! Recording what was decided, fenced: see sql/flush.sql. One statement for all that many runs have to say, without the parts
//! that nobody has rows for.

mod rows;
mod steps;

use std::time::Duration;

use serde::Serialize;
use sqlx::{PgConnection, Row, postgres::PgBindIterExt};

use self::rows::{Fence, Rows};
use super::{
    lanes::Lease,
    parts::{Values, assemble},
    schema::Schema,
};
use crate::engine::{
    core::{
        decision::{RunWrite, Writes},
        ids::RunSet,
        model::{Due, Json, RunId, Step, StepError, StepKind, Time},
    },
    error::Error,
};

/// What pins the plans of a step's flush, as they are on a lane's connection, for the rest of its transaction. Without `jit = off`,
/// a scan of a small table that has no other way looks so dear that Postgres compiles it, for 30 ms each time. A SELECT, because it
/// can be prepared: each SET would be parsed every time.
const PIN_PLANS: &str = "SELECT set_config('plan_cache_mode', 'force_generic_plan', true),
    set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true), set_config('random_page_cost', '0', true), set_config('jit', 'off', true)";

/// What one run has to record.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) run: RunId,
    /// When it was claimed, where that was the first time.
    pub(crate) claimed_at: Time,
    /// It may have a row in `timer`.
    pub(crate) parked_before: bool,
    /// It was sent before and the answer was lost: its rows may be there.
    pub(crate) uncertain: bool,
    /// It begins with what had ended before the step whose transaction it is part of.
    pub(crate) carries: bool,
    pub(crate) writes: Writes,
}

impl Commit {
    /// About how many bytes it takes to send.
    pub(crate) fn size(&self) -> usize {
        let json = |json: Option<&Json>| json.map_or(0, |json| json.get().len());
        let message = |error: Option<&StepError>| error.map_or(0, |error| error.message.len());
        let step = |step: &Step| {
            json(step.input.as_ref())
                + json(step.output.as_ref())
                + json(step.details.as_ref())
                + message(step.error.as_ref())
        };
        let run = match &self.writes.run {
            Some(RunWrite::Dequeue { output, failure, .. }) => {
                json(output.as_ref()) + failure.as_ref().map_or(0, |failure| failure.message.len())
            }
            _ => 0,
        };
        run + self.writes.steps.iter().map(step).sum::<usize>()
    }

    fn passes_pivot(&self) -> bool {
        self.writes.steps.iter().any(|step| step.kind == StepKind::Pivot)
    }
}

/// What became of a flush.
#[derive(Debug)]
pub(crate) struct Flushed {
    /// The database's time.
    pub(crate) now: Time,
    /// When the lane was heard, on the real clock of the database.
    pub(crate) beat: Time,
    /// Runs that this lane does not hold: nothing was written for them.
    pub(crate) lost: RunSet,
    /// Runs that were let go of. One that wanted to rest and is not here has a changed inbox.
    pub(crate) dequeued: RunSet,
    /// Runs that must not pass their pivot, because a cancel was accepted before: nothing was written for them.
    pub(crate) refused: RunSet,
    /// Runs whose pause had been accepted before: what was written is written, and nothing more of them begins.
    pub(crate) paused: RunSet,
}

/// Records all commits in one commit. Each is of another run.
///
/// # Errors
/// `LeaseLost` when the lane has been declared dead: nothing was written.
pub(crate) async fn flush(
    schema: &Schema,
    conn: &mut PgConnection,
    lease: Lease,
    commits: &[Commit],
) -> Result<Flushed, Error> {
    let mut left = in_order(commits);
    let (mut lost, mut refused) = (RunSet::default(), RunSet::default());
    loop {
        let mut flushed = send(schema, &mut *conn, Fence::Lane, lease, &left).await?;
        let named = flushed.lost.len() + flushed.refused.len();
        lost.extend(flushed.lost.drain());
        refused.extend(flushed.refused.drain());
        left.retain(|commit| !lost.contains(&commit.run) && !refused.contains(&commit.run));
        if named == 0 || left.is_empty() {
            return Ok(Flushed { lost, refused, ..flushed });
        }
    }
}

/// Comes once before the flushes in the transaction of steps that have just run, for the runs of all lanes: the rows that are
/// written of them are locked in one order, and before any lane's, because a caller may keep one locked for long.
pub(crate) async fn begin_in_step(schema: &Schema, conn: &mut PgConnection, commits: &[Commit]) -> Result<(), Error> {
    // As on a lane's connection, but only from here to the commit: what the step's author asks is planned as usual.
    sqlx::query(PIN_PLANS).execute(&mut *conn).await?;
    let writes_run = |commit: &&Commit| commit.writes.run.is_some() || commit.passes_pivot();
    let written: Vec<RunId> = commits.iter().filter(writes_run).map(|commit| commit.run).collect();
    if !written.is_empty() {
        let query = include_str!("../sql/lock_runs.sql");
        sqlx::query(schema.sql(query)).bind(written).execute(conn).await?;
    }
    Ok(())
}

/// The same for one lane's runs in that transaction, behind the lane's shared fence. The caller commits, or rolls back where a
/// run is lost or refused: then nothing is written for any.
///
/// # Errors
/// `LeaseLost`, and then the transaction has to be rolled back, too.
pub(crate) async fn flush_in_step(
    schema: &Schema,
    conn: &mut PgConnection,
    lease: Lease,
    commits: &[Commit],
) -> Result<Flushed, Error> {
    send(schema, conn, Fence::Step, lease, &in_order(commits)).await
}

/// Everywhere in one order, so that two who write the same rows wait for each other and no more.
fn in_order(commits: &[Commit]) -> Vec<&Commit> {
    let mut commits: Vec<&Commit> = commits.iter().collect();
    commits.sort_unstable_by_key(|commit| commit.run);
    commits
}

/// One statement. Where it names runs as lost or refused, it has written nothing.
async fn send(
    schema: &Schema,
    conn: &mut PgConnection,
    fence: Fence,
    lease: Lease,
    commits: &[&Commit],
) -> Result<Flushed, Error> {
    const FLUSH: &str = include_str!("../sql/flush.sql");
    let rows = Rows::of(commits);
    let parts = rows.parts(fence);
    let mut values = Values::default();
    values.bind("lane", lease.lane)?;
    values.bind("token", lease.token)?;
    values.bind("runs", commits.iter().map(|commit| commit.run).bind_iter())?;
    rows.bind(parts, &mut values)?;
    let text = || assemble(FLUSH, |part| parts.names(part), values.names());
    let statement = schema.sql_of_parts(FLUSH, parts.key(), text);
    let flushing = sqlx::query_with(statement, values.into_arguments()).fetch_optional(conn);
    let row = flushing.await?.ok_or(Error::LeaseLost)?;
    let set = |column: &str, part: bool| {
        let runs = if part { row.try_get::<Vec<RunId>, _>(column)? } else { Vec::new() };
        Ok::<RunSet, sqlx::Error>(runs.into_iter().collect())
    };
    let mut dequeued = set("dequeued", parts.runs)?;
    dequeued.extend(set("not_due", parts.trouble)?);
    Ok(Flushed {
        now: row.try_get("now")?,
        beat: row.try_get("beat")?,
        lost: set("lost", true)?,
        dequeued,
        refused: set("refused", parts.pivots)?,
        paused: set("paused", true)?,
    })
}

/// Which of these runs somebody else has locked just now.
pub(crate) async fn locked(schema: &Schema, conn: &mut PgConnection, runs: &[RunId]) -> Result<RunSet, Error> {
    let query = include_str!("../sql/locked_runs.sql");
    let locked: Vec<RunId> = sqlx::query_scalar(schema.sql(query)).bind(runs).fetch_all(conn).await?;
    Ok(locked.into_iter().collect())
}

fn to_small(count: u32) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}

fn to_micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn to_text(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

fn split_due(due: Option<Due>) -> (Option<Time>, Option<i64>) {
    match due {
        Some(Due::At(at)) => (Some(at), None),
        Some(Due::In(span, _)) => (None, Some(to_micros(span))),
        None => (None, None),
    }
}
