//! A lane at work: one connection that claims, flushes and beats, one statement at a time.
//!
//! While a flush is in flight, decisions of other runs accumulate; they all go into the next one. Nothing waits for a
//! batch to fill: at low load a flush carries one step and costs one commit, at high load it carries hundreds.
//!
//! A lane that was declared dead (`LeaseLost`) drops all its runs at once, and a new lane is opened.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sqlx::PgConnection;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    commit::{LaneHandle, Request, serve_requests},
    connection::LaneConnection,
    drive,
    limits::within,
    registration::register_workflows,
    shared::Shared,
    suspects::{Admission, Suspect},
};
use crate::engine::{
    core::{model::RunId, time::Moment},
    error::Error,
    store::{claim, lanes, schema::Schema},
};

/// Runs in one claim, and commits in one flush, at most: beyond a few hundred a batch gains nothing and delays the rest.
const CLAIM_AT_MOST: usize = 500;
const FLUSH_AT_MOST: usize = 1_000;
/// A flush of so many need not gather more.
const FEW: usize = 32;
const TRY_AGAIN: Duration = Duration::from_millis(500);

struct Lane {
    connection: LaneConnection,
    handle: LaneHandle,
    requests: mpsc::Receiver<Request>,
    last_poll: Instant,
}

/// Works until the worker is stopped; opens a new lane whenever one is lost.
pub(super) async fn work(shared: Arc<Shared>) {
    let mut was_lost = false;
    while !shared.stopped.is_cancelled() {
        if was_lost && let Err(error) = register_workflows(&shared).await {
            tracing::warn!(%error, "the workflows could not be registered again; trying again");
            tokio::select! {
                () = tokio::time::sleep(TRY_AGAIN) => continue,
                () = shared.stopped.cancelled() => return,
            }
        }
        let connection = tokio::select! {
            opened = LaneConnection::open(&shared) => opened,
            () = shared.stopped.cancelled() => return,
        };
        was_lost = serve(&shared, connection).await;
    }
}

/// Serves with one lane until its end; says whether it was lost.
async fn serve(shared: &Arc<Shared>, connection: LaneConnection) -> bool {
    let (lease, acknowledged) = (connection.lease, connection.acknowledged.clone());
    let (sender, requests) = mpsc::channel(4 * FLUSH_AT_MOST);
    let handle = LaneHandle { lease, acknowledged, requests: sender, dead: CancellationToken::new() };
    // However this lane ends, by a panic as well: its runs end with it.
    let _ends = handle.dead.clone().drop_guard();
    let mut lane = Lane { connection, handle, requests, last_poll: Instant::now() };
    match lane.serve(shared).await {
        Ok(()) => {
            let releasing = lanes::release(shared.schema(), &mut lane.connection.conn, lease);
            if let Err(error) = within(shared.config.answer_within(), releasing).await {
                tracing::warn!(%error, lane = lease.lane, "the lane could not be given back; it will be taken over");
            }
            false
        }
        Err(error) => {
            if matches!(error, Error::LeaseLost) && !shared.stopped.is_cancelled() {
                shared.engine.meters().lanes_fenced.increment(1);
            }
            tracing::warn!(%error, lane = lease.lane, "the lane was lost: its runs are left to the worker that took it over");
            true
        }
    }
}

impl Lane {
    /// Serves until the worker stops.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn serve(&mut self, shared: &Arc<Shared>) -> Result<(), Error> {
        let beat_every = shared.config.takeover_after / 5;
        let mut batch = Vec::new();
        loop {
            let hints = shared.engine.hints().clone();
            // Hints and polls count even while no slot is free: one may be before anything else happens here.
            let claims = !shared.draining.is_cancelled();
            tokio::select! {
                biased;
                count = self.requests.recv_many(&mut batch, FLUSH_AT_MOST) => if count == 0 { return Ok(()) },
                () = hints.due.notified(), if claims => shared.may_be_due.store(true, Ordering::Relaxed),
                () = shared.stopped.cancelled() => return Ok(()),
                () = tokio::time::sleep(beat_every.saturating_sub(self.connection.last_beat.elapsed())) => self.connection.beat().await?,
                () = tokio::time::sleep(shared.config.poll_interval.saturating_sub(self.last_poll.elapsed())), if claims => {
                    self.last_poll = Instant::now();
                    shared.may_be_due.store(true, Ordering::Relaxed);
                }
            }
            if !batch.is_empty() {
                self.gather(&mut batch).await;
                serve_requests(&mut self.connection, std::mem::take(&mut batch)).await?;
            }
            if !shared.draining.is_cancelled() && has_room(shared) && shared.may_be_due.swap(false, Ordering::Relaxed) {
                self.claim(shared).await?;
            }
        }
    }

    /// What else is about to come. The first run that the last flush let go on has woken this lane, before the others had their turn:
    /// a flush of its commit alone would make them wait for it.
    async fn gather(&mut self, batch: &mut Vec<Request>) {
        if batch.len() < FEW {
            tokio::task::yield_now().await;
        }
        while batch.len() < FLUSH_AT_MOST
            && let Ok(request) = self.requests.try_recv()
        {
            batch.push(request);
        }
    }

    async fn claim(&mut self, shared: &Arc<Shared>) -> Result<(), Error> {
        let free = shared.slots.available_permits().min(CLAIM_AT_MOST);
        let Ok(mut permits) = shared.slots.clone().try_acquire_many_owned(free as u32) else { return Ok(()) };
        let served = shared.served();
        let claimed = async {
            let (schema, conn, lease) = (shared.schema(), &mut self.connection.conn, self.handle.lease);
            let claimed = claim::claim(schema, conn, lease, &served, free as i64).await?;
            let (mut begin, suspects, later) = sort_out_suspects(shared, claimed);
            if !later.is_empty() {
                lanes::set_suspects_aside(schema, conn, lease, &later).await?;
            }
            load_history(schema, conn, &mut begin).await?;
            Ok::<_, Error>((begin, suspects))
        };
        let (claimed, suspects) = match within(shared.config.answer_within(), claimed).await {
            Ok(claimed) => claimed,
            // Whatever it is: a new session, and what the claim may have taken is given back.
            Err(Error::Unavailable(error) | Error::OutcomeUnknown(error) | Error::Database(error)) => {
                shared.may_be_due.store(true, Ordering::Relaxed);
                return self.connection.reconnect(&error).await;
            }
            Err(error) => return Err(error),
        };
        if claimed.len() == free {
            shared.may_be_due.store(true, Ordering::Relaxed);
        }
        if let Some(first) = claimed.first() {
            shared.clock.set(first.now);
        } else {
            // No row may also mean that the lane is dead: the next beat finds out.
            return Ok(());
        }
        self.connection.answered();
        let delay = &shared.engine.meters().claim_delay;
        for (run, suspect) in claimed.into_iter().zip(suspects) {
            delay.record(run.now.since(run.due_at));
            let Some(slot) = permits.split(1) else { break };
            drive::spawn(shared.clone(), self.handle.clone(), run, (slot, suspect));
        }
        Ok(())
    }
}

/// Whether a claim is worth a statement: an eighth of the slots is free.
fn has_room(shared: &Shared) -> bool {
    shared.slots.available_permits() >= (shared.config.slots / 8).max(1)
}

/// Parts claimed runs into those that are begun, with what marks suspects, and those that have to wait.
fn sort_out_suspects(
    shared: &Shared,
    claimed: Vec<claim::Claimed>,
) -> (Vec<claim::Claimed>, Vec<Option<Suspect>>, Vec<RunId>) {
    let (mut begin, mut suspects, mut later) = (Vec::with_capacity(claimed.len()), Vec::new(), Vec::new());
    for run in claimed {
        let suspect = match shared.suspects.admit(run.snapshot.run, run.snapshot.takeovers) {
            Admission::Free => None,
            Admission::Suspect(suspect) => Some(suspect),
            Admission::Later => {
                later.push(run.snapshot.run);
                continue;
            }
        };
        begin.push(run);
        suspects.push(suspect);
    }
    (begin, suspects, later)
}

/// Loads the steps and signals of runs that were advanced before.
async fn load_history(schema: &Schema, conn: &mut PgConnection, claimed: &mut [claim::Claimed]) -> Result<(), Error> {
    let old: Vec<RunId> = claimed.iter().filter(|run| run.has_history).map(|run| run.snapshot.run).collect();
    if !old.is_empty() {
        let mut steps = claim::load_steps(schema, conn, &old).await?;
        for run in claimed.iter_mut().filter(|run| run.has_history) {
            run.snapshot.steps = steps.remove(&run.snapshot.run).unwrap_or_default();
        }
    }
    let signalled: Vec<RunId> =
        claimed.iter().filter(|run| run.snapshot.inbox > 0).map(|run| run.snapshot.run).collect();
    if !signalled.is_empty() {
        let mut signals = claim::load_signals(schema, conn, &signalled).await?;
        for run in claimed.iter_mut() {
            run.snapshot.signals = signals.remove(&run.snapshot.run).unwrap_or_default();
        }
    }
    Ok(())
}
