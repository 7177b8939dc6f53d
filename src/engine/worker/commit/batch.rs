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
//! - A lock's that somebody else holds: the runs that are locked get their records back at once, and the others go on. A run
//!   is never quarantined for that.

use std::time::Duration;

use rand::seq::SliceRandom;
use tokio::{sync::oneshot, time::Instant};

use super::{
    ack::{Ack, quarantine},
    locked::part_locked,
    request::{Answer, Record, Request, Trial},
};
use crate::engine::{
    core::{decision::RunWrite, ids::RunMap, model::RunId},
    error::{Error, is_lock_timeout, is_step_on_record},
    store::{
        claim,
        flush::{self, Commit, Flushed},
        lanes::Release,
    },
    trouble::Trouble,
    worker::{connection::LaneConnection, limits::within},
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
    let (mut commits, mut acks) =
        (Vec::with_capacity(requests.len()), RunMap::with_capacity_and_hasher(requests.len(), Default::default()));
    let mut again = Vec::new();
    for request in requests {
        match request {
            Request::Commit(record, ack) if record.trial.alone => again.push((record, ack)),
            Request::Commit(record, ack) => {
                acks.insert(record.commit.run, ack);
                commits.push(record.commit);
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
        for (run, answer) in done {
            // A run that was dropped in the meantime needs no answer.
            let _ = acks.remove(&run).map(|ack| ack.send(answer));
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
    let locked = lane.locked(&records.iter().map(|(record, _)| record.commit.run).collect::<Vec<_>>()).await?;
    for (record, ack) in records {
        if locked.contains(&record.commit.run) {
            let _ = ack.send(Answer::Later(record));
            continue;
        }
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
        (Some((_, Answer::Later(mut record))), Some(error)) if !is_lock_timeout(&error) => {
            record.trial = trial.after_failure(lane.flushes);
            if record.trial.failed < FAILS_ALONE {
                return Ok(Answer::Later(record));
            }
            refuse(lane, &mut [record.commit], &error).await?;
            Ok(Answer::Came(Ack::Lost))
        }
        (answer, _) => Ok(answer.map_or(Answer::Came(Ack::Lost), |(_, answer)| answer)),
    }
}

impl Trial {
    const fn after_failure(self, flushes: u64) -> Self {
        let others_got_through = self.alone && flushes > self.flushes;
        Self { alone: true, failed: if others_got_through { self.failed + 1 } else { self.failed }, flushes }
    }
}

/// What became of each run's commit.
type Done = Vec<(RunId, Answer)>;

/// Commits that go into one flush.
struct Batch {
    commits: Vec<Commit>,
    tries: u32,
    /// It is one commit, and was refused before.
    refused: bool,
    /// A lock was in its way that is none of its runs'.
    none_locked: bool,
}

impl Batch {
    const fn of(commits: Vec<Commit>) -> Self {
        Self { commits, tries: 0, refused: false, none_locked: false }
    }
}

/// Flushes; where the database refuses a batch, its halves. Gives the last trouble that made it hand records back.
async fn flush_all(
    lane: &mut LaneConnection,
    commits: Vec<Commit>,
    tries: u32,
    done: &mut Done,
) -> Result<Option<sqlx::Error>, Error> {
    let mut given_up = None;
    let mut pending = cut(commits);
    while let Some(mut batch) = pending.pop() {
        if let [commit] = &*batch.commits
            && commit.size() > RECORD_BYTES
        {
            let error = sqlx::Error::Encode(format!("a record of {} bytes is too large", commit.size()).into());
            refuse(lane, &mut batch.commits, &error).await?;
            done.extend(lost(&batch.commits));
            continue;
        }
        let began = Instant::now();
        let flushing = flush::flush(lane.shared.schema(), &mut lane.conn, lane.lease, &batch.commits);
        let error = match within(lane.shared.config.answer_within(), flushing).await {
            Ok(flushed) => {
                lane.answered();
                lane.flushes += 1;
                lane.shared.engine.meters().flushed(&batch.commits, &flushed, began.elapsed());
                answer(lane, &batch.commits, &flushed, done);
                continue;
            }
            Err(Error::Unavailable(error) | Error::OutcomeUnknown(error) | Error::Database(error)) => error,
            Err(error) => return Err(error),
        };
        if is_lock_timeout(&error) && !batch.none_locked {
            let (locked, commits) = part_locked(lane, batch.commits).await?;
            batch = Batch { commits, none_locked: locked.is_empty(), ..batch };
            done.extend(locked.into_iter().map(|commit| hand_back(commit, lane.flushes)));
            if !batch.commits.is_empty() {
                pending.push(batch);
            }
            given_up = Some(error);
            continue;
        }
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
                done.extend(lost(&batch.commits));
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

fn hand_back(commit: Commit, flushes: u64) -> (RunId, Answer) {
    (commit.run, Answer::Later(Box::new(Record { commit, trial: Trial { alone: true, failed: 0, flushes } })))
}

fn lost(commits: &[Commit]) -> impl Iterator<Item = (RunId, Answer)> {
    commits.iter().map(|commit| (commit.run, Answer::Came(Ack::Lost)))
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
        mark_uncertain(&mut batch.commits);
        return Ok(());
    }
    let runs = batch.commits.len();
    tracing::warn!(%error, lane = lane.lease.lane, runs, tries = batch.tries, "the database is in trouble: a flush waits");
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
        let reading = claim::load_inbox(lane.shared.schema(), &mut lane.conn, commit.run);
        let seen = within(lane.shared.config.answer_within(), reading).await.map_or(0, |inbox| inbox.inbox);
        commit.writes = quarantine(error, seen);
    }
    let flushing = flush::flush(lane.shared.schema(), &mut lane.conn, lane.lease, &*commits);
    match within(lane.shared.config.answer_within(), flushing).await {
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

fn answer(lane: &LaneConnection, commits: &[Commit], flushed: &Flushed, done: &mut Done) {
    lane.acknowledged.note(flushed.beat);
    lane.shared.clock.set(flushed.now);
    let mut handed_over = false;
    for commit in commits {
        handed_over |= matches!(commit.writes.run, Some(RunWrite::HandOver { .. }));
        done.push((commit.run, Answer::Came(Ack::of(commit, flushed))));
    }
    if handed_over {
        lane.shared.engine.hint();
    }
}

/// After a flush whose answer was lost any of its rows may be there.
fn mark_uncertain(commits: &mut [Commit]) {
    commits.iter_mut().for_each(|commit| commit.uncertain = true);
}
