//! Who acts, and what the audit keeps of it. Everything that operators do goes through here.
//!
//! What is done is audited in the commit that does it; a refusal is audited after the rollback. A dry run is not audited.

use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::engine::{api::engine::Engine, core::model::RunId, error::Error, store::audit};

/// Who acts on a run, and why: what the audit keeps.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// Only say what would happen.
    pub dry_run: bool,
    /// The bulk operation that it is part of.
    pub operation_id: Option<Uuid>,
}

/// What a refused request was about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A run, whether it exists or not.
    Run(RunId),
    /// Anything else, by its name.
    Named(&'a str),
}

impl Operator {
    /// The longest reason, in characters.
    pub const LONGEST_REASON: usize = 2000;

    /// Somebody who acts, with a reason as it was typed: blanks around it go, an empty one is none. The one rule for the
    /// API, the dashboard and the command line.
    ///
    /// # Errors
    /// `invalid_request` for a reason that is too long or has a NUL character.
    pub fn new(actor: impl Into<String>, reason: Option<&str>, dry_run: bool) -> Result<Self, Error> {
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        if reason.is_some_and(|reason| reason.contains('\0')) {
            return Err(Error::InvalidRequest("reason has a NUL character".to_owned()));
        }
        if reason.is_some_and(|reason| reason.chars().count() > Self::LONGEST_REASON) {
            let most = Self::LONGEST_REASON;
            return Err(Error::InvalidRequest(format!("a reason has at most {most} characters")));
        }
        Ok(Self { actor: actor.into(), reason: reason.map(str::to_owned), dry_run, operation_id: None })
    }

    pub(super) fn by(&self) -> audit::By<'_> {
        audit::By { actor: &self.actor, reason: self.reason.as_deref(), operation: self.operation_id }
    }

    /// Ends the transaction of what this operator does: commits it, or rolls it back in a dry run.
    pub(super) async fn finish(&self, tx: Transaction<'_, Postgres>) -> Result<(), Error> {
        let ended = if self.dry_run { tx.rollback().await } else { tx.commit().await };
        ended.map_err(Error::from)
    }

    /// Whether there is a reason, where one is demanded.
    pub(super) fn check_reason(&self, needed: bool, action: &'static str) -> Result<(), Error> {
        let none = self.reason.as_deref().is_none_or(|reason| reason.trim().is_empty());
        if needed && none { Err(Error::ReasonRequired(action)) } else { Ok(()) }
    }
}

impl Engine {
    /// Audits a refusal, wherever it was made: a malformed id, a role that is not enough. What can't be recorded is logged.
    pub async fn audit_refusal(&self, action: &str, about: Subject<'_>, by: &Operator, code: &str, message: &str) {
        let (run, subject) = match about {
            Subject::Run(run) => (Some(run), None),
            Subject::Named(name) => (None, Some(name)),
        };
        let refused = audit::Refused { action, run, subject, code, message };
        let written =
            async { audit::refused(self.schema(), &mut *self.pool().acquire().await?, &refused, by.by()).await };
        if let Err(error) = written.await {
            tracing::warn!(%error, action, code, actor = by.actor, "a refusal could not be put on record");
        }
    }

    /// Hands a result on; a refusal is audited first, unless it was a dry run.
    pub(super) async fn audited<T>(
        &self,
        action: &str,
        about: Subject<'_>,
        by: &Operator,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        if let Err(error) = &result
            && !by.dry_run
            && !matches!(error, Error::Unavailable(_) | Error::Database(_) | Error::Migrate(_) | Error::LeaseLost)
        {
            self.audit_refusal(action, about, by, error.code(), &error.to_string()).await;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_trimmed_and_limited() {
        let reason = |text: &str| Operator::new("ann", Some(text), false).map(|by| by.reason);
        assert_eq!(reason(" why ").ok().flatten().as_deref(), Some("why"));
        assert_eq!(reason("  ").ok(), Some(None));
        assert!(reason(&"ä".repeat(Operator::LONGEST_REASON)).is_ok());
        for bad in ["x".repeat(Operator::LONGEST_REASON + 1), "a\0b".to_owned()] {
            assert_eq!(reason(&bad).map_err(|error| error.code()), Err("invalid_request"));
        }
    }
}
