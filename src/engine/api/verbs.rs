//! What operators do to runs: the part of [`Engine`] behind every verb, wherever it is given.
//!
//! What is done is audited in the commit that does it; what is refused is audited too, after the rollback. Neither is a dry run.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use futures_util::future::join_all;
use sqlx::PgConnection;

use crate::engine::{
    api::audit::{Operator, Subject},
    api::engine::Engine,
    check::{check_json, check_text},
    core::{
        model::{RunId, Step},
        plan::Undo,
        redact::redact,
        ruling::Ruling,
        verb::Verb,
    },
    error::Error,
    read_models::{ActionPlan, PlannedUndo, RunStatus},
    store::{reads, verbs},
};

/// How many undos of a plan are looked at before they are shown, and for how long.
const OUTLOOKS: usize = 50;
const OUTLOOK_WITHIN: Duration = Duration::from_secs(2);

impl Engine {
    /// Carries out an operator's action, or says what it would do. A refusal is audited.
    ///
    /// # Errors
    /// `reason_required`, `unknown_run`, `unknown_step`, `wrong_state`, `past_pivot`, `held_by_worker`, `invalid_request`,
    /// `invalid_output`.
    pub async fn apply_verb(&self, run: RunId, action: &Verb, by: &Operator) -> Result<ActionPlan, Error> {
        let acted = async {
            let mut tx = self.begin().await?;
            let plan = self.apply_verb_in(&mut tx, run, action, by).await?;
            by.finish(tx).await?;
            Ok(plan)
        };
        let acted = self.audited(action.word(), Subject::Run(run), by, acted.await).await?;
        self.wake_waiters(run);
        self.hint();
        Ok(acted)
    }

    /// The same inside the caller's transaction. A refusal leaves that transaction as it was, and is
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
        check_verb(action)?;
        let (before, ruling) =
            verbs::apply(self.schema(), conn, run, action, by.by(), (by.dry_run, self.registry())).await?;
        if ruling.changes && !by.dry_run && ruling.status != before {
            self.meters().ended(ruling.status);
        }
        let secret = reads::secret_fields(self.schema(), conn, run).await?;
        let outlook = if by.dry_run { self.outlook(&ruling).await } else { HashMap::new() };
        let mut plan = self.plan_of(run, action.word(), by, before.into(), ruling, &secret);
        for undo in &mut plan.undo {
            undo.summary = outlook.get(&undo.seq).cloned().or(undo.summary.take());
        }
        Ok(plan)
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

    /// What the first undos of a plan would mean at this moment, by their steps; where an activity does not say in time, it is
    /// what its input alone says.
    async fn outlook(&self, ruling: &Ruling) -> HashMap<u32, String> {
        let ask = async |seq, step: &Step| {
            let (code, input) = (self.registry().code(&step.name)?, step.input.as_ref()?);
            let said = tokio::time::timeout(OUTLOOK_WITHIN, code.undo_outlook(input.get())).await.ok()??;
            Some((seq, said))
        };
        let outlooks = ruling.undo.iter().take(OUTLOOKS).map(|(undo, step)| ask(undo.seq, step));
        join_all(outlooks).await.into_iter().flatten().collect()
    }

    fn plan_of(
        &self,
        run: RunId,
        action: &'static str,
        by: &Operator,
        status: RunStatus,
        ruling: Ruling,
        secret: &[String],
    ) -> ActionPlan {
        let alone = |step: Step| (Undo { seq: step.seq, after: Vec::new() }, step);
        let mut says = ruling.says;
        let strange: BTreeSet<&str> = ruling
            .undo
            .iter()
            .map(|(_, step)| &*step.name)
            .filter(|name| self.registry().code(name).is_none())
            .collect();
        if !strange.is_empty() {
            let names = strange.into_iter().collect::<Vec<_>>().join(", ");
            says.push(format!("this server does not know {names}: a server of their own service says what is undone"));
        }
        ActionPlan {
            run,
            action: action.to_owned(),
            dry_run: by.dry_run,
            status,
            undo: ruling.undo.into_iter().map(|planned| self.say_meaning(self.planned_undo(planned, secret))).collect(),
            retry: ruling.retry,
            stays: ruling.stays.into_iter().map(|step| self.planned_undo(alone(step), secret)).collect(),
            says,
        }
    }

    /// What the code of another service would say is said to be its own: an empty place would look like no meaning.
    fn say_meaning(&self, mut undo: PlannedUndo) -> PlannedUndo {
        if self.registry().code(&undo.activity).is_none() {
            undo.summary = Some("known to its own service only".to_owned());
        }
        undo
    }

    fn planned_undo(&self, (undo, step): (Undo, Step), secret: &[String]) -> PlannedUndo {
        let code = self.registry().code(&step.name);
        PlannedUndo {
            seq: undo.seq,
            activity: step.name.to_string(),
            outcome: step.outcome.into(),
            summary: code.and_then(|code| code.undo_summary(step.input.as_ref()?.get())),
            input: step.input.map(|input| redact(&input, secret)),
            after: undo.after,
        }
    }

    /// Those who wait for the run's end in this process look again.
    fn wake_waiters(&self, run: RunId) {
        self.hints().wake_waiters(run, None);
    }
}

/// What an action says has to be fit for the record.
pub(super) fn check_verb(action: &Verb) -> Result<(), Error> {
    let (seq, output, evidence) = match action {
        Verb::Skip { seq, output, .. } => (seq, output, None),
        Verb::Resolve { seq, output, evidence, .. } => (seq, output, evidence.as_deref()),
        _ => return Ok(()),
    };
    if i32::try_from(*seq).is_err() {
        return Err(Error::InvalidField { field: "seq".to_owned(), message: "no run has so many steps".to_owned() });
    }
    output.as_ref().map_or(Ok(()), |output| check_json("output", &output.to_string()))?;
    evidence.map_or(Ok(()), |evidence| check_text("evidence", evidence, Operator::LONGEST_REASON))
}
