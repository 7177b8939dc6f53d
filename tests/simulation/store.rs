//! The tables, in memory, for one run: applies [`Writes`] as src/engine/store does, statement by statement.
//!
//! What SQL would do without a word (an update that finds no row, an outcome that is kept) is a breach here, because
//! the core should never ask for it. `now` is the database's clock; nobody else has one.

use std::collections::BTreeMap;

use backstitch::engine::{
    Failure, Json, Outcome, RunId, Time,
    core::{
        decision::{RunWrite, Snapshot, Writes},
        model::{Direction, Due, Request, Signal, Status, Step, StepKind},
        ruling::{Facts, PauseMark, Place, Refusal, Ruling, rule},
        verb::Verb,
    },
};

use crate::kinds::HOME;

pub(crate) type Key = (u32, Direction);

/// A row of `ready`.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) lane: Option<u32>,
    pub(crate) queue: String,
    pub(crate) takeovers: i16,
}

/// What a flush answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    Done,
    InboxChanged,
    Lost,
    /// A cancel was accepted before the run could pass its pivot: nothing was written.
    Refused,
}

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) now: Time,
    pub(crate) run: RunId,
    pub(crate) created_at: Time,
    pub(crate) deadline_at: Option<Time>,
    pub(crate) status: Status,
    pub(crate) request: Request,
    pub(crate) inbox: i32,
    pub(crate) input: Json,
    pub(crate) failure: Option<Failure>,
    pub(crate) ready: Option<Ready>,
    pub(crate) timer: Option<Time>,
    pub(crate) steps: BTreeMap<Key, Step>,
    /// With the step that took it.
    pub(crate) signals: Vec<(Signal, Option<u32>)>,
    pub(crate) planned: Option<Failure>,
    /// Since when it is held back.
    pub(crate) paused_at: Option<Time>,
    /// Workers lost since an outcome was recorded.
    pub(crate) losses_in_a_row: i16,
}

impl Store {
    pub(crate) fn is_pivoted(&self) -> bool {
        self.steps.values().any(|step| step.kind == StepKind::Pivot)
    }

    /// What a claim loads.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let open = self.signals.iter().filter(|(_, taken)| taken.is_none());
        Snapshot {
            run: self.run,
            created_at: self.created_at,
            queue: HOME.into(),
            deadline_at: self.deadline_at,
            status: self.status,
            request: self.request,
            inbox: self.inbox,
            takeovers: self.ready.as_ref().map_or(0, |ready| ready.takeovers),
            input: self.input.clone(),
            failure: self.failure.clone(),
            steps: self.steps.values().cloned().collect(),
            signals: open.map(|(signal, _)| signal.clone()).collect(),
        }
    }

    /// One commit.
    ///
    /// # Errors
    /// What the core should not have asked for.
    pub(crate) fn commit(&mut self, lane: u32, writes: &Writes) -> Result<Ack, String> {
        if self.ready.as_ref().is_none_or(|ready| ready.lane != Some(lane)) {
            return Ok(Ack::Lost);
        }
        let pivots = writes.steps.iter().any(|step| step.kind == StepKind::Pivot && !step.recorded);
        if pivots && self.request == Request::Cancel {
            return Ok(Ack::Refused);
        }
        for step in &writes.steps {
            self.write_step(step)?;
            if step.outcome.is_some() {
                self.losses_in_a_row = 0;
            }
        }
        for (signal, seq) in &writes.consumed {
            let row = self.signals.iter_mut().find(|(row, _)| row.id == *signal).ok_or("a signal that is not there")?;
            if row.1.is_some_and(|taken| taken != *seq) {
                return Err(format!("signal {signal} was taken by step {:?}, now by {seq}", row.1));
            }
            row.1 = Some(*seq);
        }
        if let Some(cause) = &writes.planned {
            // The key admits the same plan again (a flush that is sent twice), and no other.
            if self.planned.as_ref().is_some_and(|made| made != cause) {
                return Err("a second plan of undos".to_owned());
            }
            self.planned = Some(cause.clone());
        }
        if writes.progress
            && let Some(ready) = &mut self.ready
        {
            ready.takeovers = 0;
        }
        self.write_run(writes)
    }

    fn write_step(&mut self, step: &Step) -> Result<(), String> {
        let key = (step.seq, step.direction);
        let now = self.now;
        let due = step.due.map(|due| match due {
            Due::At(at) => Due::At(at),
            Due::In(span, _) => Due::At(now + span),
        });
        match self.steps.get_mut(&key) {
            None if step.recorded => return Err(format!("{key:?} is written as if it had a row")),
            None => {
                self.steps.insert(key, Step { due, recorded: true, ..step.clone() });
            }
            Some(_) if !step.recorded => return Err(format!("{key:?} is written as if it had no row")),
            Some(row) => {
                let kept = [None, Some(Outcome::Unknown), step.outcome];
                if !kept.contains(&row.outcome) {
                    return Err(format!("{key:?} is on record as {:?}, now {:?}", row.outcome, step.outcome));
                }
                row.ord = step.ord;
                row.outcome = step.outcome;
                row.attempts = step.attempts;
                row.generation = step.generation;
                row.output = step.output.clone();
                row.error = step.error.clone();
                row.details = step.details.clone();
                row.next_attempt_at = step.next_attempt_at;
            }
        }
        self.check_time(key)
    }

    /// Timers and deadlines are never early.
    fn check_time(&self, key: Key) -> Result<(), String> {
        let Some(row) = self.steps.get(&key) else { return Ok(()) };
        let over = match row.kind {
            StepKind::Timer => row.outcome == Some(Outcome::Ok) || row.ord.is_some(),
            StepKind::Signal => row.outcome == Some(Outcome::Skipped) && row.ord.is_some(),
            _ => false,
        };
        let due = row.due.map(Due::estimate);
        if over && due.is_none_or(|due| due > self.now) {
            return Err(format!("{key:?} {} is over at {}, but is due at {due:?}", row.kind, self.now));
        }
        Ok(())
    }

    fn write_run(&mut self, writes: &Writes) -> Result<Ack, String> {
        match &writes.run {
            None => {}
            Some(RunWrite::Compensating { failure }) => {
                self.status = Status::Compensating;
                self.failure = Some(failure.clone());
                self.forget_request();
            }
            Some(RunWrite::Dequeue { status, failure, wait, seen, .. }) => {
                if *seen != self.inbox {
                    return Ok(Ack::InboxChanged);
                }
                if self.status.is_end() && !matches!(self.status, Status::Completed) {
                    return Err(format!("the run had ended as {}, now {status}", self.status));
                }
                self.status = *status;
                self.failure = failure.clone();
                if *status == Status::Compensating {
                    self.forget_request();
                }
                if writes.unpaused {
                    self.request = Request::None;
                    self.paused_at = None;
                }
                let until = wait.as_ref().and_then(|wait| wait.until);
                self.timer = until.map(|until| match until {
                    Due::At(at) => at,
                    Due::In(span, _) => self.now + span,
                });
                self.ready = None;
            }
            Some(RunWrite::HandOver { queue }) => {
                if let Some(ready) = &mut self.ready {
                    ready.lane = None;
                    ready.queue = queue.to_string();
                }
            }
            Some(RunWrite::NotDue { seen }) => {
                if *seen != self.inbox {
                    return Ok(Ack::InboxChanged);
                }
                self.ready = None;
            }
        }
        Ok(Ack::Done)
    }

    /// The plan is what was asked for; a pause is still to come after it.
    fn forget_request(&mut self) {
        if self.request != Request::Pause {
            self.request = Request::None;
        }
    }

    fn make_due(&mut self) {
        if self.ready.is_none() {
            self.ready = Some(Ready { lane: None, queue: HOME.to_owned(), takeovers: 0 });
        }
    }

    pub(crate) fn fire_timer(&mut self) {
        if self.timer.is_some_and(|at| at <= self.now) && self.ready.is_none() {
            self.timer = None;
            if matches!(self.status, Status::Active | Status::Waiting | Status::Compensating) {
                self.make_due();
            }
        }
    }

    pub(crate) fn take_over(&mut self) {
        if let Some(ready) = &mut self.ready
            && ready.lane.take().is_some()
        {
            ready.takeovers += 1;
            self.losses_in_a_row += 1;
        }
    }

    pub(crate) fn release(&mut self, lane: u32) {
        if let Some(ready) = &mut self.ready
            && ready.lane == Some(lane)
        {
            ready.lane = None;
        }
    }

    /// False: the run has ended.
    pub(crate) fn signal(&mut self, name: u8) -> bool {
        if self.status.is_end() {
            return false;
        }
        self.inbox += 1;
        let payload = backstitch::engine::to_json(&name).ok();
        let signal = Signal { id: self.signals.len() as i64, name: format!("signal{name}").into(), payload };
        self.signals.push((signal, None));
        if self.status == Status::Waiting {
            self.make_due();
        }
        true
    }
}

/// What operators do: the core rules, and this writes, as src/engine/store/verbs.rs.
impl Store {
    /// False: refused.
    pub(crate) fn ask(&mut self, request: Request) -> bool {
        self.apply_verb(if request == Request::Cancel { &Verb::Cancel } else { &Verb::Compensate }).is_ok()
    }

    /// False: refused.
    pub(crate) fn retry(&mut self) -> bool {
        self.apply_verb(&Verb::Retry { policy: None }).is_ok()
    }

    /// # Errors
    /// Why the core refuses it.
    pub(crate) fn apply_verb(&mut self, action: &Verb) -> Result<Ruling, Refusal> {
        let ruling = rule(&self.facts(), action)?;
        if !ruling.changes {
            return Ok(ruling);
        }
        self.status = ruling.status;
        self.request = ruling.request;
        self.failure = ruling.failure.clone();
        self.deadline_at = ruling.deadline_at;
        self.inbox += 1;
        for step in &ruling.steps {
            self.steps.insert((step.seq, step.direction), step.clone());
        }
        match ruling.place {
            Place::Keep => {}
            Place::Due => self.make_due(),
            Place::StartAt(at) => self.timer = Some(at),
            Place::Away => (self.ready, self.timer) = (None, None),
        }
        match ruling.pause {
            PauseMark::Keep => {}
            PauseMark::Now => self.paused_at = self.paused_at.or(Some(self.now)),
            PauseMark::Over => self.paused_at = None,
        }
        Ok(ruling)
    }

    pub(crate) fn facts(&self) -> Facts {
        Facts {
            run: self.run,
            status: self.status,
            request: self.request,
            failure: self.failure.clone(),
            cause: self.planned.clone(),
            deadline_at: self.deadline_at,
            wait: None,
            wait_until: None,
            paused_at: self.paused_at,
            due: self.ready.is_some(),
            held: self.ready.as_ref().is_some_and(|ready| ready.lane.is_some()),
            steps: self.steps.values().cloned().collect(),
            forks: Vec::new(),
            attention: Vec::new(),
            now: self.now,
        }
    }
}
