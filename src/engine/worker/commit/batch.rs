//! The lane's side: the commits that have accumulated go into one flush.
//!
//! A flush whose connection is lost is sent again: writing the same rows again changes nothing. A run that the first flush
//! released is then answered as lost; its rows are right, and nobody here works on it.
//!
//! A flush that the database refuses is sorted by whose fault that is (see `engine::trouble`):
//!
//! - The row's: the batch is split, so that a bad row costs only its own run. What is refused alone, and again after the lane
//!   has written something else, quarantines its run, or reloads it from its rows.
//! - Anybody else's: the lane waits and tries again. If that lasts, the runs get their records back ([`Answer::Later`]) and
//!   ask again, from then on each alone. One that keeps failing while others get through is quarantined; while nobody
//!   gets through, nobody is.

use std::time::Duration;

use rand::seq::SliceRandom;
use tokio::{sync::oneshot, time::Instant};

use super::{
    ack::{Ack, quarantine},
    request::{Answer, Record, Request, Trial},
};
use crate::engine::{
    core::decision::RunWrite,
    error::{Error, is_step_on_record},
    store::{
        claim,
        flush::{self, Commit, Flushed, Release},
    },
    trouble::Trouble,
    worker::connection::LaneConnection,
};

/// Bytes in one flush at most, unless one run alone has more: a message to Postgres is limited to 1 GB.
const FLUSH_BYTES: usize = 64 << 20;
/// A record beyond this is not even tried.
const RECORD_BYTES: usize = 256 << 20;
/// How often a flush is tried while the database is in trouble, and how long the first of the growing pauses is.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Records that are tried alone and fail in one round, at most: each may cost a time-out.
const ALONE_AT_MOST: u32 = 2;
/// How often a record may fail alone while others get through.
const FAILS_ALONE: u32 = 3;

/// Carries out what runs have asked of their lane, and answers them.
///
/// # Errors
/// `LeaseLost`.
pub(crate) async fn serve_requests(lane: &mut LaneConnection, requests: Vec<Request>) -> Result<(), Error> {
    let (mut commits, mut acks) = (Vec::with_capacity(requests.len()), Vec::with_capacity(requests.len()));
    let mut again = Vec::new();
    for request in requests {
        match request {
            Request::Commit(record, ack) if record.trial.alone => again.push((record, ack)),
            Request::Commit(record, ack) => {
                commits.push(record.commit);
                acks.push(ack);
            }
            Request::Release(run, why, done) => {
                lane.give_back(run, why).await?;
                let _ = done.send(());
            }
        }
    }
    if !commits.is_empty() {
        let mut done = Vec::with_capacity(commits.len());
        flush_all(lane, commits, TRIES, &mut done).await?;
        for (ack, answer) in acks.into_iter().zip(done) {
            // A run that was dropped in the meantime needs no answer.
            let _ = ack.send(answer);
        }
    }
    if again.is_empty() { Ok(()) } else { Box::pin(try_alone(lane, again)).await }
}

/// Records that were handed back, one by one, in another order each time: the same one should not always hold up the rest.
async fn try_alone(
    lane: &mut LaneConnection,
    mut records: Vec<(Box<Record>, oneshot::Sender<Answer>)>,
) -> Result<(), Error> {
    records.shuffle(&mut rand::rng());
    let mut failed = 0;
    for (record, ack) in records {
        let answer = if failed < ALONE_AT_MOST { try_one(lane, *record).await? } else { Answer::Later(record) };
        failed += u32::from(matches!(answer, Answer::Later(_)));
        let _ = ack.send(answer);
    }
    Ok(())
}

async fn try_one(lane: &mut LaneConnection, record: Record) -> Result<Answer, Error> {
    let Record { commit, trial } = record;
    let mut done = Vec::new();
    let trouble = flush_all(lane, vec![commit], 1, &mut done).await?;
    match (done.pop(), trouble) {
        (Some(Answer::Later(mut record)), Some(error)) => {
            record.trial = trial.after_failure(lane.flushes);
            if record.trial.failed < FAILS_ALONE {
                return Ok(Answer::Later(record));
            }
            refuse(lane, &mut [record.commit], &error).await?;
            Ok(Answer::Came(Ack::Lost))
        }
        (answer, _) => Ok(answer.unwrap_or(Answer::Came(Ack::Lost))),
    }
}

impl Trial {
    const fn after_failure(self, flushes: u64) -> Self {
        let others_got_through = self.alone && flushes > self.flushes;
        Self { alone: true, failed: if others_got_through { self.failed + 1 } else { self.failed }, flushes }
    }
}

/// Commits that go into one flush.
struct Batch {
    commits: Vec<Commit>,
    tries: u32,
    /// It is one commit, and was refused before.
    refused: bool,
}

impl Batch {
    const fn of(commits: Vec<Commit>) -> Self {
        Self { commits, tries: 0, refused: false }
    }
}

/// Flushes; where the database refuses a batch, its halves. Gives the last trouble that made it hand records back.
async fn flush_all(
    lane: &mut LaneConnection,
    commits: Vec<Commit>,
    tries: u32,
    done: &mut Vec<Answer>,
) -> Result<Option<sqlx::Error>, Error> {
    let mut given_up = None;
    let mut pending = cut(commits);
    while let Some(mut batch) = pending.pop() {
        if let [commit] = &*batch.commits
            && commit.size() > RECORD_BYTES
        {
            let error = sqlx::Error::Encode(format!("a record of {} bytes is too large", commit.size()).into());
            refuse(lane, &mut batch.commits, &error).await?;
            done.push(Answer::Came(Ack::Lost));
            continue;
        }
        let began = Instant::now();
        let error = match flush::flush(lane.shared.schema(), &mut lane.conn, lane.lane, &batch.commits).await {
            Ok(flushed) => {
                lane.last_beat = Instant::now();
                lane.flushes += 1;
                lane.shared.engine.meters().flushed(&batch.commits, &flushed, began.elapsed());
                answer(lane, &batch.commits, &flushed, done);
                continue;
            }
            Err(Error::Unavailable(error) | Error::OutcomeUnknown(error) | Error::Database(error)) => error,
            Err(error) => return Err(error),
        };
        match crate::engine::trouble::sort_error(&error).0 {
            Trouble::Row if batch.commits.len() > 1 => {
                tracing::warn!(%error, runs = batch.commits.len(), "a flush was refused; trying its halves");
                let second = batch.commits.split_off(batch.commits.len() / 2);
                pending.push(Batch::of(second));
                pending.push(Batch::of(batch.commits));
            }
            Trouble::Row if !batch.refused && !is_step_on_record(&error) => {
                lane.beat().await?;
                pending.push(Batch { refused: true, ..batch });
            }
            Trouble::Row => {
                refuse(lane, &mut batch.commits, &error).await?;
                done.push(Answer::Came(Ack::Lost));
            }
            trouble => {
                batch.tries += 1;
                wait_out(lane, &mut batch, trouble, &error).await?;
                if batch.tries < tries {
                    pending.push(batch);
                } else {
                    done.extend(batch.commits.into_iter().map(|commit| hand_back(commit, lane.flushes)));
                    given_up = Some(error);
                }
            }
        }
    }
    Ok(given_up)
}

fn hand_back(commit: Commit, flushes: u64) -> Answer {
    Answer::Later(Box::new(Record { commit, trial: Trial { alone: true, failed: 0, flushes } }))
}

/// Batches of a bounded size, the last one first.
fn cut(commits: Vec<Commit>) -> Vec<Batch> {
    let mut batches = vec![Batch::of(Vec::with_capacity(commits.len()))];
    let mut bytes = 0;
    for commit in commits {
        let size = commit.size();
        bytes += size;
        let full = bytes > FLUSH_BYTES && batches.last().is_some_and(|batch| !batch.commits.is_empty());
        if full {
            batches.push(Batch::of(Vec::new()));
            bytes = size;
        }
        if let Some(batch) = batches.last_mut() {
            batch.commits.push(commit);
        }
    }
    batches.reverse();
    batches
}

/// Trouble that is nobody's fault here: a new connection, or a pause.
async fn wait_out(
    lane: &mut LaneConnection,
    batch: &mut Batch,
    trouble: Trouble,
    error: &sqlx::Error,
) -> Result<(), Error> {
    if trouble == Trouble::Connection {
        lane.reconnect(error).await?;
        mark_recorded(&mut batch.commits);
        return Ok(());
    }
    let runs = batch.commits.len();
    tracing::warn!(%error, lane = lane.lane, runs, tries = batch.tries, "the database is in trouble: a flush waits");
    let pause = FIRST_PAUSE * (1 << batch.tries.min(6));
    tokio::select! {
        () = tokio::time::sleep(pause) => Ok(()),
        () = lane.shared.stopped.cancelled() => Err(Error::LeaseLost),
    }
}

/// A commit that the database refuses for good: its run is reloaded or quarantined.
async fn refuse(lane: &mut LaneConnection, commits: &mut [Commit], error: &sqlx::Error) -> Result<(), Error> {
    if is_step_on_record(error) {
        // A step that should be new is on record: the run goes on from its rows, not from this memory.
        tracing::warn!(%error, "a run was decided from a view that is out of date; it is reloaded");
        return give_back_all(lane, commits).await;
    }
    for commit in commits.iter_mut() {
        tracing::error!(%error, run_id = %commit.run, "the database refuses the run's record");
        let seen = claim::inbox(lane.shared.schema(), &mut lane.conn, commit.run).await.map_or(0, |inbox| inbox.inbox);
        commit.writes = quarantine(error, seen);
    }
    match flush::flush(lane.shared.schema(), &mut lane.conn, lane.lane, &*commits).await {
        Ok(flushed) if flushed.dequeued.len() == commits.len() => Ok(()),
        Ok(_) => give_back_all(lane, commits).await,
        Err(error) => {
            tracing::error!(%error, "the run could not even be quarantined; it is given back");
            give_back_all(lane, commits).await
        }
    }
}

async fn give_back_all(lane: &mut LaneConnection, commits: &[Commit]) -> Result<(), Error> {
    for commit in commits {
        lane.give_back(commit.run, Release::ForAnother).await?;
    }
    Ok(())
}

fn answer(lane: &LaneConnection, commits: &[Commit], flushed: &Flushed, done: &mut Vec<Answer>) {
    lane.shared.clock.set(flushed.now);
    lane.shared.engine.hints().wake_waiters(flushed.dequeued.iter().copied());
    let mut handed_over = false;
    for commit in commits {
        handed_over |= matches!(commit.writes.run, Some(RunWrite::HandOver { .. }));
        done.push(Answer::Came(Ack::of(commit, flushed)));
    }
    if handed_over {
        lane.shared.engine.hint();
    }
}

/// After a flush whose answer was lost any of its rows may be there: from now on they are written as changes.
fn mark_recorded(commits: &mut [Commit]) {
    commits.iter_mut().flat_map(|commit| &mut commit.writes.steps).for_each(|step| step.recorded = true);
}
