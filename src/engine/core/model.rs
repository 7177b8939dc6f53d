//! The nouns of the engine as plain data: status, outcome, step, failure. No SQL, no tokio, no clock.
//!
//! The numbers behind the enums are what the tables hold (migrations/0001_engine.sql); they never change meaning.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{policy::PolicyOverride, words::words};

/// A moment on the database's clock.
pub type Time = DateTime<Utc>;

/// A JSON text, kept as it came; shared, because a step's output goes to the workflow and to the database.
pub type Json = Arc<RawValue>;

/// A run's id: UUIDv7, so that ids sort by the time of their making.
pub type RunId = Uuid;

/// Defines a small enum with its word and the number that the tables hold, and both ways between them.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident, $noun:literal { $($(#[$vdoc:meta])* $variant:ident = $code:literal $word:literal),+ $(,)? }) => {
        words! { $(#[$doc])* $name, $noun { $($(#[$vdoc])* $variant = $word),+ } }

        impl $name {
            /// The number that the tables hold.
            pub const fn code(self) -> i16 { match self { $(Self::$variant => $code),+ } }
            /// The value with this number, if there is one.
            pub fn from_code(code: i16) -> Option<Self> { Self::ALL.iter().copied().find(|v| v.code() == code) }
        }
    };
}

coded! {
    /// Where a run stands, as its row says. What people see as pending or running is `Active`: see `ready`.
    Status, "status" {
        /// Due, or held by a worker.
        Active = 0 "running",
        /// Parked until a timer, a signal or a retry is due.
        Waiting = 1 "waiting",
        /// Held back by an operator.
        Paused = 2 "paused",
        /// Its plan of undos is being worked on.
        Compensating = 3 "compensating",
        /// It can't go on without an operator; `failure` says why.
        Stuck = 4 "stuck",
        /// It ended as its workflow meant it to.
        Completed = 5 "completed",
        /// It failed or was cancelled, and all that had to be undone was.
        Compensated = 6 "compensated",
        /// It failed or was cancelled with nothing to undo.
        Failed = 7 "failed",
        /// An operator ended it without undo.
        Abandoned = 8 "abandoned",
    }
}

impl Status {
    /// Whether nothing more happens to the run by itself and its result stands.
    pub const fn is_end(self) -> bool {
        self.code() >= Self::Completed.code()
    }
}

coded! {
    /// How a step ended.
    Outcome, "outcome" {
        /// It took effect.
        Ok = 1 "ok",
        /// It certainly had no effect.
        Failed = 2 "failed",
        /// It may have had an effect, and nobody could tell.
        Unknown = 3 "unknown",
        /// An operator, or a verification that found nothing to undo, passed over it.
        Skipped = 4 "skipped",
    }
}

coded! {
    /// Which way a step row goes.
    Direction, "direction" {
        /// The step itself.
        Forward = 0 "forward",
        /// Its undo.
        Undo = 1 "undo",
    }
}

coded! {
    /// What kind of thing a workflow asked for.
    StepKind, "kind of step" {
        /// A call of an activity.
        Activity = 0 "activity",
        /// A sleep.
        Timer = 1 "timer",
        /// A wait for a signal.
        Signal = 2 "signal",
        /// A time, random number or uuid, recorded so that replay sees the same.
        Side = 3 "side",
        /// From here on: forward only.
        Pivot = 4 "pivot",
    }
}

words! {
    /// What a run waits for.
    WaitKind, "kind of wait" {
        /// For a timer.
        Timer = "timer",
        /// For a signal.
        Signal = "signal",
        /// To try a step again.
        Retry = "retry",
        /// For a worker that serves its queue.
        Queue = "queue",
        /// For a worker that has its workflow.
        Worker = "worker",
        /// For the release of a hold.
        Hold = "hold",
        /// For an operator.
        Operator = "operator",
        /// For the moment at which it is to start.
        Start = "start",
    }
}

/// What an operator or a caller has requested of a run, kept on its row until a worker carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Nothing.
    None,
    /// Undo and end, if the pivot is not passed.
    Cancel,
    /// Undo and end, wherever it stands.
    Compensate,
    /// Begin nothing more, and wait for a resume.
    Pause,
}

impl Request {
    /// The number that `run.request` holds.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The request with this number; an unknown number is none.
    pub const fn from_code(code: i16) -> Self {
        match code {
            1 => Self::Cancel,
            2 => Self::Compensate,
            3 => Self::Pause,
            _ => Self::None,
        }
    }
}

/// Why a run failed or stands still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[error("{code}: {message}")]
pub struct Failure {
    /// A stable code, from the activity, the workflow or the engine.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The step (its `seq`) that it came from, where it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
}

impl Failure {
    /// A failure that no step caused.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), step: None }
    }

    /// The same, naming the step.
    pub fn at(mut self, seq: u32) -> Self {
        self.step = Some(seq);
        self
    }
}

/// What went wrong in a step, as its row keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct StepError {
    /// The activity's stable code.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The attempt may have had an effect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
}

/// An attempt that did not end well, or a verification that did not find that its step had happened: an entry of a step's
/// log of attempts. The one that a step ended `ok` with is none: `started_at` and `finished_at` of the step tell of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct PastAttempt {
    /// 1 for the first. Verifications count too, and after an operator's retry it begins at 1 again.
    pub attempt: u32,
    /// It only asked whether an earlier one had taken effect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verification: bool,
    /// `failed` or `unknown`. Of a verification: it found that the step never happened, or could not tell.
    pub outcome: Outcome,
    /// When it began; none where its worker was lost and nobody else knows.
    pub started_at: Option<Time>,
    /// When it ended, or was found without its worker.
    pub ended_at: Time,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
}

/// One step of a run, one direction of it: what the `step` row holds.
#[derive(Clone, Debug)]
pub struct Step {
    /// Position in the run, from 0, in the order of the workflow's commands.
    pub seq: u32,
    /// Forward or undo.
    pub direction: Direction,
    /// What was asked for.
    pub kind: StepKind,
    /// The activity's, signal's or side value's name.
    pub name: Arc<str>,
    /// The place of its completion among those that the workflow got; none while open, and for undos.
    pub ord: Option<u32>,
    /// How many completions the workflow had got when it issued the command.
    pub issued_after: u32,
    /// How it ended; none while open.
    pub outcome: Option<Outcome>,
    /// Attempts begun so far.
    pub attempts: u32,
    /// Raised when a verification was sure that the earlier key never took effect: it is part of the idempotency key.
    pub generation: u32,
    /// The activity has an undo.
    pub undoable: bool,
    /// The input, as JSON.
    pub input: Option<Json>,
    /// The output of an `ok` outcome, as JSON.
    pub output: Option<Json>,
    /// The latest error.
    pub error: Option<StepError>,
    /// What the latest heartbeat said.
    pub details: Option<Json>,
    /// When the timer fires, or the wait or the call runs out.
    pub due: Option<Due>,
    /// When it is tried (or verified) again; none while an attempt is under way.
    pub next_attempt_at: Option<Time>,
    /// For an undo: the steps (`seq`) whose undo has to be done right before it, for people: see `core::plan`.
    pub undo_after: Vec<u32>,
    /// Other rules than its activity's, from an operator's retry.
    pub policy: Option<Arc<PolicyOverride>>,
    /// When the latest attempt on its row began.
    pub started_at: Option<Time>,
    /// How long the last attempt took; nothing while it is under way.
    pub took: Duration,
    /// What is to be added to its row's log of attempts. What stands there already is for people and not loaded.
    pub log: Vec<PastAttempt>,
    /// It has, or may have, a row: the next write is an update.
    pub recorded: bool,
}

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Recorded: a moment on the database's clock.
    At(Time),
    /// Not recorded yet: this long after the statement that records it, whose clock decides. The estimate is for
    /// scheduling within the worker only.
    In(Duration, Time),
}

impl Due {
    /// The moment: recorded, or as the worker estimates it.
    pub const fn estimate(self) -> Time {
        match self {
            Self::At(at) | Self::In(_, at) => at,
        }
    }
}

/// A signal in a run's inbox that no step has taken yet.
#[derive(Clone, Debug)]
pub struct Signal {
    /// Its id: signals of one run are taken in this order.
    pub id: i64,
    /// Its name.
    pub name: Arc<str>,
    /// What it carries.
    pub payload: Option<Json>,
}

/// Makes JSON text of a value.
///
/// # Errors
/// When the value has no JSON form (a map with keys that are no strings, a NaN inside an untyped value…).
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Json, serde_json::Error> {
    serde_json::value::to_raw_value(value).map(Arc::from)
}

/// The key of a step's attempts: run, position, direction, and the generation where a verification burnt earlier ones.
pub fn idempotency_key(run: RunId, seq: u32, direction: Direction, generation: u32) -> String {
    let undo = if direction == Direction::Undo { "/undo" } else { "" };
    if generation == 0 { format!("{run}/{seq}{undo}") } else { format!("{run}/{seq}.{generation}{undo}") }
}
