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
