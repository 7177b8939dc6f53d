//! What the core decides, as data: rows to write in one commit, and what to do once they are written.

use std::sync::Arc;
use std::time::Duration;

use super::{
    attention::Attention,
    context::SideValue,
    model::{Direction, Due, Failure, Json, Outcome, Request, RunId, Signal, Status, Step, StepError, Time, WaitKind},
};

/// What a worker knows of a run when it begins with it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The run's id.
    pub run: RunId,
    /// When it was started.
    pub created_at: Time,
    /// Its home queue.
    pub queue: Arc<str>,
    /// Until when it has to be past its pivot.
    pub deadline_at: Option<Time>,
    /// Its status.
    pub status: Status,
    /// What was asked of it.
    pub request: Request,
    /// The inbox counter that belongs to `signals` and `request`.
    pub inbox: i32,
    /// Takeovers since it last made progress.
    pub takeovers: i16,
    /// Its input.
    pub input: Json,
    /// Why it is being undone or stuck.
    pub failure: Option<Failure>,
    /// All its step rows.
    pub steps: Vec<Step>,
    /// The signals that no step has taken.
    pub signals: Vec<Signal>,
}

/// Something that happened to a run.
#[derive(Debug)]
pub enum Event {
    /// An attempt ended.
    Attempted {
        /// The step.
        seq: u32,
        /// Forward or undo.
        direction: Direction,
        /// Its output, or what went wrong.
        result: Result<Option<Json>, AttemptError>,
        /// How long it took.
        took: Duration,
    },
    /// A verification ended.
    Verified {
        /// The step.
        seq: u32,
        /// Whether it precedes a retry of the step, or its undo.
        direction: Direction,
        /// What it found.
        found: Verification,
        /// How long it took.
        took: Duration,
    },
    /// A side value was drawn.
    Drawn {
        /// The step.
        seq: u32,
        /// Its value.
        value: Json,
    },
    /// An attempt has been under way for a while, or noted progress.
    Beat {
        /// The step.
        seq: u32,
        /// Forward or undo.
        direction: Direction,
        /// What it noted.
        details: Option<Json>,
    },
    /// The database's clock may have reached something that is due; `now` comes from it.
    Due {
        /// The due times of open steps as their rows have them.
        recorded: Vec<(u32, Time)>,
    },
    /// The inbox changed.
    Inbox {
        /// Its counter.
        inbox: i32,
        /// What was asked of the run.
        request: Request,
        /// The signals that no step has taken.
        signals: Vec<Signal>,
    },
}

/// An attempt that didn't end well.
#[derive(Clone, Debug)]
pub struct AttemptError {
    /// What to keep of it.
    pub error: StepError,
    /// Worth another try.
    pub retryable: bool,
}

/// What a verification found.
#[derive(Clone, Debug)]
pub enum Verification {
    /// It took effect, with this output.
    Happened(Json),
    /// It did not and never will under this key.
    NeverWill,
    /// Nobody can tell yet, or asking failed.
    NotYet(StepError),
}

/// What a worker does once the writes of the decision are committed.
#[derive(Clone, Debug)]
pub enum FollowUp {
    /// Attempt a step or an undo.
    Attempt(Attempt),
    /// Find out whether an unknown attempt took effect.
    Verify(Attempt),
    /// Draw a side value.
    Draw {
        /// The step.
        seq: u32,
        /// What to draw.
        what: SideValue,
    },
    /// Have all attempts under way stop where they safely can.
    Cancel,
}

/// One attempt (or verification) to be made.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The step.
    pub seq: u32,
    /// Forward or undo; for a verification: what it precedes.
    pub direction: Direction,
    /// The activity.
    pub activity: Arc<str>,
    /// Its input.
    pub input: Json,
    /// For an undo: what the step gave, where that is known.
    pub output: Option<Json>,
    /// 1 for the first.
    pub attempt: u32,
    /// The idempotency key.
    pub key: String,
    /// What an earlier attempt's heartbeat said.
    pub details: Option<Json>,
    /// How long it may take.
    pub timeout: Duration,
    /// Its SQL commits together with its outcome.
    pub transactional: bool,
    /// It changes nothing, so that its outcome is never unknown.
    pub only_reads: bool,
}

/// What becomes of the run's row and its place in `ready`.
#[derive(Clone, Debug)]
pub enum RunWrite {
    /// The plan of undos was made: the run goes on, backwards.
    Compensating {
        /// Why.
        failure: Failure,
    },
    /// The run leaves the queue: it waits, stands still or has ended. Refused where the inbox has changed since `seen`.
    Dequeue {
        /// Its new status.
        status: Status,
        /// Its output.
        output: Option<Json>,
        /// Why it failed or is stuck.
        failure: Option<Failure>,
        /// What it waits for.
        wait: Option<Wait>,
        /// The inbox counter that the decision knew.
        seen: i32,
    },
    /// Another queue's workers do the next step: the run becomes due there.
    HandOver {
        /// The queue.
        queue: Arc<str>,
    },
    /// A stale wake-up: the run leaves the queue, and nothing else changes. Refused where the inbox has changed since `seen`.
    NotDue {
        /// The inbox counter that the decision knew.
        seen: i32,
    },
}

/// What a parked run waits for.
#[derive(Clone, Debug)]
pub struct Wait {
    /// A timer, a signal or a retry.
    pub kind: WaitKind,
    /// The signal's or activity's name.
    pub name: Arc<str>,
    /// When it becomes due at the latest.
    pub until: Option<Due>,
}

/// The rows that one decision writes, in one commit.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// Step rows, new or changed.
    pub steps: Vec<Step>,
    /// Signals taken, and by which step.
    pub consumed: Vec<(i64, u32)>,
    /// The run's row.
    pub run: Option<RunWrite>,
    /// The cause, where the plan of undos is made with this commit.
    pub planned: Option<Failure>,
    /// What an operator should look at.
    pub attention: Vec<Attention>,
    /// Steps that need no attention from here on.
    pub settled: Vec<u32>,
    /// A pause was requested, and the run has ended or is stuck already: the request is dropped.
    pub unpaused: bool,
    /// Takeovers had been counted, and the run has made progress since.
    pub progress: bool,
}

impl Writes {
    /// Nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
            && self.consumed.is_empty()
            && self.run.is_none()
            && self.planned.is_none()
            && self.attention.is_empty()
            && self.settled.is_empty()
    }

    /// What goes along ([`Decision::goes_along`]: steps, and nothing else) and `later`, in one commit. A step that both write
    /// is new if it is new to the first.
    pub fn followed_by(self, later: Self) -> Self {
        let mut steps = self.steps;
        for mut step in later.steps {
            let key = (step.seq, step.direction);
            match steps.iter_mut().find(|first| (first.seq, first.direction) == key) {
                Some(first) => {
                    step.recorded = first.recorded;
                    step.log.splice(0..0, first.log.drain(..));
                    *first = step;
                }
                None => steps.push(step),
            }
        }
        Self { steps, ..later }
    }
}

/// A decision: commit `writes`, then do `follow_ups`, then wait for an event, at the latest until `wake_at`.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// To be committed first, in one commit.
    pub writes: Writes,
    /// To be done after that.
    pub follow_ups: Vec<FollowUp>,
    /// When to check the clock again, if the worker keeps the run.
    pub wake_at: Option<Time>,
}

impl Decision {
    /// Withdraws the attempts that this decision would begin, for a worker that begins nothing new. They are recorded as due,
    /// not as under way: the run's next worker would find them unknown.
    pub fn withdraw_attempts(&mut self, now: Time) {
        for follow_up in self.follow_ups.drain(..) {
            let FollowUp::Attempt(attempt) = follow_up else { continue };
            let key = (attempt.seq, attempt.direction);
            if let Some(step) = self.writes.steps.iter_mut().find(|step| (step.seq, step.direction) == key) {
                step.attempts = step.attempts.saturating_sub(1);
                step.next_attempt_at = (step.attempts > 0).then_some(now);
            }
        }
    }

    /// Whether its writes may wait for a later commit: steps have ended well, and all that follows is the first attempt of a
    /// transactional one, of which nothing comes without them, for it is the same commit; or of one that changes nothing. Where
    /// all is lost with the worker, what had ended is found unknown, as after a loss right before this commit.
    pub fn goes_along(&self) -> bool {
        let Writes { steps, consumed, run, planned, attention, settled, unpaused, progress } = &self.writes;
        let begins_one = matches!(&*self.follow_ups,
            [FollowUp::Attempt(next)] if (next.transactional || next.only_reads) && next.attempt == 1);
        let has_ended = |step: &Step| step.outcome == Some(Outcome::Ok) && step.ord.is_some();
        begins_one
            && !steps.is_empty()
            && steps.iter().all(|step| has_ended(step) && step.direction == Direction::Forward)
            && (consumed.is_empty() && run.is_none() && planned.is_none())
            && (attention.is_empty() && settled.is_empty() && !unpaused && !progress)
    }

    /// Why this build can't go on with the run, where another build of its version may: the code disagrees with the record, or
    /// lacks an activity.
    pub fn disagreement(&self) -> Option<&Failure> {
        match &self.writes.run {
            Some(RunWrite::Dequeue { status: Status::Stuck, failure: Some(failure), .. }) => {
                ["nondeterminism", "unknown_activity"].contains(&failure.code.as_str()).then_some(failure)
            }
            _ => None,
        }
    }

    /// Whether the worker releases the run with this commit.
    pub const fn releases_run(&self) -> bool {
        matches!(self.writes.run, Some(RunWrite::Dequeue { .. } | RunWrite::HandOver { .. } | RunWrite::NotDue { .. }))
    }
}
