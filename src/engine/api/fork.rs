//! Forks: [`Engine::fork`].

use uuid::Uuid;

use crate::engine::{
    api::audit::{Operator, Subject},
    api::engine::Engine,
    check::check_json,
    core::model::RunId,
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
            let (name, version, internal) = fork::workflow_of(self.schema(), &mut tx, run).await?;
            if internal {
                return Err(Error::InternalWorkflow(name));
            }
            self.check_input(&name, version, input)?;
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

    /// Size, and whether the workflow can read it, where this process knows the workflow.
    fn check_input(&self, name: &str, version: i32, input: &str) -> Result<(), Error> {
        if input.len() > self.max_payload() {
            return Err(Error::PayloadTooLarge { size: input.len(), limit: self.max_payload() });
        }
        check_json("input", input)?;
        let known = self.registry().workflows().find(|code| code.name() == name && code.version() == version);
        let checked = known.map_or(Ok(()), |code| code.check(input));
        checked.map_err(|message| Error::InvalidInput { workflow: name.to_owned(), message })
    }
}
