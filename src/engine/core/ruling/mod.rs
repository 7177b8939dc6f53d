//! What comes of an operator's action on a run: the facts and the action in, a [`Ruling`] or a [`Refusal`] out.
//!
//! Pure, like `machine`, and for the same reason: which verb is allowed where, and what it changes, can be read and simulated
//! without a database. The store locks a run's rows, asks here, and writes what it is told with the audit in one commit; a dry
//! run ends before the writing. Statuses go through `transition`.
//!
//! Two rules hold for all. What would contradict a worker in mid-work (skip, resolve, abandon, "try now") is refused while one
//! holds the run. And a verb that is repeated changes nothing and says so: [`Ruling::changes`] is false.

mod abandon;
mod fork;
mod pause;
mod request;
mod retry;
mod settle;

use serde_json::{Map, Value};

pub use self::fork::{Forked, fork};

use super::{
    model::{Direction, Failure, Outcome, Request, RunId, Status, Step, StepKind, Time},
    plan::Undo,
    transition::{Change, IllegalChange, next},
    verb::Verb,
};

/// What is known of a run, with its rows locked.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The run.
    pub run: RunId,
    /// Its status.
    pub status: Status,
    /// What has been asked of it.
    pub request: Request,
    /// Why it failed or stands still.
    pub failure: Option<Failure>,
    /// Why its plan of undos was made, where it was.
    pub cause: Option<Failure>,
    /// Until when it has to be past its pivot.
    pub deadline_at: Option<Time>,
    /// What it waits for: kind and name.
    pub wait: Option<(String, String)>,
    /// Until when it waits.
    pub wait_until: Option<Time>,
    /// Since when it is held back.
    pub paused_at: Option<Time>,
    /// It has a place in `ready`.
    pub due: bool,
    /// A worker holds it.
    pub held: bool,
    /// All its step rows.
    pub steps: Vec<Step>,
    /// What of it needs attention: the step (none: the run) and the kind.
    pub attention: Vec<(Option<u32>, String)>,
    /// The database's time.
    pub now: Time,
}

/// What becomes of a run's place in `ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing.
    Keep,
    /// It is due at once.
    Due,
    /// It has not begun yet, and is due at this moment.
    StartAt(Time),
    /// Nothing wakes it any more.
    Away,
}

/// What becomes of the moment from which the run is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseMark {
    /// Nothing.
    Keep,
    /// It is now.
    Now,
    /// It is not held back any more.
    Over,
}

/// What becomes of what needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Keep,
    /// Somebody has seen to the run: only failed best efforts are still to be seen.
    Settled,
    /// Somebody has settled this step.
    SettledStep(u32),
    /// Somebody has seen it all.
    Acknowledged,
}

/// What an action does.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// False: it was so already, and nothing is written.
    pub changes: bool,
    /// The status from now on.
    pub status: Status,
    /// What is asked of it from now on.
    pub request: Request,
    /// Why it failed or stands still, from now on.
    pub failure: Option<Failure>,
    /// Until when it has to be past its pivot, from now on.
    pub deadline_at: Option<Time>,
    /// The steps that change, as they are from now on.
    pub steps: Vec<Step>,
    /// What becomes of its place in `ready`.
    pub place: Place,
    /// What becomes of its pause.
    pub pause: PauseMark,
    /// What becomes of what needs attention.
    pub look: Look,
    /// The undos that it leads to, in the order in which they are made.
    pub undo: Vec<(Undo, Step)>,
    /// The steps that are attempted again.
    pub retry: Vec<u32>,
    /// What stays in force although it could be undone.
    pub stays: Vec<Step>,
    /// What happens, in sentences.
    pub says: Vec<String>,
    /// For the audit, beside the status: what changed.
    pub noted: Map<String, Value>,
}

impl Ruling {
    /// Everything as it is.
    fn of(facts: &Facts) -> Self {
        Self {
            changes: true,
            status: facts.status,
            request: facts.request,
            failure: facts.failure.clone(),
            deadline_at: facts.deadline_at,
            steps: Vec::new(),
            place: Place::Keep,
            pause: PauseMark::Keep,
            look: Look::Keep,
            undo: Vec::new(),
            retry: Vec::new(),
            stays: Vec::new(),
            says: Vec::new(),
            noted: Map::new(),
        }
    }

    /// It is so already.
    fn repeated(facts: &Facts, says: String) -> Self {
        Self { changes: false, says: vec![says], ..Self::of(facts) }
    }

    fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.noted.insert(name.to_owned(), value.into());
    }
}

/// Why an action is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The run's state does not allow it; the sentence says what it does.
    WrongState(String),
    /// It is past its pivot.
    PastPivot,
    /// A worker holds it.
    Held,
    /// It has no such step.
    UnknownStep(u32),
    /// The action makes no sense by itself.
    Invalid(String),
}

impl From<IllegalChange> for Refusal {
    fn from(illegal: IllegalChange) -> Self {
        Self::WrongState(illegal.to_string())
    }
}

/// What comes of an action.
///
/// # Errors
/// Why it is refused.
pub fn rule(facts: &Facts, action: &Verb) -> Result<Ruling, Refusal> {
    match action {
        Verb::Retry { policy } => retry::retry(facts, policy.as_ref()),
        Verb::Cancel => request::stop(facts, Request::Cancel),
        Verb::Compensate => request::stop(facts, Request::Compensate),
        Verb::Pause => pause::pause(facts),
        Verb::Resume => pause::resume(facts),
        Verb::Abandon => abandon::abandon(facts),
        Verb::Skip { seq, direction, output } => settle::skip(facts, *seq, *direction, output.as_ref()),
        Verb::Resolve { seq, direction, outcome, output, evidence } => {
            let declared = settle::Claim { outcome: *outcome, output: output.as_ref(), evidence: evidence.as_deref() };
            settle::resolve(facts, *seq, *direction, &declared)
        }
        Verb::Acknowledge => abandon::acknowledge(facts),
    }
}

impl Facts {
    fn planned(&self) -> bool {
        self.cause.is_some()
    }

    fn pivoted(&self) -> bool {
        self.steps.iter().any(|step| step.kind == StepKind::Pivot)
    }

    fn forward(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.direction == Direction::Forward)
    }

    fn undos(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.direction == Direction::Undo)
    }

    fn step(&self, seq: u32, direction: Direction) -> Option<&Step> {
        self.steps.iter().find(|step| step.seq == seq && step.direction == direction)
    }

    fn next(&self, change: Change) -> Result<Status, Refusal> {
        Ok(next(self.status, change)?)
    }

    /// Refused while a worker holds the run.
    fn not_held(&self) -> Result<(), Refusal> {
        if self.held { Err(Refusal::Held) } else { Ok(()) }
    }

    /// Refused where a worker is about to make the plan that somebody has asked for.
    fn not_about_to_undo(&self) -> Result<(), Refusal> {
        let asked = match self.request {
            Request::None | Request::Pause => false,
            // One that came too late is none.
            Request::Cancel => !self.pivoted(),
            Request::Compensate => true,
        };
        // What was asked of a run that has ended is over, unless a worker is still to look at it.
        if asked && !self.planned() && (!self.status.is_end() || self.due) {
            return Err(Refusal::WrongState("it has been asked to undo, and is about to".to_owned()));
        }
        Ok(())
    }

    /// The forward steps that the workflow was told of, or asked for, after it had been told of this one, the first of them: told
    /// otherwise, it may not ask for them.
    fn built_on(&self, step: &Step) -> Option<u32> {
        let told = step.ord?;
        let later = |other: &&Step| other.ord.is_some_and(|ord| ord > told) || other.issued_after > told;
        self.forward().filter(later).map(|other| other.seq).min()
    }

    /// What was still open when the run failed, and was closed without having been told: it goes on where it was. What was ok
    /// stays so, and is told; so is what an operator has passed over, which has an output.
    fn closed_at_the_end(&self) -> impl Iterator<Item = &Step> {
        let stays = |step: &Step| match step.outcome {
            Some(Outcome::Ok) => true,
            Some(Outcome::Skipped) => step.output.is_some(),
            _ => false,
        };
        self.forward().filter(move |step| step.ord.is_none() && step.outcome.is_some() && !stays(step))
    }
}

/// Whether it may have had an effect. An attempt on record as under way, in a run that nobody holds, lost its worker.
fn is_unknown(step: &Step) -> bool {
    let lost = step.kind == StepKind::Activity && step.attempts > 0 && step.next_attempt_at.is_none();
    match step.outcome {
        None => step.error.as_ref().is_some_and(|error| error.unknown) || lost,
        outcome => outcome == Some(Outcome::Unknown),
    }
}

/// Whether an undo is done.
fn is_done(undo: &Step) -> bool {
    matches!(undo.outcome, Some(Outcome::Ok | Outcome::Skipped))
}

/// `step 2 (charge)`, `the undo of step 2 (charge)`.
fn called(step: &Step) -> String {
    let undo = if step.direction == Direction::Undo { "the undo of " } else { "" };
    format!("{undo}step {} ({})", step.seq, step.name)
}

/// How a step stands, in a word.
fn stand(step: &Step) -> &'static str {
    step.outcome.map_or("open", Outcome::word)
}
