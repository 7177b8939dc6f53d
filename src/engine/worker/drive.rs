//! One run, driven: decision, commit, acts, event, decision … until its worker lets go of it.
//!
//! The order is the promise: a decision's writes are durable before any of its acts begins. When a commit is refused,
//! lost, or its fate is open, nothing of the run is kept in memory: its rows say how it goes on, for whoever claims it next.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    active_runs::ActiveRun,
    attempt::{self, Happened, OpenTransaction},
    faults::Moment,
    lane::{self, Ack, LaneHandle, Request},
};
use crate::engine::{
    activity::{ActivityContext, Origin, VISIBLE_AFTER},
    core::{
        decision::{Attempt, Decision, Event, FollowUp, Writes},
        holds::HoldKind,
        machine::Machine,
        model::{Direction, RunId, Time},
        trace::Trace,
    },
    error::{Error, is_retryable, is_step_on_record},
    store::{claim, flush},
};

/// How often a run with attempts under way looks at their notes and at the clock.
const LOOK_EVERY: Duration = VISIBLE_AFTER;

struct Driver {
    shared: Arc<Shared>,
    lane: LaneHandle,
    run: RunId,
    origin: Origin,
    claimed_at: Time,
    parked_before: bool,
    /// Attempts were held back, and the machine takes them for begun: the run can only be given back any more.
    releasing: bool,
    active: Arc<ActiveRun>,
    machine: Machine,
    in_progress: FuturesUnordered<BoxFuture<'static, Option<Happened>>>,
    under_way: Vec<UnderWay>,
    cancelled: CancellationToken,
}

/// An attempt under way, for its notes.
struct UnderWay {
    seq: u32,
    direction: Direction,
    cx: Arc<ActivityContext>,
    began: tokio::time::Instant,
    shown: bool,
}

/// Takes a claimed run on, in a task of its own.
pub(super) fn spawn(shared: Arc<Shared>, lane: LaneHandle, claimed: claim::Claimed, slot: OwnedSemaphorePermit) {
    let run = claimed.snapshot.run;
    let code = {
        let code = shared.code.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        code.get(&claimed.workflow_id).cloned()
    };
    let Some(code) = code else {
        tracing::error!(run_id = %run, lane = lane.id, "a run was claimed whose workflow is not registered here");
        return;
    };
    shared.engine.meters().active_runs.increment(1);
    let active = shared.active.add(run, lane.id, claimed.snapshot.inbox);
    tokio::spawn(async move {
        let (claimed_at, parked_before, now) = (lane::first_claimed(&claimed), claimed.has_history, claimed.now);
        let trace = Trace::of(run, claimed.traceparent.as_deref());
        let origin = Origin { workflow: code.name(), trace, lane: lane.id };
        let machine = Machine::new(claimed.snapshot, code, shared.engine.shared_registry(), shared.clone());
        let dead = lane.dead.clone();
        let mut driver = Driver {
            shared: shared.clone(),
            lane,
            run,
            origin,
            claimed_at,
            parked_before,
            releasing: false,
            active: active.clone(),
            machine,
            in_progress: FuturesUnordered::new(),
            under_way: Vec::new(),
            cancelled: CancellationToken::new(),
        };
        tokio::select! {
            biased;
            () = driver.drive(now) => {}
            () = dead.cancelled() => {}
            () = shared.stopped.cancelled() => {}
        }
        shared.active.remove(run, &active);
        shared.engine.meters().active_runs.decrement(1);
        drop(slot);
        if shared.may_be_due.load(std::sync::atomic::Ordering::Relaxed) {
            shared.engine.hints().due.notify_one();
        }
    });
}

impl Driver {
    async fn drive(&mut self, claimed: Time) {
        let mut decision = self.machine.begin(claimed);
        let mut tx = None;
        loop {
            decision = match self.carry_out(decision, tx.take()).await {
                Some(Next::Wait(wake_at)) => {
                    let Some((event, opened)) = self.next_event(wake_at).await else { return };
                    tx = opened;
                    let now = match event.1 {
                        Some(now) => now,
                        None => self.shared.clock.now(),
                    };
                    self.machine.on(event.0, now)
                }
                Some(Next::Decide(decision)) => *decision,
                None => return,
            };
        }
    }

    /// Commits a decision's writes, then begins its acts. None: the run is let go of.
    async fn carry_out(&mut self, mut decision: Decision, tx: Option<OpenTransaction>) -> Option<Next> {
        let releases = decision.releases_run();
        if self.shared.draining.is_cancelled() {
            self.releasing = true;
            self.cancelled.cancel();
        }
        // What is under way of a held workflow is let to its end: a hold is not a cancel.
        self.releasing |= self.shared.holds.holds(HoldKind::Workflow, self.origin.workflow);
        if self.releasing {
            decision.withdraw_attempts(self.shared.clock.now());
        }
        let ack = if decision.writes.is_empty() && tx.is_none() {
            Ack::Done
        } else {
            self.fault(Moment::Before).await;
            let ack = self.commit(decision.writes, tx).await?;
            self.fault(Moment::After).await;
            ack
        };
        match ack {
            Ack::Lost => return None,
            Ack::Refused => {
                self.release().await;
                return None;
            }
            Ack::InboxChanged => {
                return Box::pin(self.inbox_changed()).await.map(|decision| Next::Decide(Box::new(decision)));
            }
            Ack::Done | Ack::Paused if releases => return None,
            Ack::Paused => {
                self.releasing = true;
                Box::pin(self.withdraw(&mut decision.follow_ups)).await?;
            }
            Ack::Done => {}
        }
        decision.follow_ups.into_iter().for_each(|follow_up| self.begin(follow_up));
        if self.releasing && self.in_progress.is_empty() {
            self.release().await;
            return None;
        }
        Some(Next::Wait(decision.wake_at))
    }

    /// What was about to begin when the commit before it said that the run is paused. On record it is under way.
    async fn withdraw(&mut self, follow_ups: &mut Vec<FollowUp>) -> Option<()> {
        let (stops, begins) =
            std::mem::take(follow_ups).into_iter().partition(|follow_up| matches!(follow_up, FollowUp::Cancel));
        *follow_ups = stops;
        let writes = self.machine.withdraw_follow_ups(begins, self.shared.clock.now());
        if writes.is_empty() {
            return Some(());
        }
        matches!(self.commit(writes, None).await?, Ack::Done | Ack::Paused).then_some(())
    }

    async fn fault(&mut self, moment: Moment) {
        if let Some(faults) = self.shared.config.faults.clone() {
            faults.commit(self.run, moment).await;
        }
    }

    /// None: what became of the commit is unknown or the run is no longer ours; its rows tell whoever claims it next.
    async fn commit(&mut self, writes: Writes, tx: Option<OpenTransaction>) -> Option<Ack> {
        let (claimed_at, parked_before) = (self.claimed_at, self.parked_before);
        let commit = flush::Commit { run: self.run, claimed_at, parked_before, writes };
        match tx {
            // Boxed, as are the other ways that most runs never go: a run's task stays small.
            Some(tx) => Box::pin(self.commit_with(tx, commit)).await,
            None => self.commit_by_lane(commit).await,
        }
    }

    async fn commit_by_lane(&mut self, commit: flush::Commit) -> Option<Ack> {
        let (ack, answered) = oneshot::channel();
        self.lane.requests.send(Request::Commit(Box::new(commit), ack)).await.ok()?;
        answered.await.ok()
    }

    /// The step's own SQL and its record, in one commit, behind the same fence.
    async fn commit_with(&mut self, mut open: OpenTransaction, commit: flush::Commit) -> Option<Ack> {
        let began = tokio::time::Instant::now();
        let flushed = match flush::flush(&mut open.tx, self.lane.id, std::slice::from_ref(&commit)).await {
            Ok(flushed) => flushed,
            Err(Error::LeaseLost) => return None,
            Err(error) => {
                // Its locks go first: one of them is the lane's.
                let _ = open.tx.rollback().await;
                return self.forget(commit, "its record failed", error).await;
            }
        };
        let ack = lane::ack(&commit, &flushed);
        if matches!(ack, Ack::Lost | Ack::Refused) {
            let _ = open.tx.rollback().await;
            return Some(ack);
        }
        match open.tx.commit().await {
            Ok(()) => {
                self.shared.engine.meters().flushed(std::slice::from_ref(&commit), &flushed, began.elapsed());
                self.shared.engine.hints().wake_waiters(flushed.dequeued);
                Some(ack)
            }
            Err(error) => self.forget(commit, "its commit failed", error.into()).await,
        }
    }

    /// A transactional step whose commit may or may not have landed: the rows know, so the run is begun anew from them.
    /// Where the database has refused it for good (the step's SQL broke the transaction, or a deferred constraint) that
    /// would go on for ever: then the run stands still, as one whose own record is refused.
    async fn forget(&mut self, commit: flush::Commit, what: &str, error: Error) -> Option<Ack> {
        match error {
            Error::Database(error) if !is_retryable(&error) && !is_step_on_record(&error) => {
                tracing::error!(run_id = %self.run, %error, "{what}: the run stands still");
                let inbox = async { claim::inbox(&mut *self.shared.engine.pool().acquire().await?, self.run).await };
                let writes = lane::quarantine(&error, inbox.await.map_or(0, |inbox| inbox.inbox));
                if self.commit_by_lane(flush::Commit { writes, ..commit }).await != Some(Ack::Done) {
                    self.release().await;
                }
            }
            error => {
                tracing::warn!(run_id = %self.run, %error, "{what}: the run is begun anew from its rows");
                self.release().await;
            }
        }
        None
    }

    async fn release(&mut self) {
        // Without an answer the lane is gone, and takeover sees to the run.
        let (done, answered) = oneshot::channel();
        if self.lane.requests.send(Request::Release(self.run, done)).await.is_ok() {
            let _ = answered.await;
        }
    }

    fn begin(&mut self, follow_up: FollowUp) {
        let shared = self.shared.clone();
        match follow_up {
            FollowUp::Attempt(what) => {
                let cx = self.context(&what, false);
                self.in_progress.push(attempt::attempt(shared, cx, what).map(Some).boxed());
            }
            FollowUp::Verify(what) => {
                let cx = self.context(&what, true);
                self.in_progress.push(attempt::verify(shared, cx, what).map(Some).boxed());
            }
            FollowUp::Draw { seq, what } => {
                self.in_progress.push(async move { attempt::draw(&shared, seq, what).await }.boxed())
            }
            // What comes after are undos, which nobody has cancelled.
            FollowUp::Cancel => std::mem::take(&mut self.cancelled).cancel(),
        }
    }

    fn context(&mut self, what: &Attempt, verifies: bool) -> Arc<ActivityContext> {
        let cx = Arc::new(attempt::context(self.run, self.origin, what, verifies, self.cancelled.clone()));
        self.under_way.push(UnderWay {
            seq: what.seq,
            direction: what.direction,
            cx: cx.clone(),
            began: tokio::time::Instant::now(),
            shown: false,
        });
        cx
    }

    /// The next thing that happens to the run. None: it is let go of.
    async fn next_event(&mut self, wake_at: Option<Time>) -> Option<((Event, Option<Time>), Option<OpenTransaction>)> {
        // Attempts that end at once, as in-process ones do, cost no timer.
        if let Some(Some(happened)) = self.in_progress.next().now_or_never() {
            return self.happened(happened).await;
        }
        loop {
            let until_due = wake_at.map(|at| (at - self.shared.clock.now()).to_std().unwrap_or_default());
            let pause = until_due.unwrap_or(LOOK_EVERY).min(LOOK_EVERY);
            tokio::select! {
                biased;
                Some(happened) = self.in_progress.next(), if !self.in_progress.is_empty() => return self.happened(happened).await,
                () = self.active.poke.notified() => {
                    let inbox = Box::pin(self.load_inbox()).await?;
                    return Some(((inbox, None), None));
                }
                () = self.shared.draining.cancelled(), if self.in_progress.is_empty() => {
                    self.release().await;
                    return None;
                }
                () = tokio::time::sleep(pause) => {
                    if let Some(beat) = self.beat() {
                        return Some(((beat, None), None));
                    }
                    if wake_at.is_some_and(|at| at <= self.shared.clock.now())
                        && let Some((now, recorded)) = Box::pin(self.load_dues()).await
                    {
                        return Some(((Event::Due { recorded }, Some(now)), None));
                    }
                    if self.shared.draining.is_cancelled() {
                        self.cancelled.cancel();
                    }
                }
            }
        }
    }

    async fn happened(
        &mut self,
        happened: Option<Happened>,
    ) -> Option<((Event, Option<Time>), Option<OpenTransaction>)> {
        let Some(Happened { event, tx }) = happened else {
            // A side value could not be drawn: the database is away. The run is begun anew when it is back.
            self.release().await;
            return None;
        };
        if let Event::Attempted { seq, direction, .. } | Event::Verified { seq, direction, .. } = &event {
            let ended = self.under_way.iter().find(|other| (other.seq, other.direction) == (*seq, *direction));
            if let Some(details) = ended.and_then(|ended| attempt::take_beat(&ended.cx)) {
                self.machine.note(*seq, *direction, details);
            }
            self.under_way.retain(|other| (other.seq, other.direction) != (*seq, *direction));
        }
        Some(((event, None), tx))
    }

    /// A note to write down, or an attempt that has become long enough to be shown.
    fn beat(&mut self) -> Option<Event> {
        for attempt in &mut self.under_way {
            let details = attempt::take_beat(&attempt.cx);
            if details.is_some() || (!attempt.shown && attempt.began.elapsed() >= VISIBLE_AFTER) {
                attempt.shown = true;
                return Some(Event::Beat { seq: attempt.seq, direction: attempt.direction, details });
            }
        }
        None
    }

    async fn load_dues(&mut self) -> Option<(Time, Vec<(u32, Time)>)> {
        let dues = async { claim::dues(&mut *self.shared.engine.pool().acquire().await?, self.run).await };
        match dues.await {
            Ok((now, recorded)) => {
                self.shared.clock.set(now);
                Some((now, recorded))
            }
            Err(error) => {
                tracing::debug!(%error, "the database's clock can't be read; nothing is early without it");
                None
            }
        }
    }

    async fn load_inbox(&mut self) -> Option<Event> {
        let loaded = async { claim::inbox(&mut *self.shared.engine.pool().acquire().await?, self.run).await };
        match loaded.await {
            Ok(claim::Inbox { inbox, request, signals }) => {
                self.active.saw(inbox);
                Some(Event::Inbox { inbox, request, signals })
            }
            Err(error) => {
                tracing::warn!(run_id = %self.run, %error, "the inbox can't be read: the run is given back");
                self.release().await;
                None
            }
        }
    }

    async fn inbox_changed(&mut self) -> Option<Decision> {
        let event = self.load_inbox().await?;
        Some(self.machine.on(event, self.shared.clock.now()))
    }
}

enum Next {
    Wait(Option<Time>),
    Decide(Box<Decision>),
}
