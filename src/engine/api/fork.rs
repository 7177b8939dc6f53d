//! Forks: [`Engine::fork`].

use std::sync::Arc;

use uuid::Uuid;

use crate::engine::{
    api::audit::{Operator, Subject},
    api::engine::Engine,
    check::check_json,
    core::{execution::WorkflowCode, mismatch::check_text, model::RunId},
    error::Error,
    read_models::ForkPlan,
    store::fork,
};

impl Engine {
    /// Begins a new run at a step of a run that has ended, is stuck or paused, with the outcomes before that step; or says what
    /// that would keep. The effects of kept steps stay the first run's. A refusal is audited.
    ///
    /// # Errors
    /// `reason_required`, `unknown_run`, `unknown_step`, `wrong_state`, `invalid_request`, `invalid_input`, `payload_too_large`;
    /// `internal_workflow` with another input.
    pub async fn fork(
        &self,
        run: RunId,
        from: u32,
        input: Option<serde_json::Value>,
        by: &Operator,
    ) -> Result<ForkPlan, Error> {
        let forked = self.fork_unaudited(run, from, input, by).await;
        let plan = self.audited("fork", Subject::Run(run), by, forked).await?;
        self.hint();
        Ok(plan)
    }

    async fn fork_unaudited(
        &self,
        run: RunId,
        from: u32,
        input: Option<serde_json::Value>,
        by: &Operator,
    ) -> Result<ForkPlan, Error> {
        by.check_reason(true, "fork")?;
        let mut tx = self.begin().await?;
        let input = input.map(|input| input.to_string());
        if let Some(input) = &input {
            let workflow = fork::workflow_of(self.schema(), &mut tx, run).await?;
            if workflow.internal {
                return Err(Error::InternalWorkflow(workflow.name));
            }
            self.check_other_input(&workflow, input)?;
        }
        let new = Uuid::now_v7();
        let what = fork::Fork { run, from, input: input.as_deref(), new };
        let (status, forked) = fork::fork(self.schema(), &mut tx, &what, by.by(), by.dry_run).await?;
        by.finish(tx).await?;
        Ok(ForkPlan {
            run,
            action: "fork".to_owned(),
            dry_run: by.dry_run,
            status: status.into(),
            new_run: (!by.dry_run).then_some(new),
            from_step: from,
            kept: forked.kept,
            again: forked.again,
            says: forked.says,
        })
    }

    /// Size, and whether the workflow can read it: by its code, or by what is on record where that is elsewhere.
    fn check_other_input(&self, workflow: &fork::WorkflowOf, input: &str) -> Result<(), Error> {
        if input.len() > self.max_payload() {
            return Err(Error::PayloadTooLarge { size: input.len(), limit: self.max_payload() });
        }
        check_json("input", input)?;
        let is_it = |code: &&Arc<dyn WorkflowCode>| code.name() == workflow.name && code.version() == workflow.version;
        let checked = match (self.registry().workflows().find(is_it), &workflow.input) {
            (Some(code), _) => code.check(input),
            (None, Some(schema)) => check_text(schema, input),
            (None, None) => Ok(()),
        };
        checked.map_err(|message| Error::InvalidInput { workflow: workflow.name.clone(), message })
    }
}
