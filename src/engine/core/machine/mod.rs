//! One run, decided: facts in, [`Decision`] out. No SQL, no tokio, no clock: `now` is an argument.
//!
//! What it guarantees, as long as its caller commits a decision's writes before its follow-ups:
//!
//! - *A step that can be undone or verified is on record before it is attempted* (write-ahead intent), so that the
//!   run's next worker finds it and knows that it may have happened.
//! - *Unknown is verified before a retry and before an undo*, where the activity can be verified.
//! - *A run that fails or is stopped first lets its attempts end*, then makes its plan once; with nothing under way the
//!   plan sees every outcome there will be.
//! - *Completions are delivered in the order of `ord`*, one at a time, live and on replay alike.
//! - *A completion is written in the decision that delivers it.*
//!
//! A crash between commit and follow-up loses nothing: the machine is built anew from rows (a [`Snapshot`]), replays, and
//! decides again. An attempt on record without an end is then unknown. A crash before the commit loses the decision,
//! and nothing of it was done. The simulation in tests/simulation crashes it at every point.
//!
//! The parts: `forward` (replay, commands, completions), `attempts` (three outcomes, retries, verification), `undoing` (the plan
//! at work), `requests` (cancel, compensate, pause and signals: the inbox). engine/worker/drive.rs carries decisions out.

mod attempts;
mod forward;
mod log;
mod open;
mod requests;
mod undoing;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use self::open::OpenSteps;
use super::{
    attention::{Attention, AttentionKind},
    catalog::{ActivityMeta, Catalog},
    decision::{Decision, Event, RunWrite, Snapshot, Wait},
    execution::{Execution, WorkflowCode},
    holds::Serves,
    model::{
        Direction, Due, Failure, Json, Outcome, Request, RunId, Signal, Status, Step, StepError, StepKind, Time,
        WaitKind,
    },
    plan::undo_plan,
    poison::POISON_AFTER,
    time::Moment,
    transition::{Change, next},
};

/// Waits up to this long keep the run in memory; longer ones park it, and it costs one row.
pub const PARK_BEYOND: Duration = Duration::from_secs(1);

type Key = (u32, Direction);

/// What is going on with the run.
#[derive(Debug)]
enum Phase {
    /// The workflow function is being advanced.
    Forward,
    /// It returned or was stopped; attempts under way may end.
    Settling(Ending),
    /// The plan is being worked on.
    Undoing,
    /// The worker has released it, or is about to.
    Released,
}

#[derive(Debug)]
enum Ending {
    Returned(Result<Json, Failure>),
    Stopped(Failure),
    /// It can't go on without an operator.
    Stuck(Failure),
    /// An operator has paused it.
    Paused,
}

/// A run as its worker holds it.
pub struct Machine {
    run: RunId,
    created_at: Time,
    queue: Arc<str>,
    deadline_at: Option<Time>,
    status: Status,
    before: Status,
    request: Request,
    seen: i32,
    takeovers: i16,
    failure: Option<Failure>,
    input: Json,
    code: Arc<dyn WorkflowCode>,
    catalog: Arc<dyn Catalog>,
    serves: Serves,
    execution: Option<Execution>,
    steps: BTreeMap<Key, Step>,
    open: OpenSteps,
    best_effort: BTreeSet<u32>,
    next_seq: u32,
    delivered: u32,
    undelivered: VecDeque<u32>,
    pivoted: bool,
    signals: VecDeque<Signal>,
    in_flight: BTreeSet<Key>,
    elsewhere: Option<Arc<str>>,
    dirty: BTreeSet<Key>,
    phase: Phase,
    dequeued: Option<Dequeued>,
    out: Decision,
}

/// How the run left the queue, and from which status: restored where the commit refuses that.
#[derive(Debug)]
struct Dequeued {
    before: Status,
    status: Status,
    output: Option<Json>,
    failure: Option<Failure>,
}

impl Machine {
    /// Builds the machine of a run from its rows. `code` is the workflow in the version that the run began with.
    pub fn new(snapshot: Snapshot, code: Arc<dyn WorkflowCode>, catalog: Arc<dyn Catalog>, serves: Serves) -> Self {
        let pivoted = snapshot.steps.iter().any(|step| step.kind == StepKind::Pivot);
        let steps = snapshot.steps.into_iter().map(|step| ((step.seq, step.direction), step)).collect();
        Self {
            run: snapshot.run,
            created_at: snapshot.created_at,
            queue: snapshot.queue,
            deadline_at: snapshot.deadline_at,
            status: snapshot.status,
            before: snapshot.status,
            request: snapshot.request,
            seen: snapshot.inbox,
            takeovers: snapshot.takeovers,
            failure: snapshot.failure,
            input: snapshot.input,
            code,
            catalog,
            serves,
            execution: None,
            open: OpenSteps::of(&steps),
            steps,
            best_effort: BTreeSet::new(),
            next_seq: 0,
            delivered: 0,
            undelivered: VecDeque::new(),
            pivoted,
            signals: snapshot.signals.into(),
            in_flight: BTreeSet::new(),
            elsewhere: None,
            dirty: BTreeSet::new(),
            phase: Phase::Forward,
            dequeued: None,
            out: Decision::default(),
        }
    }

    /// The run's id.
    pub const fn run(&self) -> RunId {
        self.run
    }

    /// Whether attempts or verifications are under way.
    pub fn busy(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// The first decision. `now` is the database's time, from the claim.
    pub fn begin(&mut self, now: Time) -> Decision {
        self.recover(now);
        match self.status {
            Status::Active | Status::Waiting | Status::Compensating
                if self.takeovers >= POISON_AFTER && !self.is_asked_to_stop() =>
            {
                let message = format!("{} workers in a row were lost while they held this run", self.takeovers);
                self.get_stuck(Failure::new("poison", message));
            }
            Status::Active | Status::Waiting => {
                if !self.stop_if_asked(now) {
                    self.replay(now);
                    self.match_signals();
                    self.fire_due(now);
                }
            }
            Status::Compensating => {
                self.phase = Phase::Undoing;
                self.stop_if_asked(now);
            }
            Status::Failed if undo_plan(self.steps.values()).is_empty() => self.release_unchanged(),
            Status::Paused | Status::Stuck | Status::Completed | Status::Failed if self.is_asked_to_stop() => {
                self.stop_if_asked(now);
                if matches!(self.phase, Phase::Forward) {
                    self.release_unchanged();
                }
            }
            _ => self.release_unchanged(),
        }
        self.go_on(now)
    }

    /// The next decision. For [`Event::Due`], `now` comes from the database; otherwise the worker's estimate of it will do.
    pub fn on(&mut self, event: Event, now: Time) -> Decision {
        self.on_all([event], now)
    }

    /// One decision for things that happened at the same time: they share a commit. The workflow still gets outcomes one by one.
    pub fn on_all(&mut self, events: impl IntoIterator<Item = Event>, now: Time) -> Decision {
        events.into_iter().for_each(|event| self.take(event, now));
        self.go_on(now)
    }

    fn take(&mut self, event: Event, now: Time) {
        match event {
            Event::Attempted { seq, direction, result, took } => self.attempted((seq, direction), result, took, now),
            Event::Verified { seq, direction, found, took } => self.verified((seq, direction), found, took, now),
            Event::Drawn { seq, value } => {
                self.in_flight.remove(&(seq, Direction::Forward));
                self.complete_step(seq, Outcome::Ok, Some(value), None);
            }
            Event::Beat { seq, direction, details } => self.beat((seq, direction), details),
            Event::Due { recorded } => {
                self.learn_dues(recorded);
                if !self.stop_if_asked(now) {
                    self.fire_due(now);
                }
            }
            Event::Inbox { inbox, request, signals } => self.open_inbox(inbox, request, signals, now),
        }
    }

    /// Delivers completions, starts what is open, ends what has settled, and says what to wait for.
    fn go_on(&mut self, now: Time) -> Decision {
        // Decided anew each time: a hold may be over.
        self.elsewhere = None;
        loop {
            self.deliver_completions(now);
            if matches!(self.phase, Phase::Forward) {
                self.start_open(now);
            }
            // A step may also end because it is too late to start it.
            if self.undelivered.is_empty() || !matches!(self.phase, Phase::Forward) {
                break;
            }
        }
        self.end_if_settled();
        if matches!(self.phase, Phase::Undoing) {
            self.start_undos(now);
        }
        self.wait_or_release(now);
        let dirty = std::mem::take(&mut self.dirty);
        self.out.writes.steps = dirty.iter().filter_map(|key| self.steps.get(key)).cloned().collect();
        // An intent is no progress: the attempt that it announces may be what kills the worker.
        if self.takeovers > 0 && self.out.writes.steps.iter().any(|step| step.outcome.is_some()) {
            self.takeovers = 0;
            self.out.writes.progress = true;
        }
        let decision = std::mem::take(&mut self.out);
        self.recorded(&dirty);
        decision
    }

    /// What is written has its due time on record; until it is loaded again the estimate stands for it.
    fn recorded(&mut self, dirty: &BTreeSet<Key>) {
        for key in dirty {
            if let Some(step) = self.steps.get_mut(key) {
                step.due = step.due.map(|due| Due::At(due.estimate()));
                step.recorded = true;
                step.log.clear();
            }
        }
    }

    /// Attempts that are recorded as under way were another worker's, which was lost: they are unknown, except those that
    /// certainly had no effect.
    fn recover(&mut self, now: Time) {
        for step in self.steps.values_mut() {
            let under_way = step.outcome.is_none() && step.attempts > 0 && step.next_attempt_at.is_none();
            if step.kind == StepKind::Activity && under_way {
                let message = "the worker was lost, or let go of the run, during an attempt".to_owned();
                let unknown = self.catalog.activity(&step.name).is_none_or(|meta| !meta.is_certain(step.direction));
                let error = StepError { code: "worker_lost".to_owned(), message, unknown };
                log::lost(step, &error, now);
                step.error = Some(error);
                step.next_attempt_at = Some(now);
                if self.request == Request::Pause {
                    // The run stands still now: people find its state on record.
                    self.dirty.insert((step.seq, step.direction));
                }
            }
        }
    }

    /// The due times as the rows have them, in place of the worker's estimates.
    fn learn_dues(&mut self, recorded: Vec<(u32, Time)>) {
        for (seq, at) in recorded {
            if let Some(step) = self.steps.get_mut(&(seq, Direction::Forward)) {
                step.due = Some(Due::At(at));
            }
        }
    }

    /// Moves the run to another status; a change that the table refuses is a bug of ours, and ends in `stuck`.
    fn change(&mut self, change: Change) -> Status {
        self.before = self.status;
        self.status = next(self.status, change).unwrap_or(Status::Stuck);
        self.status
    }

    fn dequeue(&mut self, status: Status, output: Option<Json>, failure: Option<Failure>, wait: Option<Wait>) {
        self.phase = Phase::Released;
        self.out.follow_ups.clear();
        self.out.wake_at = None;
        let (output_kept, failure_kept) = (output.clone(), failure.clone());
        self.dequeued = Some(Dequeued { before: self.before, status, output: output_kept, failure: failure_kept });
        self.out.writes.unpaused = self.request == Request::Pause && status != Status::Paused;
        self.out.writes.run = Some(RunWrite::Dequeue { status, output, failure, wait, seen: self.seen });
    }

    /// For a wake-up that came too late, or twice.
    fn release_unchanged(&mut self) {
        self.phase = Phase::Released;
        self.out.writes.run = Some(RunWrite::NotDue { seen: self.seen });
    }

    /// Attempts under way may end first: a run is never released while one is.
    fn get_stuck(&mut self, failure: Failure) {
        self.execution = None;
        if self.busy() {
            self.phase = Phase::Settling(Ending::Stuck(failure));
            return;
        }
        self.change(Change::GetStuck);
        self.failure = Some(failure.clone());
        self.attend(None, AttentionKind::of_stuck(&failure), failure.clone());
        self.dequeue(Status::Stuck, None, Some(failure), None);
    }

    fn end_if_settled(&mut self) {
        if self.busy() || !matches!(self.phase, Phase::Settling(_)) {
            return;
        }
        let Phase::Settling(ending) = std::mem::replace(&mut self.phase, Phase::Released) else { return };
        match ending {
            Ending::Returned(Ok(output)) => {
                self.close_open_steps();
                self.settle_unknown();
                let status = self.change(Change::Complete);
                self.dequeue(status, Some(output), None, None);
            }
            Ending::Returned(Err(failure)) if self.pivoted => self.get_stuck(failure),
            Ending::Stuck(failure) => self.get_stuck(failure),
            Ending::Paused => {
                let (status, failure) = (self.change(Change::Pause), self.failure.clone());
                self.dequeue(status, None, failure, None);
            }
            Ending::Returned(Err(failure)) | Ending::Stopped(failure) => {
                self.close_open_steps();
                self.make_plan(failure);
            }
        }
    }

    /// Says until when to wait, or releases the run.
    fn wait_or_release(&mut self, now: Time) {
        if matches!(self.phase, Phase::Released) {
            return;
        }
        let wake_at = self.earliest_due(now);
        if self.busy() {
            self.out.wake_at = wake_at;
            return;
        }
        if self.out.writes.planned.is_some() {
            // The plan and its status are committed first: the commit that releases the run may be refused.
            self.out.wake_at = Some(now);
            return;
        }
        if let Some(queue) = self.elsewhere.take() {
            self.phase = Phase::Released;
            self.out.writes.run = Some(RunWrite::HandOver { queue });
            return;
        }
        let soon = now.later(PARK_BEYOND);
        match (wake_at, self.wait()) {
            (Some(at), _) if at <= soon => self.out.wake_at = Some(at),
            (_, Some(wait)) => {
                let status = self.change(Change::Park);
                let failure = self.failure.clone();
                self.dequeue(status, None, failure, Some(wait));
            }
            (_, None) => self.get_stuck(Failure::new(
                "workflow_blocked",
                "the workflow waits for something that is not one of its steps, timers or signals",
            )),
        }
    }

    /// Without steps under way, which end by themselves, and without steps that are due and belong to another queue: their times
    /// are over, and the worker would check the clock without end.
    fn earliest_due(&self, now: Time) -> Option<Time> {
        if matches!(self.phase, Phase::Settling(_)) {
            return None;
        }
        let idle = |step: &&Step| !self.in_flight.contains(&(step.seq, step.direction));
        let steps = self.open_steps().filter(idle).filter_map(|step| {
            let due = step.due.map(Due::estimate);
            [due, step.next_attempt_at.filter(|at| *at > now)].into_iter().flatten().min()
        });
        let deadline = (matches!(self.phase, Phase::Forward) && !self.pivoted).then_some(self.deadline_at).flatten();
        steps.chain(deadline).min()
    }

    /// The steps that are open in the phase that the run is in; of undos those whose turn it is.
    fn open_steps(&self) -> impl Iterator<Item = &Step> {
        let undoing = matches!(self.phase, Phase::Undoing);
        let undos = undoing.then(|| self.open.turns()).into_iter().flatten();
        let forward = (!undoing).then(|| self.open.forward()).into_iter().flatten();
        undos.chain(forward).filter_map(|key| self.steps.get(&key))
    }

    /// What a parked run waits for: a signal before a retry before a timer, because that is what people can act on.
    fn wait(&self) -> Option<Wait> {
        let rank = |step: &&Step| match step.kind {
            StepKind::Signal => 0,
            StepKind::Activity if step.next_attempt_at.is_some() => 1,
            StepKind::Timer => 2,
            StepKind::Activity | StepKind::Side | StepKind::Pivot => 3,
        };
        let step = self.open_steps().min_by_key(rank)?;
        let kind = match step.kind {
            StepKind::Signal => WaitKind::Signal,
            StepKind::Activity => WaitKind::Retry,
            StepKind::Timer | StepKind::Side | StepKind::Pivot => WaitKind::Timer,
        };
        let until = self.earliest_write_due();
        Some(Wait { kind, name: step.name.clone(), until })
    }

    /// The earliest due among open steps, in the form in which it can be written.
    fn earliest_write_due(&self) -> Option<Due> {
        let dues = self.open_steps().flat_map(|step| [step.due, step.next_attempt_at.map(Due::At)]).flatten();
        let deadline = (matches!(self.phase, Phase::Forward) && !self.pivoted).then_some(self.deadline_at).flatten();
        dues.chain(deadline.map(Due::At)).min_by_key(|due| due.estimate())
    }

    /// Puts a step, or the run, on the list of what needs attention.
    fn attend(&mut self, seq: Option<u32>, kind: AttentionKind, failure: Failure) {
        let at = seq.or(failure.step).and_then(|seq| self.steps.get(&(seq, Direction::Forward)));
        let step_name = at.map(|step| step.name.clone());
        self.out.writes.attention.push(Attention::new(self.code.name(), seq, kind, failure, step_name));
    }

    /// The workflow has dealt with the unknown steps that it knows of, for it went on: past its pivot, or to its end.
    fn settle_unknown(&mut self) {
        let unknown = |step: &&Step| step.outcome == Some(Outcome::Unknown) && step.ord.is_some();
        let seqs = self.steps.values().filter(unknown).map(|step| step.seq);
        let seqs: Vec<u32> = seqs.filter(|seq| !self.best_effort.contains(seq)).collect();
        // Also what only this turn would have listed.
        self.out.writes.attention.retain(|listed| listed.seq.is_none_or(|seq| !seqs.contains(&seq)));
        self.out.writes.settled.extend(seqs);
    }

    fn meta(&self, name: &str) -> Option<&ActivityMeta> {
        self.catalog.activity(name)
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("run", &self.run)
            .field("status", &self.status)
            .field("phase", &self.phase)
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}
