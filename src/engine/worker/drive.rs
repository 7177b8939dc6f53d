//! One run's life in a worker: decide, commit, follow up, wait for the next event, until the worker releases it.
//!
//! The order is the promise: a decision's writes are durable before any of its follow-ups begins that could change something, or
//! in the commit of its only one, a transactional step. When a commit is refused or lost, or its fate is open, nothing of the run
//! is kept in memory: its rows say how it goes on (see `commit`).

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    active_runs::ActiveRun,
    attempt::{self, Happened},
    commit::{Ack, Committer, LaneHandle, Request, Seat},
    faults::Moment,
    in_progress::InProgress,
    limits::within,
    shared::Shared,
    suspects::Suspect,
};
use crate::engine::{
    activity::{ActivityContext, Origin, VISIBLE_AFTER},
    core::{
        decision::{Attempt, Decision, Event, FollowUp, RunWrite, Verification},
        execution::panic_message,
        holds::HoldKind,
        machine::Machine,
        model::{Direction, RunId, Time},
        redact::scrub,
        time::Moment as _,
        trace::Trace,
    },
    read_models::RunResult,
    store::{
        claim,
        lanes::{self, Lease, Release},
    },
};

/// How often a run with attempts under way checks their heartbeats and the clock.
const LOOK_EVERY: Duration = VISIBLE_AFTER;
/// For a shorter wait a run keeps its slot.
const SHORTEST_NAP: Duration = Duration::from_millis(50);
/// So long an outcome waits for the step behind it to end: then that takes long, and it is recorded by itself.
const CARRIED_AT_MOST: Duration = Duration::from_millis(100);
/// Attempts that have ended at the same time and share a commit, at most.
const RESULTS_AT_ONCE: usize = 256;

struct Driver {
    shared: Arc<Shared>,
    run: RunId,
    origin: Origin,
    committer: Committer,
    /// Attempts were withdrawn that the machine takes for begun: from here on the run can only be released.
    releasing: bool,
    active: Arc<ActiveRun>,
    machine: Machine,
    in_progress: InProgress<Option<Happened>>,
    /// A result that came together with others and has to be committed by itself.
    next_result: Option<Happened>,
    under_way: Vec<UnderWay>,
    cancelled: CancellationToken,
    suspect: Option<Suspect>,
    /// None while nothing is under way and the run waits for a moment.
    slot: Option<OwnedSemaphorePermit>,
}

/// An attempt under way, for its heartbeats.
struct UnderWay {
    seq: u32,
    direction: Direction,
    cx: Arc<ActivityContext>,
    began: tokio::time::Instant,
    shown: bool,
}

/// Takes a claimed run on, in a task of its own.
pub(super) fn spawn(
    shared: Arc<Shared>,
    lane: LaneHandle,
    claimed: claim::Claimed,
    (slot, suspect): (OwnedSemaphorePermit, Option<Suspect>),
) {
    let run = claimed.snapshot.run;
    let code = {
        let code = shared.code.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        code.get(&claimed.workflow_id).cloned()
    };
    let Some(code) = code else {
        tracing::error!(run_id = %run, lane = lane.lease.lane, "a run was claimed whose workflow is not registered here");
        let (done, _) = oneshot::channel();
        tokio::spawn(async move { lane.requests.send(Request::Release(run, Release::ForAnother, done)).await });
        return;
    };
    shared.engine.meters().active_runs.increment(1);
    let active = shared.active.add(run, lane.lease.lane, claimed.snapshot.inbox);
    tokio::spawn(async move {
        let (parked_before, now) = (claimed.has_history, claimed.now);
        let claimed_at = claimed.started_at.unwrap_or(now);
        let trace = Trace::of(run, claimed.traceparent.as_deref());
        let origin = Origin { workflow: code.name(), trace, lane: lane.lease.lane };
        let machine = Machine::new(claimed.snapshot, code, shared.engine.shared_registry(), shared.clone());
        let dead = lane.dead.clone();
        let mut driver = Driver {
            shared: shared.clone(),
            run,
            origin,
            committer: Committer { shared: shared.clone(), lane, run, claimed_at, parked_before, carried: None },
            releasing: false,
            active: active.clone(),
            machine,
            in_progress: InProgress::default(),
            next_result: None,
            under_way: Vec::new(),
            cancelled: CancellationToken::new(),
            suspect,
            slot: Some(slot),
        };
        tokio::select! {
            biased;
            () = driver.drive_guarded(now) => {}
            () = dead.cancelled() => {}
            () = shared.stopped.cancelled() => {}
        }
        let slot = driver.slot.take();
        drop(driver);
        shared.active.remove(run, &active);
        shared.engine.meters().active_runs.decrement(1);
        drop(slot);
        shared.slot_is_free();
    });
}

impl Driver {
    /// A panic in here is a bug of ours, and costs nobody but this run: it is given back, as one loss more.
    async fn drive_guarded(&mut self, claimed: Time) {
        let Err(panic) = AssertUnwindSafe(self.drive(claimed)).catch_unwind().await else { return };
        let panic = panic_message(panic.as_ref());
        tracing::error!(run_id = %self.run, panic, "the worker's own code panicked over a run; it is given back");
        self.shared.engine.meters().tasks_died.increment(1);
        // Nothing of it goes on beside its next worker.
        self.in_progress = InProgress::default();
        self.next_result = None;
        self.committer.release_because(Release::Panicked).await;
    }

    async fn drive(&mut self, claimed: Time) {
        let mut decision = self.machine.begin(claimed);
        if let Some(failure) = decision.disagreement()
            && hand_on(&self.shared, self.run, self.committer.lane.lease, &failure.code).await
        {
            return;
        }
        let mut seat = None;
        loop {
            decision = match self.carry_out(decision, seat.take()).await {
                Some(Next::Wait(wake_at)) => {
                    let Some(incoming) = self.next_event(wake_at).await else { return };
                    seat = incoming.seat;
                    let now = incoming.now.unwrap_or_else(|| self.shared.clock.now());
                    self.machine.on_all(incoming.event.into_iter().chain(incoming.others), now)
                }
                Some(Next::Decide(decision)) => *decision,
                None => return,
            };
        }
    }

    /// Commits a decision's writes, then begins its follow-ups. None: the run is released.
    async fn carry_out(&mut self, mut decision: Decision, seat: Option<Seat>) -> Option<Next> {
        let releases = decision.releases_run();
        if self.shared.draining.is_cancelled() {
            self.releasing = true;
            self.cancelled.cancel();
        }
        // A hold is not a cancel: attempts of a held workflow that are under way may end.
        self.releasing |= self.shared.holds.holds(HoldKind::Workflow, self.origin.workflow);
        if self.releasing {
            decision.withdraw_attempts(self.shared.clock.now());
        }
        let result = self.awaited_result(&decision);
        let ack = if seat.is_none() && self.may_carry() && decision.goes_along() {
            self.committer.carry(std::mem::take(&mut decision.writes));
            Ack::Done
        } else if decision.writes.is_empty() && seat.is_none() && self.committer.carried.is_none() {
            Ack::Done
        } else {
            self.meet_faults(Moment::Before).await;
            let progress = decision.writes.progress;
            let ack = self.committer.commit(decision.writes, seat).await?;
            if progress {
                // It kills nobody.
                self.suspect = None;
            }
            self.meet_faults(Moment::After).await;
            ack
        };
        match ack {
            Ack::Lost => return None,
            Ack::Refused => {
                self.committer.release().await;
                return None;
            }
            Ack::InboxChanged => {
                return Box::pin(self.decide_on_inbox()).await.map(|decision| Next::Decide(Box::new(decision)));
            }
            Ack::Done | Ack::Paused if releases => {
                self.shared.engine.hints().wake_waiters(self.run, result);
                return None;
            }
            Ack::Paused => {
                self.releasing = true;
                Box::pin(self.withdraw_unbegun(&mut decision.follow_ups)).await?;
            }
            Ack::Done => {}
        }
        decision.follow_ups.into_iter().for_each(|follow_up| self.begin(follow_up));
        if self.releasing && self.in_progress.is_empty() && self.next_result.is_none() {
            self.committer.release().await;
            return None;
        }
        Some(Next::Wait(decision.wake_at))
    }

    /// Whether what comes next is certain to be the step that the decision begins.
    fn may_carry(&self) -> bool {
        self.in_progress.is_empty() && self.next_result.is_none() && !self.releasing
    }

    /// How the run ends with this decision, where somebody here waits for that: it saves them a look at its row.
    fn awaited_result(&self, decision: &Decision) -> Option<RunResult> {
        let Some(RunWrite::Dequeue { status, output, failure, .. }) = &decision.writes.run else { return None };
        if !status.is_end() || !self.shared.engine.hints().is_awaited(self.run) {
            return None;
        }
        let secret_fields = self.shared.engine.registry().secret_fields_of(self.origin.workflow);
        let (output, failure) = (output.clone(), failure.clone());
        Some(RunResult { id: self.run, status: (*status).into(), ended: true, output, failure, secret_fields })
    }

    /// Withdraws what was about to begin when its commit said that the run is paused: on record it is under way.
    async fn withdraw_unbegun(&mut self, follow_ups: &mut Vec<FollowUp>) -> Option<()> {
        let (stops, begins) =
            std::mem::take(follow_ups).into_iter().partition(|follow_up| matches!(follow_up, FollowUp::Cancel));
        *follow_ups = stops;
        let writes = self.machine.withdraw_follow_ups(begins, self.shared.clock.now());
        if writes.is_empty() {
            return Some(());
        }
        matches!(self.committer.commit(writes, None).await?, Ack::Done | Ack::Paused).then_some(())
    }

    async fn meet_faults(&mut self, moment: Moment) {
        if let Some(faults) = self.shared.config.faults.clone() {
            faults.commit(self.run, moment).await;
        }
    }

    fn begin(&mut self, follow_up: FollowUp) {
        let shared = self.shared.clone();
        match follow_up {
            FollowUp::Attempt(what) => {
                let cx = self.make_context(&what, false);
                self.in_progress.push(attempt::attempt(shared, cx, what).map(Some));
            }
            FollowUp::Verify(what) => {
                let cx = self.make_context(&what, true);
                self.in_progress.push(attempt::verify(shared, cx, what).map(Some));
            }
            FollowUp::Draw { seq, what } => {
                self.in_progress.push(async move { attempt::draw(&shared, seq, what).await })
            }
            // Undos follow, with a token of their own.
            FollowUp::Cancel => std::mem::take(&mut self.cancelled).cancel(),
        }
    }

    fn make_context(&mut self, what: &Attempt, verifies: bool) -> Arc<ActivityContext> {
        let schema = self.shared.engine.schema().clone();
        let cx = Arc::new(attempt::context(schema, self.run, self.origin, what, verifies, self.cancelled.clone()));
        self.under_way.push(UnderWay {
            seq: what.seq,
            direction: what.direction,
            cx: cx.clone(),
            began: tokio::time::Instant::now(),
            shown: false,
        });
        cx
    }

    /// Waits for the next thing that happens to the run. None: it is released.
    async fn next_event(&mut self, wake_at: Option<Time>) -> Option<Incoming> {
        if let Some(happened) = self.next_result.take() {
            return self.take_result(Some(happened)).await;
        }
        // Attempts that end at once, as in-process ones do, cost no timer.
        if let Some(Some(happened)) = self.in_progress.next().now_or_never() {
            return self.take_result(happened).await;
        }
        let nap = self.give_up_slot(wake_at);
        let event = self.wait_for_event(wake_at).await?;
        if nap.is_some() {
            // Never closed. Those who wait for a slot get it before a claim does.
            self.slot = self.shared.slots.clone().acquire_owned().await.ok();
        }
        Some(event)
    }

    /// Lets others have the run's slot while it only waits for a moment to come, unless very many do. It gives what stands for
    /// its nap.
    fn give_up_slot(&mut self, wake_at: Option<Time>) -> Option<OwnedSemaphorePermit> {
        let long = wake_at.is_some_and(|at| at.since(self.shared.clock.now()) >= SHORTEST_NAP);
        if !long || !self.in_progress.is_empty() {
            return None;
        }
        let nap = self.shared.naps.clone().try_acquire_owned().ok()?;
        self.slot = None;
        self.shared.slot_is_free();
        Some(nap)
    }

    async fn wait_for_event(&mut self, wake_at: Option<Time>) -> Option<Incoming> {
        loop {
            let until_due = wake_at.map(|at| at.since(self.shared.clock.now()));
            let longest = if self.committer.carried.is_some() { CARRIED_AT_MOST } else { LOOK_EVERY };
            let pause = until_due.unwrap_or(LOOK_EVERY).min(longest);
            tokio::select! {
                biased;
                Some(happened) = self.in_progress.next(), if !self.in_progress.is_empty() => return self.take_result(happened).await,
                () = self.active.poke.notified() => {
                    let inbox = Box::pin(self.load_inbox()).await?;
                    return Some(Incoming::of(inbox));
                }
                () = self.shared.draining.cancelled(), if self.in_progress.is_empty() => {
                    self.committer.release().await;
                    return None;
                }
                () = tokio::time::sleep(pause) => {
                    if self.committer.carried.is_some() {
                        return Some(Incoming::default());
                    }
                    if let Some(beat) = self.next_beat() {
                        return Some(Incoming::of(beat));
                    }
                    // Without an answer, the timers wait.
                    if wake_at.is_some_and(|at| at <= self.shared.clock.now()) {
                        let (shared, run) = (self.shared.clone(), self.run);
                        if let Some((now, recorded)) = Box::pin(self.in_progress.meanwhile(shared.lookups.dues(run))).await {
                            return Some(Incoming { now: Some(now), ..Incoming::of(Event::Due { recorded }) });
                        }
                    }
                    if self.shared.draining.is_cancelled() {
                        self.cancelled.cancel();
                    }
                }
            }
        }
    }

    async fn take_result(&mut self, happened: Option<Happened>) -> Option<Incoming> {
        let Some(Happened { event, seat }) = happened else {
            // A side value could not be drawn: the database is away. The run is reloaded when it is back.
            self.committer.release().await;
            return None;
        };
        let event = self.forget_attempt(event);
        let mut incoming = Incoming { seat, ..Incoming::of(event) };
        // What has ended meanwhile shares the commit, unless it has a transaction of its own.
        while incoming.seat.is_none() && !self.in_progress.is_empty() && incoming.others.len() < RESULTS_AT_ONCE {
            match self.in_progress.next().now_or_never() {
                Some(Some(Some(Happened { event, seat: None }))) => {
                    incoming.others.push(self.forget_attempt(event));
                }
                Some(Some(Some(with_transaction))) => {
                    self.next_result = Some(with_transaction);
                    break;
                }
                Some(Some(None)) => {
                    self.committer.release().await;
                    return None;
                }
                Some(None) | None => break,
            }
        }
        Some(incoming)
    }

    /// It has ended: its last heartbeat is kept for the next attempt.
    fn forget_attempt(&mut self, event: Event) -> Event {
        let (Event::Attempted { seq, direction, .. } | Event::Verified { seq, direction, .. }) = &event else {
            return event;
        };
        let at = self.under_way.iter().position(|other| (other.seq, other.direction) == (*seq, *direction));
        let ended = at.map(|at| self.under_way.swap_remove(at));
        if let Some(details) = ended.and_then(|ended| attempt::take_beat(&ended.cx)) {
            self.machine.note(*seq, *direction, details);
        }
        self.conceal(event)
    }

    /// The event without the secrets that its error repeats: another system may have put what it was sent into its answer.
    fn conceal(&self, mut event: Event) -> Event {
        let (seq, message) = match &mut event {
            Event::Attempted { seq, result: Err(failed), .. } => (*seq, &mut failed.error.message),
            Event::Verified { seq, found: Verification::NotYet(error), .. } => (*seq, &mut error.message),
            _ => return event,
        };
        let fields = self.shared.engine.registry().secret_fields_of(self.origin.workflow);
        if !fields.is_empty() {
            scrub(message, &self.machine.secret_values(seq, &fields));
        }
        event
    }

    /// A heartbeat to record, or an attempt that has taken long enough to be shown.
    fn next_beat(&mut self) -> Option<Event> {
        for attempt in &mut self.under_way {
            let details = attempt::take_beat(&attempt.cx);
            if details.is_some() || (!attempt.shown && attempt.began.elapsed() >= VISIBLE_AFTER) {
                attempt.shown = true;
                return Some(Event::Beat { seq: attempt.seq, direction: attempt.direction, details });
            }
        }
        None
    }

    async fn load_inbox(&mut self) -> Option<Event> {
        let (shared, run) = (self.shared.clone(), self.run);
        match self.in_progress.meanwhile(shared.lookups.inbox(run)).await {
            Some(claim::Inbox { inbox, request, signals }) => {
                self.active.set_seen(inbox);
                Some(Event::Inbox { inbox, request, signals })
            }
            None => {
                tracing::warn!(run_id = %self.run, "the inbox can't be read: the run is released");
                self.committer.release().await;
                None
            }
        }
    }

    async fn decide_on_inbox(&mut self) -> Option<Decision> {
        let event = self.load_inbox().await?;
        Some(self.machine.on(event, self.shared.clock.now()))
    }
}

/// Before anybody is woken: the run's own build may work beside this one. True: another worker takes it on; nothing that was
/// decided here is written.
async fn hand_on(shared: &Shared, run: RunId, lease: Lease, code: &str) -> bool {
    let worker = shared.worker_id.load(Ordering::Relaxed);
    let handed_on =
        async { lanes::hand_on(shared.schema(), &mut *shared.engine.acquire().await?, run, lease, worker).await };
    match within(shared.config.answer_within(), handed_on).await {
        Ok(true) => {
            tracing::warn!(run_id = %run, code, "another build's run: it is handed on");
            true
        }
        Ok(false) => false,
        Err(error) => {
            tracing::warn!(run_id = %run, %error, "it can't be handed on");
            false
        }
    }
}

/// What follows a commit.
enum Next {
    /// Wait for an event, at most until this time.
    Wait(Option<Time>),
    /// The inbox had changed: this was decided anew, and is to be carried out.
    Decide(Box<Decision>),
}

/// An event, and what came with it. Without one, what has gone along is to be recorded.
#[derive(Default)]
struct Incoming {
    event: Option<Event>,
    /// What happened at the same time.
    others: Vec<Event>,
    /// The database's time, where it was asked for.
    now: Option<Time>,
    /// The run's seat in the transaction that the step has left open.
    seat: Option<Seat>,
}

impl Incoming {
    const fn of(event: Event) -> Self {
        Self { event: Some(event), others: Vec::new(), now: None, seat: None }
    }
}
