//! What operators do to runs: the part of [`Engine`] behind every verb, wherever it is given.
//!
//! What is done is audited in the commit that does it; what is refused is audited too, after the rollback. Neither is a dry run.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    client::Engine,
    core::{
        model::{Json, RunId, Step},
        plan::Undo,
        redact::redact,
        ruling::Ruling,
        verb::Verb,
    },
    error::Error,
    store::{audit, operate, reads},
    view::{ActionPlan, PlannedUndo},
};

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

/// What a refused action was about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A run, whether there is one with this id or not.
    Run(RunId),
    /// Anything else, by what it was called.
    Named(&'a str),
}

impl Operator {
    pub(super) fn by(&self) -> audit::By<'_> {
        audit::By { actor: &self.actor, reason: self.reason.as_deref(), operation: self.operation_id }
    }

    /// Whether there is a reason, where one is demanded.
    pub(super) fn check_reason(&self, needed: bool, action: &'static str) -> Result<(), Error> {
        let none = self.reason.as_deref().is_none_or(|reason| reason.trim().is_empty());
        if needed && none { Err(Error::ReasonRequired(action)) } else { Ok(()) }
    }
}

impl Engine {
    /// Carries out an operator's action, or says what it would do. A refusal is audited.
    ///
    /// # Errors
    /// `reason_required`, `unknown_run`, `unknown_step`, `wrong_state`, `past_pivot`, `held_by_worker`, `invalid_request`.
    pub async fn apply_verb(&self, run: RunId, action: &Verb, by: &Operator) -> Result<ActionPlan, Error> {
        let acted = async { self.apply_verb_in(&mut *self.pool().acquire().await?, run, action, by).await };
        let acted = self.audited(action.word(), Subject::Run(run), by, acted.await).await?;
        self.wake_waiters(run);
        self.hint();
        Ok(acted)
    }

    /// The same inside the caller's transaction, or on a connection of theirs. A refusal leaves that transaction as it was, and is
    /// the caller's to record. Call [`Engine::hint`] after the commit.
    ///
    /// # Errors
    /// As [`Engine::apply_verb`].
    pub async fn apply_verb_in(
        &self,
        conn: &mut PgConnection,
        run: RunId,
        action: &Verb,
        by: &Operator,
    ) -> Result<ActionPlan, Error> {
        by.check_reason(action.needs_reason(), action.word())?;
        let (before, ruling) = operate::act(conn, run, action, by.by(), by.dry_run).await?;
        if ruling.changes && !by.dry_run && ruling.status != before {
            self.meters().ended(ruling.status);
        }
        let secret = reads::secret_fields(conn, run).await?;
        Ok(self.plan_of(run, action.word(), by, before.word(), ruling, &secret))
    }

    /// Sends a signal on an operator's behalf: as [`Engine::signal`], with an audit record in the same commit.
    ///
    /// # Errors
    /// As [`Engine::signal`].
    pub async fn operator_signal(
        &self,
        run: RunId,
        name: &str,
        payload: Option<Json>,
        key: Option<&str>,
        by: &Operator,
    ) -> Result<(), Error> {
        let sent = async {
            let mut tx = self.pool().begin().await?;
            self.signal_in(&mut tx, run, name, payload, key).await?;
            let after = serde_json::json!({"signal": name, "key": key});
            let entry =
                audit::Entry { action: "signal", run: Some(run), subject: None, before: None, after: Some(after) };
            audit::done(&mut tx, &entry, by.by()).await?;
            let ended = if by.dry_run { tx.rollback().await } else { tx.commit().await };
            ended.map_err(Error::from)
        };
        self.audited("signal", Subject::Run(run), by, sent.await).await?;
        self.hint();
        Ok(())
    }

    /// Puts a refusal on record, wherever it was made: a malformed id, a role that is not enough. What can't be recorded is logged.
    pub async fn audit_refusal(&self, action: &str, about: Subject<'_>, by: &Operator, code: &str, message: &str) {
        let (run, subject) = match about {
            Subject::Run(run) => (Some(run), None),
            Subject::Named(name) => (None, Some(name)),
        };
        let refused = audit::Refused { action, run, subject, code, message };
        let written = async { audit::refused(&mut *self.pool().acquire().await?, &refused, by.by()).await };
        if let Err(error) = written.await {
            tracing::warn!(%error, action, code, actor = by.actor, "a refusal could not be put on record");
        }
    }

    /// Hands a result on; a refusal is put on record first, unless it was only a question.
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

    /// [`Verb::Cancel`], for short.
    ///
    /// # Errors
    /// As [`Engine::apply_verb`].
    pub async fn cancel(&self, run: RunId, by: &Operator) -> Result<ActionPlan, Error> {
        self.apply_verb(run, &Verb::Cancel, by).await
    }

    /// [`Verb::Compensate`], for short.
    ///
    /// # Errors
    /// As [`Engine::apply_verb`].
    pub async fn compensate(&self, run: RunId, by: &Operator) -> Result<ActionPlan, Error> {
        self.apply_verb(run, &Verb::Compensate, by).await
    }

    /// [`Verb::Retry`] with the activities' own policies, for short.
    ///
    /// # Errors
    /// As [`Engine::apply_verb`].
    pub async fn retry(&self, run: RunId, by: &Operator) -> Result<ActionPlan, Error> {
        self.apply_verb(run, &Verb::Retry { policy: None }, by).await
    }

    fn plan_of(
        &self,
        run: RunId,
        action: &'static str,
        by: &Operator,
        status: &str,
        ruling: Ruling,
        secret: &[String],
    ) -> ActionPlan {
        let alone = |step: Step| (Undo { seq: step.seq, after: Vec::new() }, step);
        ActionPlan {
            run,
            action,
            dry_run: by.dry_run,
            status: status.to_owned(),
            undo: ruling.undo.into_iter().map(|planned| self.planned_undo(planned, secret)).collect(),
            retry: ruling.retry,
            stays: ruling.stays.into_iter().map(|step| self.planned_undo(alone(step), secret)).collect(),
            says: ruling.says,
        }
    }

    fn planned_undo(&self, (undo, step): (Undo, Step), secret: &[String]) -> PlannedUndo {
        let code = self.registry().code(&step.name);
        PlannedUndo {
            seq: undo.seq,
            activity: step.name.to_string(),
            outcome: step.outcome.map_or("open", |outcome| outcome.word()).to_owned(),
            summary: code.and_then(|code| code.undo_summary(step.input.as_ref()?.get())),
            input: step.input.map(|input| redact(&input, secret)),
            after: undo.after,
        }
    }

    /// Those who wait for the run's end in this process look again.
    fn wake_waiters(&self, run: RunId) {
        self.hints().wake_waiters([run]);
    }
}
