//! Who acts, and what the audit keeps of it. Everything that operators do goes through here.
//!
//! What is done is audited in the commit that does it; a refusal is audited after the rollback. A dry run is not audited.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{
    api::engine::Engine,
    check::{check_label, check_text},
    core::model::RunId,
    error::Error,
    store::{audit, transaction::Transaction},
};

/// The longest name of somebody who acts: a key's, with what its client says of itself.
const LONGEST_ACTOR: usize = 255;

/// As much as the audit keeps of what a refused request was about, and of why.
const KEPT: usize = 500;

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

/// Something that was done: what the audit keeps of it.
#[derive(Clone, Debug, Default)]
pub struct AuditRecord<'a> {
    /// What was done, as a word.
    pub action: &'a str,
    /// The run that it was done to.
    pub run: Option<RunId>,
    /// What it was done to, where that is more than a run.
    pub subject: Option<&'a str>,
    /// How that stood before.
    pub before: Option<serde_json::Value>,
    /// How it stands now.
    pub after: Option<serde_json::Value>,
}

impl Operator {
    /// The longest reason, in characters.
    pub const LONGEST_REASON: usize = 2000;

    /// Somebody who acts, with a reason as it was typed: blanks around it go, an empty one is none. The one rule for the
    /// API, the dashboard and the command line.
    ///
    /// # Errors
    /// `invalid_request` for an actor or a reason that is too long or has a NUL character.
    pub fn new(actor: impl Into<String>, reason: Option<&str>, dry_run: bool) -> Result<Self, Error> {
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        reason.map_or(Ok(()), |reason| check_text("reason", reason, Self::LONGEST_REASON))?;
        let actor = actor.into();
        check_label("actor", &actor, LONGEST_ACTOR)?;
        Ok(Self { actor, reason: reason.map(str::to_owned), dry_run, operation_id: None })
    }

    pub(super) fn by(&self) -> audit::By<'_> {
        audit::By { actor: &self.actor, reason: self.reason.as_deref(), operation: self.operation_id }
    }

    /// Ends the transaction of what this operator does: commits it, or rolls it back in a dry run.
    pub(super) async fn finish(&self, tx: Transaction) -> Result<(), Error> {
        if self.dry_run { tx.rollback().await } else { tx.commit().await }
    }

    /// Whether there is a reason, where one is demanded.
    pub(super) fn check_reason(&self, needed: bool, action: &'static str) -> Result<(), Error> {
        let none = self.reason.as_deref().is_none_or(|reason| reason.trim().is_empty());
        if needed && none { Err(Error::ReasonRequired(action)) } else { Ok(()) }
    }
}

impl Engine {
    /// Puts something that was done on record, in the transaction that does it: for services whose own actions belong in the
    /// same audit.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit_in(&self, conn: &mut PgConnection, done: &AuditRecord<'_>, by: &Operator) -> Result<(), Error> {
        let AuditRecord { action, run, subject, before, after } = done.clone();
        let subject = subject.map(kept);
        let entry = audit::Entry { action, run, subject: subject.as_deref(), before, after };
        audit::record_done(self.schema(), conn, &entry, by.by()).await
    }

    /// Audits a refusal, wherever it was made: a malformed id, a role that is not enough. What can't be recorded is logged.
    pub async fn audit_refusal(&self, action: &str, about: Subject<'_>, by: &Operator, code: &str, message: &str) {
        let (run, subject) = match about {
            Subject::Run(run) => (Some(run), None),
            Subject::Named(name) => (None, Some(name)),
        };
        let (subject, message) = (subject.map(kept), kept(message));
        let refused = audit::Refused { action, run, subject: subject.as_deref(), code, message: &message };
        let written =
            async { audit::record_refused(self.schema(), &mut *self.acquire().await?, &refused, by.by()).await };
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
            && error.of_database().is_none()
            && !matches!(error, Error::Migrate(_) | Error::LeaseLost)
        {
            self.audit_refusal(action, about, by, error.code(), &error.to_string()).await;
        }
        result
    }
}

/// What the audit keeps of a text that anybody may have sent.
fn kept(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(KEPT).collect()
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
