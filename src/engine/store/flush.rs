//! Recording what was decided, fenced: see sql/flush.sql for the hot statement.
//!
//! What is rare (timers, signals taken, plans, attention, hand-overs) goes into statements of its own in the same
//! transaction, so that the common flush stays one round trip with one commit.

use std::{collections::HashSet, time::Duration};

use serde::Serialize;
use sqlx::{PgConnection, Row};

use super::{
    attention,
    fence::{OF_LANE, OF_STEP, PIN_PLANS},
    lanes::Lease,
    paused,
    schema::Schema,
    transaction::begin_on,
    unhealthy,
};
use crate::engine::{
    core::{
        decision::{RunWrite, Writes},
        model::{Direction, Due, Json, Request, RunId, Status, Step, StepError, StepKind, Time},
    },
    error::Error,
};

/// What one run has to record.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) run: RunId,
    /// When it was claimed, where that was the first time.
    pub(crate) claimed_at: Time,
    /// It may have a row in `timer`.
    pub(crate) parked_before: bool,
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
}

/// What became of a flush.
#[derive(Debug)]
pub(crate) struct Flushed {
    /// The database's time.
    pub(crate) now: Time,
    /// When the lane was heard, on the real clock of the database.
    pub(crate) beat: Time,
    /// Runs that this lane does not hold: nothing was written for them.
    pub(crate) lost: HashSet<RunId>,
    /// Runs that were let go of. One that wanted to rest and is not here has a changed inbox.
    pub(crate) dequeued: HashSet<RunId>,
    /// Runs that must not pass their pivot, because a cancel was accepted before: nothing was written for them.
    pub(crate) refused: HashSet<RunId>,
    /// Runs whose pause had been accepted before: what was written is written, and nothing more of them begins.
    pub(crate) paused: HashSet<RunId>,
}

/// Records all commits in one commit.
///
/// # Errors
/// `LeaseLost` when the lane has been declared dead: nothing was written.
pub(crate) async fn flush(
    schema: &Schema,
    conn: &mut PgConnection,
    lease: Lease,
    commits: &[Commit],
) -> Result<Flushed, Error> {
    if !commits.iter().any(has_rare) {
        return flush_hot(schema, conn, &OF_LANE, lease, commits).await;
    }
    let mut tx = begin_on(conn).await?;
    let flushed = flush_parts(schema, &mut tx, &OF_LANE, lease, commits, passes_pivot).await?;
    tx.commit().await?;
    Ok(flushed)
}

/// The same in the transaction of the steps that have just run, behind the lane's shared fence. The caller commits.
///
/// The rows of runs that this writes are locked before the lane's: somebody may keep one locked for long.
///
/// # Errors
/// `LeaseLost`, and then the transaction has to be rolled back, as where a run is refused or lost.
pub(crate) async fn flush_in_step(
    schema: &Schema,
    conn: &mut PgConnection,
    lease: Lease,
    commits: &[Commit],
) -> Result<Flushed, Error> {
    // As on a lane's connection, but only from here to the commit: what the step's author asks is planned as usual.
    sqlx::raw_sql(PIN_PLANS).execute(&mut *conn).await?;
    let writes_run = |commit: &Commit| commit.writes.run.is_some() || passes_pivot(commit);
    flush_parts(schema, conn, &OF_STEP, lease, commits, writes_run).await
}

/// The flush of commits that need more than the hot statement, with those rows of `run` locked first.
async fn flush_parts(
    schema: &Schema,
    conn: &mut PgConnection,
    hot: &'static str,
    lease: Lease,
    commits: &[Commit],
    locks_first: impl Fn(&Commit) -> bool,
) -> Result<Flushed, Error> {
    let cancelled = lock_runs(schema, conn, commits, locks_first).await?;
    let (refused, allowed): (Vec<&Commit>, Vec<&Commit>) =
        commits.iter().partition(|commit| passes_pivot(commit) && cancelled.contains(&commit.run));
    let mut flushed = flush_hot(schema, conn, hot, lease, allowed.iter().copied()).await?;
    flush_rare(schema, conn, lease.lane, &allowed, &mut flushed).await?;
    flushed.refused = refused.into_iter().map(|commit| commit.run).collect();
    Ok(flushed)
}

/// Which of these runs somebody else has locked just now.
pub(crate) async fn locked(schema: &Schema, conn: &mut PgConnection, runs: &[RunId]) -> Result<HashSet<RunId>, Error> {
    let query = include_str!("sql/locked_runs.sql");
    let locked: Vec<RunId> = sqlx::query_scalar(schema.sql(query)).bind(runs).fetch_all(conn).await?;
    Ok(locked.into_iter().collect())
}

/// Locks rows of `run`, and gives those that have been asked to cancel: a cancel at the same moment is either seen here or finds
/// the pivot on record.
async fn lock_runs(
    schema: &Schema,
    conn: &mut PgConnection,
    commits: &[Commit],
    which: impl Fn(&Commit) -> bool,
) -> Result<HashSet<RunId>, Error> {
    let mut runs: Vec<RunId> = commits.iter().filter(|commit| which(commit)).map(|commit| commit.run).collect();
    if runs.is_empty() {
        return Ok(HashSet::new());
    }
    runs.sort_unstable();
    let query = include_str!("sql/lock_pivoting.sql");
    let rows: Vec<(RunId, i16)> = sqlx::query_as(schema.sql(query)).bind(runs).fetch_all(conn).await?;
    let cancel = Request::Cancel.code();
    Ok(rows.into_iter().filter(|(_, request)| *request == cancel).map(|(run, _)| run).collect())
}

fn passes_pivot(commit: &Commit) -> bool {
    commit.writes.steps.iter().any(|step| step.kind == StepKind::Pivot)
}

/// Whether a commit needs more than the hot statement.
fn has_rare(commit: &Commit) -> bool {
    let Writes { consumed, run, planned, attention, settled, unpaused, progress, .. } = &commit.writes;
    let rare_run = match run {
        Some(RunWrite::Dequeue { status, wait, .. }) => {
            wait.is_some() || commit.parked_before || *status != Status::Completed
        }
        Some(RunWrite::HandOver { .. } | RunWrite::NotDue { .. } | RunWrite::Compensating { .. }) => true,
        None => false,
    };
    let looked_at = !attention.is_empty() || !settled.is_empty() || *unpaused;
    rare_run || !consumed.is_empty() || planned.is_some() || looked_at || *progress || passes_pivot(commit)
}

async fn flush_hot<'a>(
    schema: &Schema,
    conn: &mut PgConnection,
    statement: &'static str,
    lease: Lease,
    commits: impl IntoIterator<Item = &'a Commit>,
) -> Result<Flushed, Error> {
    let mut steps = Steps::default();
    let mut others = Vec::new();
    let mut runs = Runs::default();
    let mut ids = Vec::new();
    for commit in commits {
        ids.push(commit.run);
        for step in &commit.writes.steps {
            if ends_with_its_first_row(step) {
                steps.push(commit.run, step);
            } else {
                others.push(StepRow::of(commit.run, step));
            }
        }
        runs.push(commit);
    }
    let others = if others.is_empty() { "[]".to_owned() } else { json_text(&others)? };
    let row = sqlx::query(schema.sql(statement))
        .bind(lease.lane)
        .bind(ids)
        .bind(steps.run)
        .bind(steps.seq)
        .bind(steps.kind)
        .bind(steps.name)
        .bind(steps.ord)
        .bind(steps.issued_after)
        .bind(steps.outcome)
        .bind(steps.attempts)
        .bind(steps.undoable)
        .bind(steps.input)
        .bind(steps.output)
        .bind(steps.took)
        .bind(others)
        .bind(runs.id)
        .bind(runs.status)
        .bind(runs.output)
        .bind(runs.failure)
        .bind(runs.wait_kind)
        .bind(runs.wait_name)
        .bind(runs.wake_at)
        .bind(runs.wake_in)
        .bind(runs.seen)
        .bind(runs.claimed_at)
        .bind(lease.token)
        .fetch_optional(conn)
        .await?;
    let row = row.ok_or(Error::LeaseLost)?;
    let set = |column: usize| row.try_get::<Vec<RunId>, _>(column).map(HashSet::from_iter);
    Ok(Flushed {
        now: row.try_get(0)?,
        beat: row.try_get(4)?,
        lost: set(1)?,
        dequeued: set(2)?,
        refused: HashSet::new(),
        paused: set(3)?,
    })
}

/// The hot case: an ended step that has no row yet and nothing out of the ordinary to tell.
fn ends_with_its_first_row(step: &Step) -> bool {
    !step.recorded
        && step.outcome.is_some()
        && step.direction == Direction::Forward
        && step.generation == 0
        && step.error.is_none()
        && step.details.is_none()
        && step.due.is_none()
        && step.log.is_empty()
}

fn json_text<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Database(sqlx::Error::Encode(error.into())))
}

/// Steps of the hot case, column by column.
#[derive(Default)]
struct Steps<'a> {
    run: Vec<RunId>,
    seq: Vec<i32>,
    kind: Vec<i16>,
    name: Vec<&'a str>,
    ord: Vec<Option<i32>>,
    issued_after: Vec<i32>,
    outcome: Vec<Option<i16>>,
    attempts: Vec<i16>,
    undoable: Vec<bool>,
    input: Vec<Option<&'a str>>,
    output: Vec<Option<&'a str>>,
    took: Vec<i64>,
}

impl<'a> Steps<'a> {
    fn push(&mut self, run: RunId, step: &'a Step) {
        self.run.push(run);
        self.seq.push(step.seq as i32);
        self.kind.push(step.kind.code());
        self.name.push(&step.name);
        self.ord.push(step.ord.map(|ord| ord as i32));
        self.issued_after.push(step.issued_after as i32);
        self.outcome.push(step.outcome.map(|outcome| outcome.code()));
        self.attempts.push(to_small(step.attempts));
        self.undoable.push(step.undoable);
        self.input.push(step.input.as_ref().map(|json| json.get()));
        self.output.push(step.output.as_ref().map(|json| json.get()));
        self.took.push(to_micros(step.took));
    }
}

/// Any other step, as flush.sql reads it. JSON columns are strings in it: Postgres reads the document as a whole, and would
/// refuse it for a NUL in a payload, which the columns take.
#[derive(Serialize)]
struct StepRow<'a> {
    run_id: RunId,
    seq: u32,
    direction: i16,
    kind: i16,
    name: &'a str,
    ord: Option<u32>,
    issued_after: u32,
    outcome: Option<i16>,
    attempts: i16,
    generation: i16,
    undoable: bool,
    input: Option<&'a str>,
    output: Option<&'a str>,
    error: Option<String>,
    details: Option<&'a str>,
    due_at: Option<Time>,
    due_in: Option<i64>,
    next_attempt_at: Option<Time>,
    undo_after: Option<&'a [u32]>,
    took: i64,
    attempt_log: Option<Vec<String>>,
}

impl<'a> StepRow<'a> {
    fn of(run: RunId, step: &'a Step) -> Self {
        let (due_at, due_in) = split_due(step.due);
        Self {
            run_id: run,
            seq: step.seq,
            direction: step.direction.code(),
            kind: step.kind.code(),
            name: &step.name,
            ord: step.ord,
            issued_after: step.issued_after,
            outcome: step.outcome.map(|outcome| outcome.code()),
            attempts: to_small(step.attempts),
            generation: to_small(step.generation),
            undoable: step.undoable,
            input: step.input.as_ref().map(|json| json.get()),
            output: step.output.as_ref().map(|json| json.get()),
            error: step.error.as_ref().and_then(to_text),
            details: step.details.as_ref().map(|json| json.get()),
            due_at,
            due_in,
            next_attempt_at: step.next_attempt_at,
            undo_after: (!step.undo_after.is_empty()).then_some(&step.undo_after),
            took: to_micros(step.took),
            attempt_log: (!step.log.is_empty()).then(|| step.log.iter().filter_map(to_text).collect()),
        }
    }
}

fn to_small(count: u32) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}

fn to_micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// The run rows of a flush, column by column.
#[derive(Default)]
struct Runs<'a> {
    id: Vec<RunId>,
    status: Vec<i16>,
    output: Vec<Option<&'a str>>,
    failure: Vec<Option<String>>,
    wait_kind: Vec<Option<&'a str>>,
    wait_name: Vec<Option<&'a str>>,
    wake_at: Vec<Option<Time>>,
    wake_in: Vec<Option<i64>>,
    seen: Vec<Option<i32>>,
    claimed_at: Vec<Time>,
}

impl<'a> Runs<'a> {
    fn push(&mut self, commit: &'a Commit) {
        let (status, output, failure, wait, seen) = match &commit.writes.run {
            Some(RunWrite::Dequeue { status, output, failure, wait, seen }) => {
                (status.code(), output.as_ref(), failure.as_ref(), wait.as_ref(), Some(*seen))
            }
            Some(RunWrite::Compensating { failure }) => (Status::Compensating.code(), None, Some(failure), None, None),
            Some(RunWrite::HandOver { .. } | RunWrite::NotDue { .. }) | None => return,
        };
        let (wake_at, wake_in) = split_due(wait.and_then(|wait| wait.until));
        self.id.push(commit.run);
        self.status.push(status);
        self.output.push(output.map(|json| json.get()));
        self.failure.push(failure.and_then(to_text));
        self.wait_kind.push(wait.map(|wait| wait.kind.word()));
        self.wait_name.push(wait.map(|wait| &*wait.name));
        self.wake_at.push(wake_at);
        self.wake_in.push(wake_in);
        self.seen.push(seen);
        self.claimed_at.push(commit.claimed_at);
    }
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

/// The statements that most flushes don't need, in the transaction of the hot one, for the runs that it accepted.
async fn flush_rare(
    schema: &Schema,
    conn: &mut PgConnection,
    lane: i32,
    commits: &[&Commit],
    flushed: &mut Flushed,
) -> Result<(), Error> {
    for commit in commits {
        if flushed.lost.contains(&commit.run) {
            continue;
        }
        let (run, writes) = (commit.run, &commit.writes);
        for (signal, seq) in &writes.consumed {
            let query = "UPDATE {schema}.signal SET consumed_by = $3 WHERE run_id = $1 AND id = $2";
            sqlx::query(schema.sql(query)).bind(run).bind(signal).bind(*seq as i32).execute(&mut *conn).await?;
        }
        if let Some(cause) = &writes.planned {
            // One plan per run: a second one breaks the key, and with it this commit. The same again is the same flush, sent
            // again after a lost answer.
            let query = "INSERT INTO {schema}.compensation (run_id, cause, planned_at)
                SELECT $1, $2::json, {schema}.now() WHERE NOT EXISTS
                    (SELECT FROM {schema}.compensation WHERE run_id = $1 AND cause::text = $2)";
            sqlx::query(schema.sql(query)).bind(run).bind(to_text(cause)).execute(&mut *conn).await?;
        }
        attention::write(schema, conn, run, writes).await?;
        if writes.progress {
            let query = "UPDATE {schema}.ready SET takeovers = 0 WHERE run_id = $1 AND lane = $2";
            sqlx::query(schema.sql(query)).bind(run).bind(lane).execute(&mut *conn).await?;
        }
        flush_run(schema, conn, lane, commit, flushed).await?;
        flush_unhealthy(schema, conn, commit, flushed).await?;
    }
    Ok(())
}

/// Keeps `unhealthy` true to the status that the same commit writes; takes a pause away that came too late.
async fn flush_unhealthy(
    schema: &Schema,
    conn: &mut PgConnection,
    commit: &Commit,
    flushed: &Flushed,
) -> Result<(), Error> {
    let (status, failure) = match &commit.writes.run {
        Some(RunWrite::Compensating { failure }) => (Status::Compensating, Some(failure)),
        // A run that parks between two undos is there already.
        Some(RunWrite::Dequeue { status, failure, wait: None, .. }) if flushed.dequeued.contains(&commit.run) => {
            (*status, failure.as_ref())
        }
        _ => return Ok(()),
    };
    if commit.writes.unpaused {
        paused::forget(schema, conn, commit.run).await?;
    }
    // Whatever brought the run back to a good way has taken its row away already.
    if status == Status::Completed {
        return Ok(());
    }
    unhealthy::write(schema, conn, commit.run, status, failure).await
}

/// What becomes of the run's place in `ready` and `timer`.
async fn flush_run(
    schema: &Schema,
    conn: &mut PgConnection,
    lane: i32,
    commit: &Commit,
    flushed: &mut Flushed,
) -> Result<(), Error> {
    let run = commit.run;
    match &commit.writes.run {
        Some(RunWrite::Dequeue { wait: Some(wait), .. }) if flushed.dequeued.contains(&run) => {
            // A wait without an end has a row too, whose time never comes: it is how waiting runs are found.
            let (at, span) = split_due(wait.until);
            let query = "INSERT INTO {schema}.timer (run_id, due_at)
                VALUES ($1, coalesce($2, $4 + $3 * interval '1 microsecond', 'infinity'))
                ON CONFLICT (run_id) DO UPDATE SET due_at = excluded.due_at";
            sqlx::query(schema.sql(query)).bind(run).bind(at).bind(span).bind(flushed.now).execute(conn).await?;
        }
        Some(RunWrite::Dequeue { wait: None, .. }) if commit.parked_before && flushed.dequeued.contains(&run) => {
            sqlx::query(schema.sql("DELETE FROM {schema}.timer WHERE run_id = $1")).bind(run).execute(conn).await?;
        }
        Some(RunWrite::HandOver { queue }) => {
            let query = "UPDATE {schema}.ready SET lane = NULL, fresh = false, queue = $3, due_at = {schema}.now()
                WHERE run_id = $1 AND lane = $2";
            sqlx::query(schema.sql(query)).bind(run).bind(lane).bind(&**queue).execute(conn).await?;
        }
        Some(RunWrite::NotDue { seen }) => {
            let query = include_str!("sql/dequeue_not_due.sql");
            if sqlx::query(schema.sql(query)).bind(run).bind(lane).bind(seen).execute(conn).await?.rows_affected() > 0 {
                flushed.dequeued.insert(run);
            }
        }
        _ => {}
    }
    Ok(())
}
