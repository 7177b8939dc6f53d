//! The lane's side: the commits that have accumulated go into one flush.
//!
//! A flush whose connection is lost is sent again: writing the same rows again changes nothing. A run that the first flush
//! released is then answered as lost; its rows are right, and nobody here works on it. A flush that the database refuses is
//! split, so that a bad row costs only its own run: that run is quarantined, or reloaded from its rows by its next worker.

use tokio::time::Instant;

use super::{
    ack::{Ack, quarantine},
    request::Request,
};
use crate::engine::{
    core::decision::RunWrite,
    error::{Error, is_retryable, is_step_on_record},
    store::{
        claim,
        flush::{self, Commit, Flushed, Release},
    },
    worker::connection::LaneConnection,
};

/// Carries out what runs have asked of their lane, and answers them.
///
/// # Errors
/// `LeaseLost`.
pub(crate) async fn serve_requests(lane: &mut LaneConnection, requests: Vec<Request>) -> Result<(), Error> {
    let (mut commits, mut acks) = (Vec::with_capacity(requests.len()), Vec::with_capacity(requests.len()));
    for request in requests {
        match request {
            Request::Commit(commit, ack) => {
                commits.push(*commit);
                acks.push(ack);
            }
            Request::Release(run, why, done) => {
                lane.give_back(run, why).await?;
                let _ = done.send(());
            }
        }
    }
    if commits.is_empty() {
        return Ok(());
    }
    let mut done = Vec::with_capacity(commits.len());
    flush_all(lane, commits, &mut done).await?;
    lane.last_beat = Instant::now();
    for (ack, answer) in acks.into_iter().zip(done) {
        // A run that was dropped in the meantime needs no answer.
        let _ = ack.send(answer);
    }
    Ok(())
}

/// Flushes; where the database refuses a batch, its halves.
async fn flush_all(lane: &mut LaneConnection, commits: Vec<Commit>, done: &mut Vec<Ack>) -> Result<(), Error> {
    let mut pending = vec![commits];
    while let Some(mut batch) = pending.pop() {
        let began = Instant::now();
        match flush::flush(lane.shared.schema(), &mut lane.conn, lane.lane, &batch).await {
            Ok(flushed) => {
                lane.shared.engine.meters().flushed(&batch, &flushed, began.elapsed());
                answer(lane, &batch, &flushed, done);
            }
            Err(Error::Unavailable(error)) => {
                lane.reconnect(&error).await?;
                mark_recorded(&mut batch);
                pending.push(batch);
            }
            Err(Error::Database(error)) if is_retryable(&error) => pending.push(batch),
            Err(Error::Database(error)) if batch.len() > 1 => {
                tracing::warn!(%error, runs = batch.len(), "a flush was refused; trying its halves");
                let second = batch.split_off(batch.len() / 2);
                pending.push(second);
                pending.push(batch);
            }
            Err(Error::Database(error)) => {
                refuse(lane, &mut batch, &error).await?;
                done.extend(batch.iter().map(|_| Ack::Lost));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A batch of one that the database has refused for good: its run is reloaded or quarantined.
async fn refuse(lane: &mut LaneConnection, batch: &mut [Commit], error: &sqlx::Error) -> Result<(), Error> {
    if is_step_on_record(error) {
        // A step that should be new is on record: the run goes on from its rows, not from this memory.
        tracing::warn!(%error, "a run was decided from a view that is out of date; it is reloaded");
        return give_back_all(lane, batch).await;
    }
    for commit in batch.iter_mut() {
        tracing::error!(%error, run_id = %commit.run, "the database refuses the run's record");
        let seen = claim::inbox(lane.shared.schema(), &mut lane.conn, commit.run).await.map_or(0, |inbox| inbox.inbox);
        commit.writes = quarantine(error, seen);
    }
    match flush::flush(lane.shared.schema(), &mut lane.conn, lane.lane, &*batch).await {
        Ok(flushed) if flushed.dequeued.len() == batch.len() => Ok(()),
        Ok(_) => give_back_all(lane, batch).await,
        Err(error) => {
            tracing::error!(%error, "the run could not even be quarantined; it is given back");
            give_back_all(lane, batch).await
        }
    }
}

async fn give_back_all(lane: &mut LaneConnection, batch: &[Commit]) -> Result<(), Error> {
    for commit in batch {
        lane.give_back(commit.run, Release::ForAnother).await?;
    }
    Ok(())
}

fn answer(lane: &LaneConnection, batch: &[Commit], flushed: &Flushed, done: &mut Vec<Ack>) {
    lane.shared.clock.set(flushed.now);
    lane.shared.engine.hints().wake_waiters(flushed.dequeued.iter().copied());
    let mut handed_over = false;
    for commit in batch {
        handed_over |= matches!(commit.writes.run, Some(RunWrite::HandOver { .. }));
        done.push(Ack::of(commit, flushed));
    }
    if handed_over {
        lane.shared.engine.hint();
    }
}

/// After a flush whose answer was lost any of its rows may be there: from now on they are written as changes.
fn mark_recorded(batch: &mut [Commit]) {
    batch.iter_mut().flat_map(|commit| &mut commit.writes.steps).for_each(|step| step.recorded = true);
}
