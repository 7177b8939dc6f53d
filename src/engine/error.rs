//! The engine's errors, each with a stable code. The HTTP layer maps codes to statuses; docs/errors.md explains them.

use super::{
    core::{mapping::Unmappable, model::RunId, transition::IllegalChange, words::UnknownWord},
    trouble::{Trouble, sort_error},
};

/// What a call of the engine can end with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No worker has ever registered this workflow.
    #[error("no workflow named {0} has ever been registered")]
    UnknownWorkflow(String),
    /// The input is not what the workflow takes.
    #[error("the input can't be read by workflow {workflow}: {message}")]
    InvalidInput {
        /// The workflow.
        workflow: String,
        /// The decoder's sentence.
        message: String,
    },
    /// An operator's output is not what the step's activity gives.
    #[error("the output can't be what activity {activity} gives: {message}")]
    InvalidOutput {
        /// The activity.
        activity: String,
        /// The decoder's sentence.
        message: String,
    },
    /// Callers can neither start runs of this workflow nor feed them.
    #[error("{0} is internal: its runs are started by the service itself, not by callers")]
    InternalWorkflow(String),
    /// A parameter is out of its range or malformed.
    #[error("{0}")]
    InvalidRequest(String),
    /// A value of a request is out of its range or malformed.
    #[error("{field}: {message}")]
    InvalidField {
        /// Which one, as the request names it.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// A payload is larger than the limit.
    #[error("the payload has {size} bytes; the limit is {limit}")]
    PayloadTooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The key belongs to a run that was started with something else.
    #[error("the key belongs to run {0}, which was started with another input")]
    KeyConflict(RunId),
    /// There is no such run.
    #[error("there is no run {0}")]
    UnknownRun(RunId),
    /// No run of this workflow was started with this key.
    #[error("no run of {workflow} was started with key {key:?}")]
    UnknownRunKey {
        /// The workflow.
        workflow: String,
        /// The key.
        key: String,
    },
    /// The run has ended, so nobody would take the signal.
    #[error("run {0} has ended")]
    RunEnded(RunId),
    /// The run's state does not allow it.
    #[error("{0}")]
    WrongState(String),
    /// The run is past its pivot: only `compensate` crosses it.
    #[error("run {0} is past its pivot: it can't be cancelled; `compensate` undoes it")]
    PastPivot(RunId),
    /// The action is dangerous and needs a reason.
    #[error("{0} needs a reason")]
    ReasonRequired(&'static str),
    /// A worker holds the run: what would contradict it has to wait, or the run be paused first.
    #[error("a worker holds run {0} just now: pause it first, or ask again when it waits")]
    HeldByWorker(RunId),
    /// The run has no such step.
    #[error("run {run} has no step {seq}")]
    UnknownStep {
        /// The run.
        run: RunId,
        /// The step.
        seq: u32,
    },
    /// A bulk operation with an empty filter would be one over everything.
    #[error(
        "the filter is empty: name at least one of workflow, version, status, error, step, fingerprint, tag, since or until"
    )]
    EmptyFilter,
    /// There is no such bulk operation.
    #[error("there is no operation {0}")]
    UnknownOperation(String),
    /// There is no such schedule.
    #[error("there is no schedule {0}")]
    UnknownSchedule(String),
    /// Nothing of this kind and name is held back.
    #[error("there is no hold on {0}")]
    UnknownHold(String),
    /// There is no such API key.
    #[error("there is no key {0}")]
    UnknownKey(String),
    /// No source of events has this name.
    #[error("there is no source {0}")]
    UnknownSource(String),
    /// There is no such event.
    #[error("there is no event {0}")]
    UnknownEvent(RunId),
    /// No sink of events has this name.
    #[error("there is no sink {0}")]
    UnknownSink(String),
    /// The rules can't do anything with the event.
    #[error(transparent)]
    Unmappable(#[from] Unmappable),
    /// Nobody is known by this credential.
    #[error("{0}")]
    Unauthorized(String),
    /// Somebody is known, and may not do it.
    #[error("{0}")]
    Forbidden(String),
    /// The cursor was not made by this list.
    #[error("the cursor is not one that this list gave")]
    BadCursor,
    /// A fenced worker's write: it changed nothing.
    #[error("the lease was lost: another worker has taken over")]
    LeaseLost,
    /// The database can't do it just now: it can't be reached, is full or read-only, or ran into a limit. Nothing has happened.
    #[error("the database can't do it just now")]
    Unavailable(#[source] sqlx::Error),
    /// The connection was lost under a write: it may have happened. The same again, with the same key, tells.
    #[error("the connection was lost under a write, which may have happened")]
    OutcomeUnknown(#[source] sqlx::Error),
    /// The database refused or failed.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
    /// Two workflows or activities of one name, or an activity that contradicts itself.
    #[error("the registry is not right: {0}")]
    InvalidRegistry(String),
    /// The name can't be that of an engine's schema.
    #[error("{name:?} can't be the name of the schema: {why}")]
    InvalidSchema {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An earlier version made the database, and has not applied all of its migrations.
    #[error(
        "an earlier version made this database and has not applied its migrations {missing:?}: run that version's \
         `backstitch migrate` first, then this one's"
    )]
    IncompleteHistory {
        /// The numbers of its migrations that are missing, or are not the ones that it came with.
        missing: Vec<i64>,
    },
    /// A newer release has migrated the schema, and its migrations don't serve this one.
    #[error(
        "a newer release has migrated schema {schema}: it serves releases from migration {serves} on, and this one has \
         {release}. Use a newer release"
    )]
    SchemaTooNew {
        /// The schema.
        schema: String,
        /// The oldest release that it serves.
        serves: i64,
        /// This release.
        release: i64,
    },
    /// Workers are alive that could not go on after a migration.
    #[error("workers of an older release are alive that can't go on after this migration: stop {} first", workers.join(", "))]
    OldWorkers {
        /// Their names.
        workers: Vec<String>,
    },
    /// The database keeps texts in an encoding that can't hold all of them.
    #[error("the database's encoding is {0}; it has to be UTF8, which is chosen when a database is created")]
    UnsupportedEncoding(String),
    /// The schema could not be brought up to date.
    #[error("the schema could not be migrated")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl Error {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownWorkflow(_) => "unknown_workflow",
            Self::InvalidInput { .. } => "invalid_input",
            Self::InvalidOutput { .. } => "invalid_output",
            Self::InternalWorkflow(_) => "internal_workflow",
            Self::InvalidRequest(_) | Self::InvalidField { .. } => "invalid_request",
            Self::PayloadTooLarge { .. } => "payload_too_large",
            Self::KeyConflict(_) => "key_conflict",
            Self::UnknownRun(_) | Self::UnknownRunKey { .. } => "unknown_run",
            Self::RunEnded(_) => "run_ended",
            Self::WrongState(_) => "wrong_state",
            Self::PastPivot(_) => "past_pivot",
            Self::ReasonRequired(_) => "reason_required",
            Self::HeldByWorker(_) => "held_by_worker",
            Self::UnknownStep { .. } => "unknown_step",
            Self::EmptyFilter => "empty_filter",
            Self::UnknownOperation(_) => "unknown_operation",
            Self::UnknownSchedule(_) => "unknown_schedule",
            Self::UnknownHold(_) => "unknown_hold",
            Self::UnknownKey(_) => "unknown_key",
            Self::UnknownSource(_) => "unknown_source",
            Self::UnknownEvent(_) => "unknown_event",
            Self::UnknownSink(_) => "unknown_sink",
            Self::Unmappable(refused) => refused.code(),
            Self::Unauthorized(_) => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::BadCursor => "bad_cursor",
            Self::LeaseLost => "lease_lost",
            Self::Unavailable(_) => "database_unavailable",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::InvalidRegistry(_) => "invalid_registry",
            Self::InvalidSchema { .. } => "invalid_schema",
            Self::IncompleteHistory { .. } => "incomplete_history",
            Self::SchemaTooNew { .. } => "schema_too_new",
            Self::OldWorkers { .. } => "old_workers",
            Self::UnsupportedEncoding(_) => "unsupported_encoding",
            Self::Database(_) | Self::Migrate(_) => "database_error",
        }
    }
}

impl Error {
    /// The database's error, if it is one of those.
    pub(crate) const fn of_database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Unavailable(error) | Self::OutcomeUnknown(error) | Self::Database(error) => Some(error),
            _ => None,
        }
    }

    /// The same for another who was in the same write. The cause is only told as text: it can't be had twice.
    pub(crate) fn again(&self) -> Self {
        let cause = |error: &sqlx::Error| sqlx::Error::Io(std::io::Error::other(error.to_string()));
        match self {
            Self::Unavailable(error) => Self::Unavailable(cause(error)),
            Self::OutcomeUnknown(error) => Self::OutcomeUnknown(cause(error)),
            Self::Database(error) => Self::Database(cause(error)),
            other => Self::Database(cause(&sqlx::Error::Io(std::io::Error::other(other.to_string())))),
        }
    }

    /// Whose fault it is; `None` for an answer that has nothing to do with trouble of the database.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.of_database().map(|error| sort_error(error).0)
    }

    /// For a statement that commits by itself: where its connection was lost, it may have.
    pub fn of_write(self) -> Self {
        match self {
            Self::Unavailable(error) if is_lost(&error) => Self::OutcomeUnknown(error),
            other => other,
        }
    }
}

impl Error {
    /// For a look at what a write before it has made: that has happened, whatever becomes of the look.
    pub fn after_write(self) -> Self {
        match self {
            Self::Unavailable(error) => Self::OutcomeUnknown(error),
            other => other,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if sort_error(&error).1 { Self::Unavailable(error) } else { Self::Database(error) }
    }
}

/// Whether a statement's answer was lost, and not its connection refused or in another state.
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            code.starts_with("08") || matches!(&*code, "40003" | "57P01" | "57P02" | "57P04" | "57P05")
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

impl From<UnknownWord> for Error {
    fn from(error: UnknownWord) -> Self {
        Self::InvalidRequest(error.to_string())
    }
}

impl From<IllegalChange> for Error {
    fn from(error: IllegalChange) -> Self {
        Self::WrongState(error.to_string())
    }
}

/// Whether it waited for somebody else's lock for too long.
pub(crate) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"))
}

/// Whether a step that was to be new is on record already: its writer decides from a record that is out of date.
pub(crate) fn is_step_on_record(error: &sqlx::Error) -> bool {
    // Each partition's key has a name of its own: step_2026_11_16_pkey.
    let is_steps = |name: &str| name.starts_with("step_") && name.ends_with("_pkey");
    let database = error.as_database_error();
    database.is_some_and(|error| error.is_unique_violation() && error.constraint().is_some_and(is_steps))
}
