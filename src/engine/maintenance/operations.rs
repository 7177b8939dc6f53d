//! Bulk operations at work: one turn takes one operation, and as many of its runs as its rate allows.
//!
//! What keeps a run from being acted on twice is its row: it is locked, acted on and marked in one transaction. What keeps
//! the rate, however many processes there are, is that one of them has the operation for itself until its turn is over.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use crate::engine::{
    api::Engine,
    api::Operator,
    core::{
        model::RunId,
        operation::{OperationChange, OperationStatus, allowed, turn},
    },
    error::Error,
    store::{
        audit,
        operations::{self, Taken},
        schema::Schema,
    },
    trouble::Trouble,
};

/// How often it is looked whether there is an operation.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long runs are begun in one turn.
const BEGIN_FOR: Duration = Duration::from_secs(1);
/// Runs that are acted on at the same time, each with a connection.
const AT_A_TIME: usize = 4;
/// Runs between two checks of the clock. At a check no run holds the operation's row, so that it can be paused.
const CHUNK: u64 = 100;
/// How long to wait where the rate allows no run just now.
const BREATHER: Duration = Duration::from_millis(5);

/// What became of one run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// It is on record.
    Recorded,
    /// It stays open, and is tried again.
    Later,
    /// The operation was paused or ended.
    Stopped,
}

/// One turn over one operation.
pub(super) async fn tick(engine: &Engine) -> Result<Duration, Error> {
    let mut mine = engine.begin().await?;
    let Some(operation) = operations::take(engine.schema(), &mut mine).await? else { return Ok(LOOK_EVERY) };
    let began = Instant::now();
    let begun = if begin(engine, &operation).await? { work(engine, &operation, began).await? } else { 0 };
    if !complete(engine, &operation).await? {
        // The rest of the turn is waited out with the operation in hand, or another process would begin a turn of its own.
        tokio::time::sleep(turn(operation.rate, begun).saturating_sub(began.elapsed())).await;
    }
    mine.rollback().await?;
    Ok(Duration::ZERO)
}

/// False: an operator was faster, and it is not to go on.
async fn begin(engine: &Engine, operation: &Taken) -> Result<bool, Error> {
    let mut tx = engine.begin().await?;
    let Some(status) = operations::lock(engine.schema(), &mut tx, operation.id).await?.after(OperationChange::Begin)
    else {
        return Ok(false);
    };
    operations::set_status(engine.schema(), &mut tx, operation.id, status).await?;
    tx.commit().await?;
    Ok(true)
}

/// Gives how many runs were begun.
async fn work(engine: &Engine, operation: &Taken, began: Instant) -> Result<u64, Error> {
    let (mut begun, mut after) = (0, None);
    while began.elapsed() < BEGIN_FOR {
        let now = allowed(operation.rate, began.elapsed()).saturating_sub(begun).min(CHUNK);
        if now == 0 {
            tokio::time::sleep(BREATHER).await;
            continue;
        }
        let runs = operations::load_open_runs(
            engine.schema(),
            &mut *engine.acquire().await?,
            operation.id,
            after,
            now.cast_signed(),
        )
        .await?;
        let Some(last) = runs.last().copied() else { break };
        after = Some(last);
        begun += runs.len() as u64;
        let applied = stream::iter(runs).map(|run| apply_to(engine, operation, run)).buffer_unordered(AT_A_TIME);
        let came: Vec<Result<Came, Error>> = applied.collect().await;
        engine.hint();
        let came = came.into_iter().collect::<Result<Vec<_>, _>>()?;
        if came.contains(&Came::Stopped) {
            break;
        }
    }
    Ok(begun)
}

/// The verb and its record, in one commit.
async fn apply_to(engine: &Engine, operation: &Taken, run: RunId) -> Result<Came, Error> {
    let mut tx = engine.begin().await?;
    if !operations::is_running(engine.schema(), &mut tx, operation.id).await? {
        return Ok(Came::Stopped);
    }
    if !operations::take_run(engine.schema(), &mut tx, operation.id, run).await? {
        return Ok(Came::Later);
    }
    let by = Operator {
        actor: operation.actor.clone(),
        reason: operation.reason.clone(),
        dry_run: false,
        operation_id: Some(operation.id),
    };
    match engine.apply_verb_in(&mut tx, run, &operation.action, &by).await {
        Ok(_) => operations::record(engine.schema(), &mut tx, operation.id, run, None).await?,
        Err(error @ (Error::Unavailable(_) | Error::OutcomeUnknown(_)))
            if error.trouble() != Some(Trouble::Statement) =>
        {
            return Err(error);
        }
        // Not the run's fault: it stays open.
        Err(error) if error.trouble().is_some_and(|trouble| trouble != Trouble::Row) => {
            tracing::warn!(%run, %error, operation = %operation.id, "a bulk action has to wait");
            return Ok(Came::Later);
        }
        Err(Error::Database(error)) => {
            // Its transaction is broken. The operation goes on without this run.
            tracing::error!(%run, %error, operation = %operation.id, "the database refused a bulk action");
            tx.rollback().await?;
            tx = engine.begin().await?;
            if !operations::is_running(engine.schema(), &mut tx, operation.id).await? {
                return Ok(Came::Stopped);
            }
            refuse(engine.schema(), &mut tx, operation, run, &Error::Database(error)).await?;
        }
        Err(refused) => refuse(engine.schema(), &mut tx, operation, run, &refused).await?,
    }
    tx.commit().await?;
    Ok(Came::Recorded)
}

async fn refuse(
    schema: &Schema,
    conn: &mut sqlx::PgConnection,
    operation: &Taken,
    run: RunId,
    why: &Error,
) -> Result<(), Error> {
    operations::record(schema, conn, operation.id, run, Some(why)).await?;
    let message = why.to_string();
    let refused = audit::Refused {
        action: operation.action.word(),
        run: Some(run),
        subject: None,
        code: why.code(),
        message: &message,
    };
    let by = audit::By { actor: &operation.actor, reason: operation.reason.as_deref(), operation: Some(operation.id) };
    audit::record_refused(schema, conn, &refused, by).await
}

/// Whether it is through, or was ended by an operator.
async fn complete(engine: &Engine, operation: &Taken) -> Result<bool, Error> {
    let mut tx = engine.begin().await?;
    let status = operations::lock(engine.schema(), &mut tx, operation.id).await?;
    if status != OperationStatus::Running || operations::has_open(engine.schema(), &mut tx, operation.id).await? {
        return Ok(status.is_end());
    }
    operations::set_status(engine.schema(), &mut tx, operation.id, OperationStatus::Completed).await?;
    tx.commit().await?;
    Ok(true)
}
