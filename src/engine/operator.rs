//! What operators do to runs: the part of [`Engine`] behind every verb, wherever it is given.

use super::{
    client::Engine,
    core::{
        action::Action,
        model::{Request, RunId},
        redact::redact,
    },
    error::Error,
    store::{operate, reads},
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
}

impl Engine {
    /// Carries out an operator's action, or says what it would do.
    ///
    /// # Errors
    /// `reason_required`, `unknown_run`, `wrong_state`, `past_pivot`.
    pub async fn act(&self, run: RunId, action: &Action, by: &Operator) -> Result<ActionPlan, Error> {
        if action.needs_reason() && by.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
            return Err(Error::ReasonRequired(action.word()));
        }
        let mut conn = self.pool().acquire().await?;
        let effect = match action {
            Action::Retry { .. } => operate::retry(&mut conn, run, borrowed(by)).await?,
            Action::Cancel => operate::request(&mut conn, run, Request::Cancel, borrowed(by)).await?,
            Action::Compensate => operate::request(&mut conn, run, Request::Compensate, borrowed(by)).await?,
            other => return Err(Error::WrongState(format!("{} is not known here yet", other.word()))),
        };
        self.hint();
        let secret = reads::secret_fields(&mut conn, run).await?;
        Ok(plan_of(run, action.word(), by, effect, &secret))
    }

    /// [`Action::Cancel`], for short.
    ///
    /// # Errors
    /// As [`Engine::act`].
    pub async fn cancel(&self, run: RunId, by: &Operator) -> Result<ActionPlan, Error> {
        self.act(run, &Action::Cancel, by).await
    }

    /// [`Action::Compensate`], for short.
    ///
    /// # Errors
    /// As [`Engine::act`].
    pub async fn compensate(&self, run: RunId, by: &Operator) -> Result<ActionPlan, Error> {
        self.act(run, &Action::Compensate, by).await
    }

    /// [`Action::Retry`] with the activities' own policies, for short.
    ///
    /// # Errors
    /// As [`Engine::act`].
    pub async fn retry(&self, run: RunId, by: &Operator) -> Result<ActionPlan, Error> {
        self.act(run, &Action::Retry { policy: None }, by).await
    }
}

fn borrowed(by: &Operator) -> operate::By<'_> {
    operate::By { actor: &by.actor, reason: by.reason.as_deref(), dry_run: by.dry_run }
}

fn plan_of(run: RunId, action: &'static str, by: &Operator, effect: operate::Effect, secret: &[String]) -> ActionPlan {
    let undo = effect.undo.into_iter().map(|(undo, step)| PlannedUndo {
        seq: undo.seq,
        activity: step.name.to_string(),
        outcome: step.outcome.map_or("open", |outcome| outcome.word()).to_owned(),
        input: step.input.map(|input| redact(&input, secret)),
        after: undo.after,
        summary: None,
    });
    ActionPlan {
        run,
        action,
        dry_run: by.dry_run,
        status: effect.status.word().to_owned(),
        undo: undo.collect(),
        retry: effect.retry,
        stays: Vec::new(),
        says: Vec::new(),
    }
}
