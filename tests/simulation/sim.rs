//! One run, simulated: workers that claim, decide, commit and act, and everything that can come between.
//!
//! It plays the part of src/engine/worker (lane, drive, commit) and of everybody outside: other callers, operators, the clock.
//! A worker may die before a commit, after it, with the answer lost, in mid-act; a lane may be taken over under it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use backstitch::engine::{
    Outcome, RunId, Time,
    core::{
        decision::{Attempt, Decision, Event, FollowUp, Verification, Writes},
        machine::Machine,
        model::{Direction, Request, Status, StepError, idempotency_key},
    },
    to_json,
};

use crate::{
    follow_ups::Under,
    interpreter::{Interpreter, Memory},
    kinds::{AWAY, HOME, HeldBack, Kinds, Serving},
    program::{NodeId, Program},
    rng::Rng,
    store::{Ack, Store},
    world::World,
};

/// A run that a worker works on.
pub(crate) struct ActiveRun {
    pub(crate) machine: Machine,
    pub(crate) lane: u32,
    pub(crate) under_way: Vec<Under>,
    pub(crate) wake_at: Option<Time>,
    /// The inbox counter that the machine knows.
    pub(crate) seen: i32,
    pub(crate) draining: bool,
    /// How far the worker's estimate of the database's clock is off, in ms.
    pub(crate) skew: i64,
    pub(crate) idle_looks: u32,
    /// What was held back when its machine decided last: of that nothing begins.
    pub(crate) seen_held: BTreeSet<String>,
    /// What goes along in the next commit.
    pub(crate) carried: Option<Writes>,
}

pub(crate) struct Sim {
    pub(crate) rng: Rng,
    pub(crate) program: Arc<Program>,
    pub(crate) memory: Arc<Mutex<Memory>>,
    pub(crate) store: Store,
    pub(crate) world: World,
    pub(crate) active: Option<ActiveRun>,
    pub(crate) lanes: u32,
    pub(crate) faults: bool,
    pub(crate) deployed: bool,
    /// Somebody may ask it to stop.
    pub(crate) stops: bool,
    /// Faults come thick and fast.
    pub(crate) storm: bool,
    /// Somebody may put outcomes of its steps on record.
    pub(crate) settles: bool,
    /// Somebody may hold activities back.
    pub(crate) holds: bool,
    pub(crate) held_back: HeldBack,
    pub(crate) crashes: u32,
    pub(crate) cancelled: bool,
    pub(crate) compensated: bool,
    pub(crate) story: Option<Vec<String>>,
    pub(crate) commits: u64,
}

pub(crate) type Checked<T = ()> = Result<T, String>;

impl Sim {
    pub(crate) fn new(seed: u64, keep_story: bool) -> Self {
        let mut rng = Rng::new(seed);
        let program = Arc::new(Program::random(&mut rng));
        let now = Time::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let store = Store {
            now,
            run: RunId::from_u128(u128::from(seed) + 1),
            created_at: now,
            deadline_at: program.deadline_ms.map(|ms| now + Duration::from_millis(ms)),
            status: Status::Active,
            request: Request::None,
            inbox: 0,
            input: to_json("input").expect("a string has a JSON form"),
            failure: None,
            ready: Some(crate::store::Ready { lane: None, queue: HOME.to_owned(), takeovers: 0 }),
            timer: None,
            steps: std::collections::BTreeMap::new(),
            signals: Vec::new(),
            planned: None,
            paused_at: None,
            losses_in_a_row: 0,
        };
        Self {
            world: World::new(program.clone()),
            deployed: program.missing_kind.is_none(),
            stops: rng.chance(35),
            storm: rng.chance(10),
            settles: rng.chance(35),
            holds: rng.chance(35),
            held_back: HeldBack::default(),
            rng,
            program,
            memory: Arc::default(),
            store,
            active: None,
            lanes: 0,
            faults: true,
            crashes: 0,
            cancelled: false,
            compensated: false,
            story: keep_story.then(Vec::new),
            commits: 0,
        }
    }

    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        let at = (self.store.now - self.store.created_at).num_milliseconds();
        if let Some(story) = &mut self.story {
            story.push(format!("{at:>8} ms  {}", what()));
        }
    }

    /// A fault happens now, in about `percent` of a hundred cases, while there are faults.
    pub(crate) fn fault(&mut self, percent: u64) -> bool {
        self.faults && self.rng.chance(if self.storm { percent * 4 } else { percent })
    }

    /// One thing happens.
    pub(crate) fn step(&mut self) -> Checked {
        if self.faults {
            self.disturb();
        }
        if self.active.is_some() {
            self.active_step()?
        } else {
            self.free_step()
        }
        self.check()
    }

    fn is_held_back(&self, name: &str) -> bool {
        self.held_back.lock().expect("no panic while locked").contains(name)
    }

    /// It was put aside for an activity. Maintenance brings it back after the release, and when something else of it may be due.
    fn wait_aside(&mut self, activity: &str) {
        if !self.is_held_back(activity) || self.rng.chance(10) {
            if let Some(ready) = &mut self.store.ready {
                ready.queue = HOME.to_owned();
            }
        } else {
            self.store.now += Duration::from_millis(100);
        }
    }

    /// Nobody holds the run.
    fn free_step(&mut self) {
        self.store.fire_timer();
        if let Some(ready) = self.store.ready.clone() {
            if let Some(activity) = ready.queue.strip_prefix("@activity/") {
                return self.wait_aside(activity);
            }
            if ready.lane.is_some() {
                self.store.take_over();
            }
            let serves: &[&str] = [&[HOME][..], &[AWAY], &[HOME, AWAY]][self.rng.below(3) as usize];
            if serves.contains(&ready.queue.as_str()) {
                self.claim(serves.iter().map(|queue| (*queue).to_owned()).collect());
            }
        } else if let Some(at) = self.store.timer {
            self.store.now = self.store.now.max(at) + Duration::from_millis(self.rng.below(20));
        } else {
            self.store.now += Duration::from_millis(100);
        }
    }

    fn claim(&mut self, serves: Vec<String>) {
        self.lanes += 1;
        let lane = self.lanes;
        if let Some(ready) = &mut self.store.ready {
            ready.lane = Some(lane);
        }
        self.note(|| format!("claimed by lane {lane}, which serves {serves:?}"));
        let code = Arc::new(Interpreter { program: self.program.clone(), memory: self.memory.clone() });
        let catalog = Arc::new(Kinds::new(&self.program, self.deployed));
        let serves = Arc::new(Serving { queues: serves, held_back: self.held_back.clone() });
        let seen_held = self.held_back.lock().expect("no panic while locked").clone();
        let mut machine = Machine::new(self.store.snapshot(), code, catalog, serves);
        let decision = machine.begin(self.store.now);
        let skew = if self.rng.chance(50) { 0 } else { self.rng.below(400) as i64 - 200 };
        self.active = Some(ActiveRun {
            machine,
            lane,
            under_way: Vec::new(),
            wake_at: None,
            seen: self.store.inbox,
            draining: false,
            skew,
            idle_looks: 0,
            seen_held,
            carried: None,
        });
        if let Err(breach) = self.carry_out(decision, None) {
            self.world.broken.get_or_insert(breach);
        }
    }

    /// The worker's estimate of the database's time.
    pub(crate) fn estimate(&self) -> Time {
        let skew = self.active.as_ref().map_or(0, |active| active.skew);
        self.store.now + chrono::TimeDelta::milliseconds(skew)
    }

    fn active_step(&mut self) -> Checked {
        let now = self.store.now;
        let Some(active) = &mut self.active else { return Ok(()) };
        if active.carried.is_some() && self.rng.chance(10) {
            // The step takes long.
            return self.happened(Vec::new(), self.estimate(), None);
        }
        if active.draining && active.under_way.is_empty() {
            let lane = active.lane;
            self.store.release(lane);
            self.active = None;
            return Ok(());
        }
        let ready: Vec<usize> = (0..active.under_way.len()).filter(|at| active.under_way[*at].ends_at <= now).collect();
        if !ready.is_empty() {
            let at = self.rng.pick(&ready);
            let mut ended = vec![active.under_way.remove(at)];
            while ready.len() > ended.len() && self.rng.chance(50) {
                let next = active.under_way.iter().position(|under| under.ends_at <= now);
                ended.extend(next.map(|next| active.under_way.remove(next)));
            }
            active.idle_looks = 0;
            return self.finish(ended);
        }
        if active.seen != self.store.inbox && self.rng.chance(60) {
            active.seen = self.store.inbox;
            let event = self.inbox();
            return self.happened(vec![event], self.estimate(), None);
        }
        if active.wake_at.is_some_and(|at| at <= now + chrono::TimeDelta::milliseconds(active.skew)) {
            active.idle_looks += 1;
            if active.idle_looks > 30 {
                return Err(format!("the worker checks the clock without end: {:?}", active.wake_at));
            }
            // A look costs a statement or two.
            self.store.now += Duration::from_millis(1);
            active.skew = 0;
            let dues = self.store.steps.values().filter(|step| step.outcome.is_none());
            let recorded = dues.filter_map(|step| Some((step.seq, step.due?.estimate()))).collect();
            return self.happened(vec![Event::Due { recorded }], self.store.now, None);
        }
        if self.rng.chance(2) && !active.under_way.is_empty() {
            let under = self.rng.pick(&(0..active.under_way.len()).collect::<Vec<_>>());
            if let FollowUp::Attempt(attempt) = &active.under_way[under].follow_up {
                let event = Event::Beat { seq: attempt.seq, direction: attempt.direction, details: None };
                return self.happened(vec![event], self.estimate(), None);
            }
        }
        self.pass_time()
    }

    /// Nothing to do yet: to the next moment at which there may be.
    fn pass_time(&mut self) -> Checked {
        let Some(active) = &mut self.active else { return Ok(()) };
        let skew = chrono::TimeDelta::milliseconds(active.skew);
        let ends = active.under_way.iter().map(|under| under.ends_at);
        let next = ends.chain(active.wake_at.map(|at| at - skew)).min();
        match next {
            Some(at) => {
                let longest = self.store.now + Duration::from_secs(1);
                self.store.now = at.min(longest).max(self.store.now);
                active.idle_looks = 0;
                Ok(())
            }
            None if active.seen != self.store.inbox => Ok(()),
            None => Err("the run is held, and waits for nothing".to_owned()),
        }
    }

    pub(crate) fn inbox(&self) -> Event {
        let open = self.store.signals.iter().filter(|(_, taken)| taken.is_none());
        let signals = open.map(|(signal, _)| signal.clone()).collect();
        Event::Inbox { inbox: self.store.inbox, request: self.store.request, signals }
    }

    pub(crate) fn happened(
        &mut self,
        events: Vec<Event>,
        now: Time,
        tx: Option<(NodeId, String, Direction)>,
    ) -> Checked {
        let Some(decision) = self.decide(events, now) else { return Ok(()) };
        self.carry_out(decision, tx)
    }

    fn decide(&mut self, events: Vec<Event>, now: Time) -> Option<Decision> {
        let active = self.active.as_mut()?;
        active.seen_held = self.held_back.lock().expect("no panic while locked").clone();
        Some(active.machine.on_all(events, now))
    }

    /// Commits, then begins what is to be done. `tx`: what a transactional step does in the same commit.
    fn carry_out(&mut self, mut decision: Decision, tx: Option<(NodeId, String, Direction)>) -> Checked {
        let mut tx = tx;
        loop {
            if self.active.as_ref().is_some_and(|active| active.draining) {
                decision.withdraw_attempts(self.estimate());
            }
            let releases = decision.releases_run();
            let Some(lane) = self.active.as_ref().map(|active| active.lane) else { return Ok(()) };
            let mut ack = Ack::Done;
            if tx.is_none() && self.carries(&decision) {
                self.note(|| "  its writes go along with the next commit".to_owned());
                let writes = std::mem::take(&mut decision.writes);
                if let Some(active) = &mut self.active {
                    active.carried = Some(active.carried.take().unwrap_or_default().followed_by(writes));
                }
            } else if !decision.writes.is_empty() || tx.is_some() || self.is_carrying() {
                if let Some(first) = self.active.as_mut().and_then(|active| active.carried.take()) {
                    decision.writes = first.followed_by(decision.writes);
                }
                if self.fault(4) {
                    self.crash("killed before the commit");
                    return Ok(());
                }
                if self.fault(3) {
                    self.disturb();
                    if self.active.is_none() {
                        return Ok(());
                    }
                }
                ack = self.commit(lane, &mut decision.writes, tx.take())?;
                if self.fault(4) {
                    self.crash("killed before it got the answer of the commit");
                    return Ok(());
                }
            }
            if self.rng.chance(20) {
                // The answer says what time it is; or the estimate drifts off again.
                let skew = self.rng.below(400) as i64 - 200;
                self.active.iter_mut().for_each(|active| active.skew = skew);
            }
            self.note(|| format!("  {ack:?}{}", if releases { ", releases the run" } else { "" }));
            match ack {
                Ack::InboxChanged => {
                    let (event, now, inbox) = (self.inbox(), self.estimate(), self.store.inbox);
                    let Some(active) = &mut self.active else { return Ok(()) };
                    active.seen = inbox;
                    let Some(next) = self.decide(vec![event], now) else { return Ok(()) };
                    decision = next;
                }
                Ack::Done if !releases => return self.begin_all(decision),
                Ack::Done if self.active.as_ref().is_some_and(|active| !active.under_way.is_empty()) => {
                    return Err("the run is let go of while attempts are under way".to_owned());
                }
                Ack::Refused => {
                    self.store.release(lane);
                    self.abandon_follow_ups();
                    return Ok(());
                }
                Ack::Done | Ack::Lost => {
                    self.abandon_follow_ups();
                    return Ok(());
                }
            }
        }
    }

    fn carries(&mut self, decision: &Decision) -> bool {
        let active = self.active.as_ref();
        let may = active.is_some_and(|active| !active.draining && active.under_way.is_empty());
        may && decision.goes_along() && self.rng.chance(70)
    }

    pub(crate) fn is_carrying(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.carried.is_some())
    }

    fn commit(&mut self, lane: u32, writes: &mut Writes, tx: Option<(NodeId, String, Direction)>) -> Checked<Ack> {
        self.note(|| {
            let step = |step: &backstitch::engine::core::model::Step| {
                format!(
                    "{}{}:{:?}/{}{}",
                    step.seq,
                    if step.direction == Direction::Undo { "u" } else { "" },
                    step.outcome,
                    step.attempts,
                    step.error.as_ref().map_or(String::new(), |e| format!("!{}", e.code))
                )
            };
            let steps: Vec<_> = writes.steps.iter().map(step).collect();
            format!("  writes {steps:?} {:?}", writes.run)
        });
        self.check_plan(writes)?;
        let mut ack = self.store.commit(lane, writes)?;
        self.commits += 1;
        let written = matches!(ack, Ack::Done | Ack::InboxChanged);
        if written {
            self.note_reads(writes);
            self.memory.lock().expect("no panic while locked").commit();
        }
        if written && let Some((id, key, direction)) = tx {
            match direction {
                Direction::Forward => drop(self.world.apply(id, &key)),
                Direction::Undo => self.world.reverse(id),
            }
        } else if written && self.fault(4) {
            // The answer was lost, and the flush is sent again, as worker/commit/batch.rs does.
            for step in &mut writes.steps {
                step.recorded = self.store.steps.contains_key(&(step.seq, step.direction));
            }
            self.note(|| "  the answer is lost, and it is sent again".to_owned());
            ack = self.store.commit(lane, writes)?;
        }
        self.check_record()?;
        Ok(ack)
    }

    /// A step that only reads has to be undone as soon as it is on record, and no sooner.
    fn note_reads(&mut self, writes: &Writes) {
        for step in &writes.steps {
            let ended = step.direction == Direction::Forward && step.outcome == Some(Outcome::Ok);
            if ended
                && step.name.starts_with("read")
                && let Some(input) = &step.input
            {
                let key = idempotency_key(self.store.run, step.seq, Direction::Forward, step.generation);
                let id = serde_json::from_str(input.get()).expect("inputs are ids of calls");
                self.world.apply(id, &key);
            }
        }
    }

    fn begin_all(&mut self, decision: Decision) -> Checked {
        if self.fault(4) {
            self.crash("killed before it began what it had committed");
            return Ok(());
        }
        let Some(active) = &mut self.active else { return Ok(()) };
        active.wake_at = decision.wake_at;
        decision.follow_ups.into_iter().try_for_each(|follow_up| self.begin(follow_up))
    }

    /// Ends the run's faults: from here on it has to come to its end.
    pub(crate) fn calm_down(&mut self) {
        self.faults = false;
        self.world.calm = true;
        self.held_back.lock().expect("no panic while locked").clear();
        self.note(|| "the faults stop".to_owned());
    }

    /// After a retry calls may be answered otherwise.
    pub(crate) fn forget_answers(&mut self) {
        self.memory.lock().expect("no panic while locked").forget();
    }
}

/// What a verification event says.
pub(crate) fn found(answer: &crate::world::VerifyAnswer, id: NodeId) -> Verification {
    use crate::world::VerifyAnswer;
    match answer {
        VerifyAnswer::Happened => Verification::Happened(to_json(&id).expect("a number has a JSON form")),
        VerifyAnswer::NeverWill => Verification::NeverWill,
        VerifyAnswer::NotYet => Verification::NotYet(StepError {
            code: "not_yet".to_owned(),
            message: "nobody can tell".to_owned(),
            unknown: true,
        }),
    }
}

/// The call that an attempt is of.
pub(crate) fn id_of(attempt: &Attempt) -> NodeId {
    serde_json::from_str(attempt.input.get()).expect("inputs are ids of calls")
}
