//! What a ruling is made from, and what it consists of.

use serde_json::{Map, Value};

use crate::engine::core::{
    model::{Direction, Failure, Outcome, Request, RunId, Status, Step, StepKind, Time},
    plan::Undo,
    transition::{Change, IllegalChange, next},
};

/// What is known of a run, with its rows locked.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The run.
    pub run: RunId,
    /// Its status.
    pub status: Status,
    /// What has been requested of it.
    pub request: Request,
    /// Why it failed or is stuck.
    pub failure: Option<Failure>,
    /// Why its plan of undos was made, where it was.
    pub cause: Option<Failure>,
    /// Until when it has to be past its pivot.
    pub deadline_at: Option<Time>,
    /// What it waits for: kind and name.
    pub wait: Option<(String, String)>,
    /// Until when it waits.
    pub wait_until: Option<Time>,
    /// Since when it is paused.
    pub paused_at: Option<Time>,
    /// It has a place in `ready`.
    pub due: bool,
    /// A worker works on it.
    pub held: bool,
    /// All its step rows.
    pub steps: Vec<Step>,
    /// Runs that were forked from it and go on, with the steps that can be undone and whose results they have. Read for verbs
    /// that undo.
    pub forks: Vec<(RunId, Vec<u32>)>,
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
    /// Nothing wakes it.
    Away,
}

/// What becomes of the moment from which the run is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseMark {
    /// Nothing.
    Keep,
    /// It is now.
    Now,
    /// It is not paused from now on.
    Over,
}

/// What becomes of what needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Keep,
    /// An operator has dealt with the run: only failed best efforts stay listed.
    Settled,
    /// An operator has settled this step.
    SettledStep(u32),
    /// An operator has seen all of it.
    Acknowledged,
}

/// What a verb does.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// False: it was so already, and nothing is written.
    pub changes: bool,
    /// The status from now on.
    pub status: Status,
    /// What is asked of it from now on.
    pub request: Request,
    /// Its new failure.
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
    pub(super) fn of(facts: &Facts) -> Self {
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
    pub(super) fn repeated(facts: &Facts, says: String) -> Self {
        Self { changes: false, says: vec![says], ..Self::of(facts) }
    }

    pub(super) fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.noted.insert(name.to_owned(), value.into());
    }
}

/// Why a verb is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The run's state does not allow it; the sentence says what it does.
    WrongState(String),
    /// It is past its pivot.
    PastPivot,
    /// A worker works on it.
    Held,
    /// It has no such step.
    UnknownStep(u32),
    /// The verb's own arguments make no sense.
    Invalid(String),
}

impl From<IllegalChange> for Refusal {
    fn from(illegal: IllegalChange) -> Self {
        Self::WrongState(illegal.to_string())
    }
}

impl Facts {
    pub(super) fn planned(&self) -> bool {
        self.cause.is_some()
    }

    pub(super) fn pivoted(&self) -> bool {
        self.steps.iter().any(|step| step.kind == StepKind::Pivot)
    }

    pub(super) fn forward(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.direction == Direction::Forward)
    }

    pub(super) fn undos(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.direction == Direction::Undo)
    }

    pub(super) fn step(&self, seq: u32, direction: Direction) -> Option<&Step> {
        self.steps.iter().find(|step| step.seq == seq && step.direction == direction)
    }

    pub(super) fn next(&self, change: Change) -> Result<Status, Refusal> {
        Ok(next(self.status, change)?)
    }

    /// Refused while a worker holds the run.
    pub(super) fn not_held(&self) -> Result<(), Refusal> {
        if self.held { Err(Refusal::Held) } else { Ok(()) }
    }

    /// Refused where an undo was requested and a worker is about to plan it.
    pub(super) fn not_about_to_undo(&self) -> Result<(), Refusal> {
        let requested = match self.request {
            Request::None | Request::Pause => false,
            // After the pivot a cancel has no effect.
            Request::Cancel => !self.pivoted(),
            Request::Compensate => true,
        };
        // Requests to a run that has ended are void, unless a worker is still to take it up.
        if requested && !self.planned() && (!self.status.is_end() || self.due) {
            return Err(Refusal::WrongState("it has been asked to undo, and is about to".to_owned()));
        }
        Ok(())
    }

    /// The first forward step that the workflow called, or got the outcome of, after the outcome of this one: with another
    /// outcome it might not have called it.
    pub(super) fn first_built_on(&self, step: &Step) -> Option<u32> {
        let ord = step.ord?;
        let later = |other: &&Step| other.ord.is_some_and(|other| other > ord) || other.issued_after > ord;
        self.forward().filter(later).map(|other| other.seq).min()
    }

    /// The steps that were open when the run failed, and were closed without being delivered: they go on where they were. A step
    /// that was ok stays so and is delivered, and so is one that an operator has skipped, which has an output.
    pub(super) fn closed_at_the_end(&self) -> impl Iterator<Item = &Step> {
        let stays = |step: &Step| match step.outcome {
            Some(Outcome::Ok) => true,
            Some(Outcome::Skipped) => step.output.is_some(),
            _ => false,
        };
        self.forward().filter(move |step| step.ord.is_none() && step.outcome.is_some() && !stays(step))
    }
}

/// Whether it may have had an effect. An attempt that is recorded as under way, in a run without a worker, lost its worker.
pub(super) fn is_unknown(step: &Step) -> bool {
    let lost = step.kind == StepKind::Activity && step.attempts > 0 && step.next_attempt_at.is_none();
    match step.outcome {
        None => step.error.as_ref().is_some_and(|error| error.unknown) || lost,
        outcome => outcome == Some(Outcome::Unknown),
    }
}

/// Whether an undo is done.
pub(super) fn is_done(undo: &Step) -> bool {
    matches!(undo.outcome, Some(Outcome::Ok | Outcome::Skipped))
}

/// `step 2 (charge)`, `the undo of step 2 (charge)`.
pub(super) fn called(step: &Step) -> String {
    let undo = if step.direction == Direction::Undo { "the undo of " } else { "" };
    format!("{undo}step {} ({})", step.seq, step.name)
}

/// How a step stands, in a word.
pub(super) fn stand(step: &Step) -> &'static str {
    step.outcome.map_or("open", Outcome::word)
}
