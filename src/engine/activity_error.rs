//! An attempt that did not end well.

use super::{
    core::model::StepError,
    error::Error,
    trouble::{Trouble, sort_error},
};

/// An attempt that did not end well: a stable code, a sentence, and whether it may have had an effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ActivityError {
    /// A stable code, `snake_case`.
    pub code: String,
    /// A sentence for people; never secrets.
    pub message: String,
    /// It may have had an effect.
    pub unknown: bool,
    /// Worth trying again.
    pub retryable: bool,
}

impl ActivityError {
    /// It certainly had no effect; it is retried unless [`ActivityError::fatal`].
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), unknown: false, retryable: true }
    }

    /// It may have had an effect.
    pub fn unknown(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), unknown: true, retryable: true }
    }

    /// The same, not to be retried: a business outcome, or an error that stays.
    pub fn fatal(mut self) -> Self {
        self.retryable = false;
        self
    }

    pub(crate) fn record(&self) -> StepError {
        StepError { code: self.code.clone(), message: self.message.clone(), unknown: self.unknown }
    }
}

impl From<sqlx::Error> for ActivityError {
    /// Worth another try. Failed where the server refused a statement or found no row; otherwise unknown: the connection broke,
    /// or there was none, after the step may have had an effect elsewhere. A transactional step is rolled back, and so is
    /// certain whatever this says; where it is the server or the connection that is in trouble, it is begun again without
    /// counting this attempt.
    fn from(error: sqlx::Error) -> Self {
        let (trouble, passes) = sort_error(&error);
        let in_trouble = matches!(trouble, Trouble::Server | Trouble::Connection);
        let refused = matches!(error, sqlx::Error::Database(_) | sqlx::Error::RowNotFound) && !in_trouble;
        let code = if in_trouble && passes { DATABASE_IN_TROUBLE } else { "database" };
        if refused { Self::failed(code, error.to_string()) } else { Self::unknown(code, error.to_string()) }
    }
}

impl From<Error> for ActivityError {
    /// Trouble of the database as above; what the engine refuses is final.
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(error) | Error::Database(error) => error.into(),
            Error::OutcomeUnknown(error) => Self::unknown("database", error.to_string()),
            refused => Self::failed(refused.code(), refused.to_string()).fatal(),
        }
    }
}

/// The code of an attempt that met trouble of the database.
pub(crate) const DATABASE_IN_TROUBLE: &str = "database_unavailable";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_connection_leaves_a_step_unknown() {
        let broken = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        for error in [sqlx::Error::Io(broken()), sqlx::Error::PoolTimedOut, sqlx::Error::Protocol("cut".into())] {
            assert!(ActivityError::from(error).unknown);
        }
        let certain = ActivityError::from(sqlx::Error::RowNotFound);
        assert!(!certain.unknown && certain.retryable);
    }
}
