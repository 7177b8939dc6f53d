//! A lane at work: one connection that claims, flushes and beats, one statement at a time.
//!
//! While a flush is in flight, decisions of other runs accumulate; they all go into the next one. Nothing waits for a
//! batch to fill: at low load a flush carries one step and costs one commit, at high load it carries hundreds.
//!
//! A lost connection leaves the fate of its last statement open:
//!
//! - *a flush* is sent again on a new connection; writing the same again changes nothing, and what did land is answered
//!   as lost where the run was let go of with it: then its rows stand, and nobody here holds it any more;
//! - *a claim* may have taken runs that nobody here knows of: after a reconnect the lane gives back whatever is its own by
//!   the table and not by its memory.
//!
//! A lane that has been declared dead (`LeaseLost`) drops all its runs without another word, and opens anew.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{Shared, drive};
use crate::engine::{
    core::{
        attention::{Attention, AttentionKind},
        decision::{RunWrite, Writes},
        model::{Failure, RunId, Status, Time},
    },
    error::{Error, is_retryable, is_step_on_record},
    store::{
        self, claim,
        flush::{self, Commit, Flushed},
        lanes,
    },
};

/// Runs in one claim, and commits in one flush, at most: beyond a few hundred a batch gains nothing and delays the rest.
const CLAIM_AT_MOST: usize = 500;
const FLUSH_AT_MOST: usize = 1_000;

/// What a run asks of its lane.
#[derive(Debug)]
pub(super) enum Request {
    /// Record this.
    Commit(Box<Commit>, oneshot::Sender<Ack>),
    /// Give the run back: another worker, or a new look at its rows, goes on with it.
    /// The answer matters: until it is given back the run counts as held here, or else a claim of this very lane could
    /// take it again before, and would have it taken away.
    Release(RunId, oneshot::Sender<()>),
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ack {
    /// It is durable.
    Done,
    /// It is durable but for letting go of the run: its inbox has changed.
    InboxChanged,
    /// It is durable, and a pause was accepted before it: nothing more of the run begins.
    Paused,
    /// The run is not this lane's any more; nothing was written.
    Lost,
    /// Nothing was written: a cancel was accepted before the run could pass its pivot.
    Refused,
}

/// How a run reaches the lane that holds it.
#[derive(Clone)]
pub(super) struct LaneHandle {
    pub(super) id: i32,
    pub(super) requests: mpsc::Sender<Request>,
    /// The lane has been declared dead: whoever runs on it stops at once.
    pub(super) dead: CancellationToken,
}

struct Lane {
    shared: Arc<Shared>,
    conn: PgConnection,
    handle: LaneHandle,
    requests: mpsc::Receiver<Request>,
    last_beat: Instant,
    last_look: Instant,
}

/// Works until the worker is stopped; opens a new lane whenever one is lost.
pub(super) async fn work(shared: Arc<Shared>) {
    while !shared.stopped.is_cancelled() {
        let opened = tokio::select! {
            opened = open(&shared) => opened,
            () = shared.stopped.cancelled() => return,
        };
        let mut lane = opened;
        match lane.serve().await {
            Ok(()) => {
                if let Err(error) = lanes::release(&mut lane.conn, lane.handle.id).await {
                    tracing::warn!(%error, lane = lane.handle.id, "the lane could not be given back; it will be taken over");
                }
            }
            Err(error) => {
                if matches!(error, Error::LeaseLost) && !shared.stopped.is_cancelled() {
                    shared.engine.meters().lanes_fenced.increment(1);
                }
                tracing::warn!(%error, lane = lane.handle.id, "the lane was lost: its runs are left to whoever took it over");
            }
        }
        lane.handle.dead.cancel();
    }
}

async fn open(shared: &Arc<Shared>) -> Lane {
    let mut conn = connect(shared).await;
    let worker = shared.worker_id.get().copied().unwrap_or_default();
    let id = loop {
        match lanes::open(&mut conn, worker, &shared.as_row()).await {
            Ok(id) => break id,
            Err(error) => {
                tracing::warn!(%error, "no lane could be opened; trying again");
                tokio::time::sleep(Duration::from_millis(500)).await;
                conn = connect(shared).await;
            }
        }
    };
    let (sender, requests) = mpsc::channel(4 * FLUSH_AT_MOST);
    let handle = LaneHandle { id, requests: sender, dead: CancellationToken::new() };
    Lane { shared: shared.clone(), conn, handle, requests, last_beat: Instant::now(), last_look: Instant::now() }
}

/// A connection of its own, however long it takes.
async fn connect(shared: &Shared) -> PgConnection {
    let options = store::hot_options(&shared.engine.pool().connect_options()).disable_statement_logging();
    let forever = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times();
    loop {
        let connecting = (|| PgConnection::connect_with(&options)).retry(forever);
        match connecting.notify(|error, _| tracing::warn!(%error, "no connection for a lane; trying again")).await {
            Ok(conn) => return conn,
            Err(error) => tracing::warn!(%error, "no connection for a lane; trying again"),
        }
    }
}

impl Lane {
    /// Serves until the worker stops.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn serve(&mut self) -> Result<(), Error> {
        let beat_every = self.shared.config.takeover_after / 5;
        let mut batch = Vec::new();
        loop {
            let due = self.shared.engine.hints().clone();
            // Also while there is no room: there may be before anything else happens here.
            let looks = !self.shared.draining.is_cancelled();
            tokio::select! {
                biased;
                count = self.requests.recv_many(&mut batch, FLUSH_AT_MOST) => if count == 0 { return Ok(()) },
                () = due.due.notified(), if looks => self.shared.may_be_due.store(true, Ordering::Relaxed),
                () = self.shared.stopped.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(self.last_beat + beat_every) => self.beat().await?,
                () = tokio::time::sleep_until(self.last_look + self.shared.config.poll_interval), if looks => {
                    self.last_look = Instant::now();
                    self.shared.may_be_due.store(true, Ordering::Relaxed);
                }
            }
            if !batch.is_empty() {
                self.flush(std::mem::take(&mut batch)).await?;
            }
            if !self.shared.draining.is_cancelled()
                && self.has_room()
                && self.shared.may_be_due.swap(false, Ordering::Relaxed)
            {
                self.claim().await?;
            }
        }
    }

    /// Whether a claim is worth a statement: an eighth of the slots is free.
    fn has_room(&self) -> bool {
        self.shared.slots.available_permits() >= (self.shared.config.slots / 8).max(1)
    }

    async fn beat(&mut self) -> Result<(), Error> {
        loop {
            match lanes::beat(&mut self.conn, self.handle.id).await {
                Ok(()) => break,
                Err(Error::Unavailable(error)) => self.reconnect(&error).await?,
                Err(error) => return Err(error),
            }
        }
        self.last_beat = Instant::now();
        Ok(())
    }

    /// After a lost connection: is the lane still alive, and does the table say that it holds more than we know of?
    async fn reconnect(&mut self, why: &sqlx::Error) -> Result<(), Error> {
        tracing::warn!(error = %why, lane = self.handle.id, "the lane's connection was lost; connecting again");
        loop {
            self.conn = tokio::select! {
                conn = connect(&self.shared) => conn,
                () = self.shared.stopped.cancelled() => return Err(Error::LeaseLost),
            };
            let known = self.shared.active.of_lane(self.handle.id);
            let checked = async {
                lanes::beat(&mut self.conn, self.handle.id).await?;
                lanes::give_back_unknown(&mut self.conn, self.handle.id, &known).await
            };
            match checked.await {
                Ok(given_back) => {
                    if given_back > 0 {
                        tracing::warn!(given_back, "a claim had landed whose answer was lost");
                        self.shared.look_for_due();
                    }
                    self.last_beat = Instant::now();
                    return Ok(());
                }
                Err(Error::Unavailable(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn claim(&mut self) -> Result<(), Error> {
        let free = self.shared.slots.available_permits().min(CLAIM_AT_MOST);
        let Ok(mut permits) = self.shared.slots.clone().try_acquire_many_owned(free as u32) else { return Ok(()) };
        let served = self.shared.served();
        let claimed = async {
            let mut claimed = claim::claim(&mut self.conn, self.handle.id, &served, free as i64).await?;
            load_history(&mut self.conn, &mut claimed).await?;
            Ok::<_, Error>(claimed)
        };
        let claimed = match claimed.await {
            Ok(claimed) => claimed,
            Err(Error::Unavailable(error)) => {
                self.shared.may_be_due.store(true, Ordering::Relaxed);
                return self.reconnect(&error).await;
            }
            Err(Error::Database(error)) => {
                tracing::error!(%error, "a claim failed; what it may have taken is given back");
                lanes::give_back_unknown(&mut self.conn, self.handle.id, &self.shared.active.of_lane(self.handle.id))
                    .await?;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if claimed.len() == free {
            self.shared.may_be_due.store(true, Ordering::Relaxed);
        }
        if let Some(first) = claimed.first() {
            self.shared.clock.set(first.now);
        } else {
            // No row may also mean that the lane is dead: the next beat tells.
            return Ok(());
        }
        self.last_beat = Instant::now();
        let delay = &self.shared.engine.meters().claim_delay;
        for run in claimed {
            delay.record((run.now - run.due_at).to_std().unwrap_or_default());
            let Some(slot) = permits.split(1) else { break };
            drive::spawn(self.shared.clone(), self.handle.clone(), run, slot);
        }
        Ok(())
    }

    async fn flush(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        let (mut commits, mut acks) = (Vec::with_capacity(requests.len()), Vec::with_capacity(requests.len()));
        for request in requests {
            match request {
                Request::Commit(commit, ack) => {
                    commits.push(*commit);
                    acks.push(ack);
                }
                Request::Release(run, done) => {
                    self.release(run).await?;
                    let _ = done.send(());
                }
            }
        }
        if commits.is_empty() {
            return Ok(());
        }
        let mut done = Vec::with_capacity(commits.len());
        self.flush_all(commits, &mut done).await?;
        self.last_beat = Instant::now();
        for (ack, answer) in acks.into_iter().zip(done) {
            // A run that was dropped meanwhile does not want to know.
            let _ = ack.send(answer);
        }
        Ok(())
    }

    /// Flushes; where the database refuses a batch, its halves, so that one bad row costs only its own run.
    async fn flush_all(&mut self, commits: Vec<Commit>, done: &mut Vec<Ack>) -> Result<(), Error> {
        let mut pending = vec![commits];
        while let Some(mut batch) = pending.pop() {
            let began = Instant::now();
            match flush::flush(&mut self.conn, self.handle.id, &batch).await {
                Ok(flushed) => {
                    self.shared.engine.meters().flushed(&batch, &flushed, began.elapsed());
                    self.answer(&batch, &flushed, done);
                }
                Err(Error::Unavailable(error)) => {
                    self.reconnect(&error).await?;
                    may_be_recorded(&mut batch);
                    pending.push(batch);
                }
                Err(Error::Database(error)) if is_retryable(&error) => pending.push(batch),
                Err(Error::Database(error)) if batch.len() > 1 => {
                    tracing::warn!(%error, runs = batch.len(), "a flush was refused; trying its halves");
                    let second = batch.split_off(batch.len() / 2);
                    pending.push(second);
                    pending.push(batch);
                }
                Err(Error::Database(error)) if is_step_on_record(&error) => {
                    // A step that was to be new is on record: the run goes on from its rows, not from this memory.
                    tracing::warn!(%error, "a run was decided from a view that is out of date; it is begun anew");
                    self.give_back(&batch).await?;
                    done.extend(batch.iter().map(|_| Ack::Lost));
                }
                Err(Error::Database(error)) => {
                    for commit in &mut batch {
                        tracing::error!(%error, run_id = %commit.run, "what the run wants to record is refused by the database");
                        let seen = claim::inbox(&mut self.conn, commit.run).await.map_or(0, |inbox| inbox.inbox);
                        commit.writes = quarantine(&error, seen);
                    }
                    match flush::flush(&mut self.conn, self.handle.id, &batch).await {
                        Ok(flushed) if flushed.dequeued.len() == batch.len() => {}
                        Ok(_) => self.give_back(&batch).await?,
                        Err(error) => {
                            tracing::error!(%error, "the run could not even be quarantined; it is given back");
                            self.give_back(&batch).await?;
                        }
                    }
                    done.extend(batch.iter().map(|_| Ack::Lost));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn answer(&self, batch: &[Commit], flushed: &Flushed, done: &mut Vec<Ack>) {
        self.shared.clock.set(flushed.now);
        self.shared.engine.hints().wake_waiters(flushed.dequeued.iter().copied());
        let mut handed_over = false;
        for commit in batch {
            handed_over |= matches!(commit.writes.run, Some(RunWrite::HandOver { .. }));
            done.push(ack(commit, flushed));
        }
        if handed_over {
            self.shared.engine.hint();
        }
    }

    async fn give_back(&mut self, batch: &[Commit]) -> Result<(), Error> {
        for commit in batch {
            self.release(commit.run).await?;
        }
        Ok(())
    }

    async fn release(&mut self, run: RunId) -> Result<(), Error> {
        loop {
            match flush::release(&mut self.conn, self.handle.id, run).await {
                Ok(()) => break,
                Err(Error::Unavailable(error)) => self.reconnect(&error).await?,
                Err(error) => return Err(error),
            }
        }
        self.shared.engine.hint();
        Ok(())
    }
}

/// After a flush whose answer was lost any of its rows may be there: from now on they are written as changes.
fn may_be_recorded(batch: &mut [Commit]) {
    batch.iter_mut().flat_map(|commit| &mut commit.writes.steps).for_each(|step| step.recorded = true);
}

/// What one commit came to.
pub(super) fn ack(commit: &Commit, flushed: &Flushed) -> Ack {
    let dequeues = matches!(commit.writes.run, Some(RunWrite::Dequeue { .. } | RunWrite::NotDue { .. }));
    if flushed.refused.contains(&commit.run) {
        Ack::Refused
    } else if flushed.lost.contains(&commit.run) {
        Ack::Lost
    } else if dequeues && !flushed.dequeued.contains(&commit.run) {
        Ack::InboxChanged
    } else if !dequeues && flushed.paused.contains(&commit.run) {
        Ack::Paused
    } else {
        Ack::Done
    }
}

/// A run whose record the database refuses stands still until an operator has looked at it.
pub(super) fn quarantine(error: &sqlx::Error, seen: i32) -> Writes {
    let failure = Failure::new("unrecordable", format!("the database refused the run's record: {error}"));
    let run =
        RunWrite::Dequeue { status: Status::Stuck, output: None, failure: Some(failure.clone()), wait: None, seen };
    // Which workflow it is is not known here; the code and the database's sentence tell enough apart.
    let attention = Attention::new("", None, AttentionKind::Stuck, failure, None);
    Writes { run: Some(run), attention: vec![attention], unpaused: true, ..Writes::default() }
}

/// Loads what is on record of runs that were advanced before.
async fn load_history(conn: &mut PgConnection, claimed: &mut [claim::Claimed]) -> Result<(), Error> {
    let old: Vec<RunId> = claimed.iter().filter(|run| run.has_history).map(|run| run.snapshot.run).collect();
    if !old.is_empty() {
        let mut steps = claim::steps(conn, &old).await?;
        for run in claimed.iter_mut().filter(|run| run.has_history) {
            run.snapshot.steps = steps.remove(&run.snapshot.run).unwrap_or_default();
        }
    }
    let signalled: Vec<RunId> =
        claimed.iter().filter(|run| run.snapshot.inbox > 0).map(|run| run.snapshot.run).collect();
    if !signalled.is_empty() {
        let mut signals = claim::signals(conn, &signalled).await?;
        for run in claimed.iter_mut() {
            run.snapshot.signals = signals.remove(&run.snapshot.run).unwrap_or_default();
        }
    }
    Ok(())
}

/// When a run was claimed for the first time.
pub(super) fn first_claimed(run: &claim::Claimed) -> Time {
    run.started_at.unwrap_or(run.now)
}
