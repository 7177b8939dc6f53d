//! Operators' and callers' actions on one run, each with its audit in the same commit.
//!
//! A request (cancel, compensate) is left on the run's row, and the run is made due: the worker that acts on it makes the
//! plan, in one place for all ways into it. A retry reopens the rows that failed and makes the run due.

use sqlx::{Connection, PgConnection, Row};

use super::{claim, rows::json};
use crate::engine::{
    core::{
        model::{Direction, Failure, Json, Outcome, Request, RunId, Status, Step, StepKind},
        plan::{Undo, undo_plan},
        transition::{Change, next},
    },
    error::Error,
};

/// Who acts, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By<'a> {
    pub(crate) actor: &'a str,
    pub(crate) reason: Option<&'a str>,
    pub(crate) dry_run: bool,
}

/// What an action does, or would do.
#[derive(Debug)]
pub(crate) struct Effect {
    pub(crate) status: Status,
    pub(crate) undo: Vec<(Undo, Step)>,
    pub(crate) retry: Vec<u32>,
}

/// A run's row, locked, and its steps.
struct Locked {
    status: Status,
    failure: Option<Failure>,
    request: Request,
    planned: bool,
    steps: Vec<Step>,
}

async fn lock(conn: &mut PgConnection, run: RunId) -> Result<Locked, Error> {
    let query = "SELECT r.status, r.request, r.failure::text AS failure,
        EXISTS (SELECT FROM backstitch.compensation c WHERE c.run_id = r.id) AS planned
        FROM backstitch.run r WHERE r.id = $1 FOR UPDATE OF r";
    let row = sqlx::query(query).bind(run).fetch_optional(&mut *conn).await?.ok_or(Error::UnknownRun(run))?;
    let failure: Option<Json> = json(row.try_get("failure")?);
    let steps = claim::steps(conn, &[run]).await?.remove(&run).unwrap_or_default();
    Ok(Locked {
        status: Status::from_code(row.try_get("status")?)
            .ok_or_else(|| Error::WrongState("unreadable status".into()))?,
        failure: failure.and_then(|json| serde_json::from_str(json.get()).ok()),
        request: Request::from_code(row.try_get("request")?),
        planned: row.try_get("planned")?,
        steps,
    })
}

/// Asks a run to stop and undo. `Cancel` is refused after the pivot; `Compensate` is not.
pub(crate) async fn request(conn: &mut PgConnection, run: RunId, what: Request, by: By<'_>) -> Result<Effect, Error> {
    let mut tx = conn.begin().await?;
    let locked = lock(&mut tx, run).await?;
    let change = if what == Request::Cancel { Change::Cancel } else { Change::Compensate };
    let pivoted = locked.steps.iter().any(|step| step.kind == StepKind::Pivot);
    if what == Request::Cancel && pivoted && !locked.status.is_end() {
        return Err(Error::PastPivot(run));
    }
    next(locked.status, change)?;
    if locked.planned {
        let message = "its plan of undos has been made already; `retry` tries the failed ones again";
        return Err(Error::WrongState(message.to_owned()));
    }
    let effect = Effect { status: locked.status, undo: planned(&locked.steps), retry: Vec::new() };
    if by.dry_run {
        return Ok(effect);
    }
    let query = "UPDATE backstitch.run SET request = $2, inbox = inbox + 1 WHERE id = $1";
    sqlx::query(query).bind(run).bind(what.code()).execute(&mut *tx).await?;
    // Somebody has looked at it: what needs another look from here on is put there anew.
    sqlx::query("DELETE FROM backstitch.attention WHERE run_id = $1").bind(run).execute(&mut *tx).await?;
    make_due(&mut tx, run).await?;
    let action = if what == Request::Cancel { "cancel" } else { "compensate" };
    audit(&mut tx, run, action, by, locked.status, "requested").await?;
    tx.commit().await?;
    Ok(effect)
}

/// Has a stuck run, or one that failed with nothing to undo, try again: its failed undos, or the step that failed.
pub(crate) async fn retry(conn: &mut PgConnection, run: RunId, by: By<'_>) -> Result<Effect, Error> {
    let mut tx = conn.begin().await?;
    let locked = lock(&mut tx, run).await?;
    let change = if locked.planned { Change::RetryUndo } else { Change::Retry };
    let status = next(locked.status, change)?;
    let pivoted = locked.steps.iter().any(|step| step.kind == StepKind::Pivot);
    let about_to_undo = match locked.request {
        Request::None => false,
        // One that came too late is none.
        Request::Cancel => !pivoted,
        Request::Compensate => true,
    };
    if locked.status == Status::Stuck && about_to_undo {
        return Err(Error::WrongState("it has been asked to undo, and is about to".to_owned()));
    }
    let mut reopen = if locked.planned { failed_undos(&locked.steps) } else { failed_step(&locked)? };
    if locked.status == Status::Failed {
        reopen.extend(closed_at_the_end(&locked.steps));
        reopen.sort_unstable();
        reopen.dedup();
    }
    let retried: Vec<u32> = reopen.iter().map(|(seq, _)| *seq).collect();
    let effect = Effect { status: locked.status, undo: Vec::new(), retry: retried };
    if by.dry_run {
        return Ok(effect);
    }
    for (seq, direction) in reopen {
        // A failed step had no effect, but a gateway may replay its stored refusal: the next attempt gets a new key.
        // A call's deadline that has passed would end it at once; timers and waits keep theirs.
        let query = "UPDATE backstitch.step SET outcome = NULL, ord = NULL, attempts = 0, next_attempt_at = NULL,
            due_at = CASE WHEN kind = 0 THEN NULL ELSE due_at END,
            finished_at = NULL, generation = generation + CASE WHEN outcome = 2 THEN 1 ELSE 0 END
            WHERE run_id = $1 AND seq = $2 AND direction = $3";
        sqlx::query(query).bind(run).bind(seq as i32).bind(direction.code()).execute(&mut *tx).await?;
    }
    let query = "UPDATE backstitch.run SET status = $2, request = 0, finished_at = NULL,
        failure = (SELECT cause FROM backstitch.compensation c WHERE $2 = 3 AND c.run_id = run.id),
        inbox = inbox + 1 WHERE id = $1";
    sqlx::query(query).bind(run).bind(status.code()).execute(&mut *tx).await?;
    sqlx::query("DELETE FROM backstitch.attention WHERE run_id = $1").bind(run).execute(&mut *tx).await?;
    make_due(&mut tx, run).await?;
    audit(&mut tx, run, "retry", by, locked.status, status.word()).await?;
    tx.commit().await?;
    Ok(effect)
}

fn planned(steps: &[Step]) -> Vec<(Undo, Step)> {
    let step = |seq| steps.iter().find(|step| step.seq == seq && step.direction == Direction::Forward).cloned();
    undo_plan(steps).into_iter().filter_map(|undo| step(undo.seq).map(|step| (undo, step))).collect()
}

fn failed_undos(steps: &[Step]) -> Vec<(u32, Direction)> {
    let failed = |step: &&Step| matches!(step.outcome, Some(Outcome::Failed | Outcome::Unknown));
    let undos = steps.iter().filter(|step| step.direction == Direction::Undo);
    undos.filter(failed).map(|step| (step.seq, step.direction)).collect()
}

/// What was still open when the run ended, and was closed without having been told: it goes on where it was. What was ok
/// stays so, and is told.
fn closed_at_the_end(steps: &[Step]) -> impl Iterator<Item = (u32, Direction)> {
    let closed = |step: &&Step| {
        let ended = step.outcome.is_some_and(|outcome| outcome != Outcome::Ok);
        ended && step.ord.is_none() && step.direction == Direction::Forward
    };
    steps.iter().filter(closed).map(|step| (step.seq, step.direction))
}

/// The step that the run failed at. It can be tried again where nothing was told to the workflow after it, because what
/// came after would no longer follow from what came before.
fn failed_step(locked: &Locked) -> Result<Vec<(u32, Direction)>, Error> {
    let Some(seq) = locked.failure.as_ref().and_then(|failure| failure.step) else { return Ok(Vec::new()) };
    let forward = || locked.steps.iter().filter(|step| step.direction == Direction::Forward);
    let Some(step) = forward().find(|step| step.seq == seq) else { return Ok(Vec::new()) };
    if !matches!(step.outcome, Some(Outcome::Failed | Outcome::Unknown)) {
        return Ok(Vec::new());
    }
    if let Some(later) = forward().filter(|other| other.ord > step.ord).map(|other| other.seq).min() {
        let message = format!("step {seq} can't be tried again: step {later} has built on its failure");
        return Err(Error::WrongState(message));
    }
    Ok(vec![(seq, Direction::Forward)])
}

/// Puts the run into `ready`, unless it is there: then its worker sees the changed inbox. One that was put aside for a held
/// activity comes back to its home queue: what was asked of it may not need that activity, and if it does, the run is put
/// aside again.
async fn make_due(conn: &mut PgConnection, run: RunId) -> Result<(), Error> {
    let query = "INSERT INTO backstitch.ready AS q (run_id, due_at, workflow_id, fresh, queue)
        SELECT id, backstitch.now(), workflow_id, false, queue FROM backstitch.run WHERE id = $1
        ON CONFLICT (run_id) DO UPDATE SET queue = excluded.queue, due_at = excluded.due_at
        WHERE q.lane IS NULL AND starts_with(q.queue, '@')";
    sqlx::query(query).bind(run).execute(conn).await?;
    Ok(())
}

async fn audit(
    conn: &mut PgConnection,
    run: RunId,
    action: &str,
    by: By<'_>,
    before: Status,
    after: &str,
) -> Result<(), Error> {
    let query = "INSERT INTO backstitch.audit (at, actor, action, run_id, reason, before, after)
        VALUES (backstitch.now(), $1, $2, $3, $4, json_build_object('status', $5::text), json_build_object('status', $6::text))";
    sqlx::query(query)
        .bind(by.actor)
        .bind(action)
        .bind(run)
        .bind(by.reason)
        .bind(before.word())
        .bind(after)
        .execute(conn)
        .await?;
    Ok(())
}
