//! Bulk operations: one action over all runs that a filter matches, as data.
//!
//! Which runs is settled when the operation is created. What is done, by whom, why and how fast stands in its row; what
//! became of each run in rows of their own. [`Engine::maintenance`] carries it out, in whichever process comes to it first.

use uuid::Uuid;

use crate::engine::{
    api::audit::{Operator, Subject},
    api::engine::Engine,
    api::verbs::check_verb,
    core::{
        operation::{DEFAULT_RATE, HIGHEST_RATE, OperationChange},
        verb::Verb,
    },
    error::Error,
    read_models::{
        Operation, OperationPreview, OperationRun, OperationRunState, PreviewedRun, RunFilter, Slice, check_limit,
    },
    store::{audit, operations, search},
};

/// The runs whose plans a preview shows.
const SAMPLE: i64 = 10;

impl Engine {
    /// Creates an operation over the runs that the filter matches now. It is durable when this returns, and goes on by
    /// itself. `rate`: runs a second, 50 unless said.
    ///
    /// # Errors
    /// `empty_filter`, `reason_required`, `invalid_request`.
    pub async fn operate_on(
        &self,
        action: &Verb,
        filter: &RunFilter,
        by: &Operator,
        rate: Option<u32>,
    ) -> Result<Operation, Error> {
        let created = self.create_operation(action, filter, by, rate).await;
        self.audited(action.word(), Subject::Named("operation"), by, created).await
    }

    async fn create_operation(
        &self,
        action: &Verb,
        filter: &RunFilter,
        by: &Operator,
        rate: Option<u32>,
    ) -> Result<Operation, Error> {
        let filter = checked(filter)?;
        check_verb(action)?;
        let reason = by.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
        let reason = reason.ok_or(Error::ReasonRequired("a bulk operation"))?;
        let rate = rate.unwrap_or(DEFAULT_RATE);
        if !(1..=HIGHEST_RATE).contains(&rate) {
            return Err(Error::InvalidRequest(format!(
                "rate is {rate}; it goes from 1 to {HIGHEST_RATE} runs a second"
            )));
        }
        let mut tx = self.begin().await?;
        let matching = search::find_matching(self.schema(), &mut tx, &filter).await?;
        let id = Uuid::now_v7();
        let new = operations::NewOperation { id, action, filter: &filter, actor: &by.actor, reason, rate };
        operations::create(self.schema(), &mut tx, &new, &matching).await?;
        let created = operations::get(self.schema(), &mut tx, id).await?;
        // As it may be shown: the runs may be of any workflow, and so the secrets in what a step is said to have given.
        let mut action = created.arguments.clone();
        action.insert("action".to_owned(), created.action.clone().into());
        let after = serde_json::json!({
            "action": action, "filter": filter, "rate": rate, "total": created.total, "status": created.status,
        });
        self.audit_operation(&mut tx, "operate", id, by, None, after).await?;
        by.finish(tx).await?;
        Ok(created)
    }

    /// What [`Engine::operate_on`] would do: how many runs, how they stand, and the plans of the first. Changes nothing.
    ///
    /// # Errors
    /// As [`Engine::operate_on`].
    pub async fn preview_operation(
        &self,
        action: &Verb,
        filter: &RunFilter,
        by: &Operator,
    ) -> Result<OperationPreview, Error> {
        let filter = checked(filter)?;
        by.check_reason(true, "a bulk operation")?;
        check_verb(action)?;
        let mut conn = self.begin().await?;
        let matching = search::find_matching(self.schema(), &mut conn, &filter).await?;
        let statuses = operations::count_statuses(self.schema(), &mut conn, &matching).await?;
        let mut sample = Vec::new();
        let by = Operator { dry_run: true, ..by.clone() };
        for run_id in operations::load_first(self.schema(), &mut conn, &matching, SAMPLE).await? {
            sample.push(match self.apply_verb_in(&mut conn, run_id, action, &by).await {
                Ok(plan) => PreviewedRun { run_id, plan: Some(plan), code: None, message: None },
                Err(error) if error.of_database().is_some() => return Err(error),
                Err(refused) => PreviewedRun {
                    run_id,
                    plan: None,
                    code: Some(refused.code().to_owned()),
                    message: Some(refused.to_string()),
                },
            });
        }
        let total = statuses.iter().map(|status| status.count).sum();
        Ok(OperationPreview { dry_run: true, action: action.word().to_owned(), total, statuses, sample })
    }

    /// One bulk operation.
    ///
    /// # Errors
    /// `unknown_operation`.
    pub async fn operation(&self, id: Uuid) -> Result<Operation, Error> {
        operations::get(self.schema(), &mut *self.acquire().await?, id).await
    }

    /// A slice of bulk operations, newest first.
    ///
    /// # Errors
    /// `bad_cursor`, `invalid_request`.
    pub async fn operations(&self, limit: Option<u32>, cursor: Option<&str>) -> Result<Slice<Operation>, Error> {
        let (limit, before) = bounds(limit, cursor)?;
        let found = operations::list(self.schema(), &mut *self.acquire().await?, before, limit as i64 + 1).await?;
        Ok(Slice::cut(found, limit, |operation| operation.id.simple().to_string()))
    }

    /// A slice of an operation's runs, in the order in which they are taken up.
    ///
    /// # Errors
    /// `unknown_operation`, `bad_cursor`, `invalid_request`.
    pub async fn operation_runs(
        &self,
        id: Uuid,
        state: Option<OperationRunState>,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Slice<OperationRun>, Error> {
        let (limit, after) = bounds(limit, cursor)?;
        let mut conn = self.acquire().await?;
        operations::get(self.schema(), &mut conn, id).await?;
        let found = operations::load_runs(self.schema(), &mut conn, id, state, after, limit as i64 + 1).await?;
        Ok(Slice::cut(found, limit, |run| run.run_id.simple().to_string()))
    }

    /// Stops a bulk operation for now. When this returns, none of its runs is in the middle of being acted on.
    ///
    /// # Errors
    /// `unknown_operation`, `wrong_state`.
    pub async fn pause_operation(&self, id: Uuid, by: &Operator) -> Result<Operation, Error> {
        self.change_operation(id, OperationChange::Pause, by).await
    }

    /// Lets a bulk operation go on.
    ///
    /// # Errors
    /// `unknown_operation`, `wrong_state`.
    pub async fn resume_operation(&self, id: Uuid, by: &Operator) -> Result<Operation, Error> {
        self.change_operation(id, OperationChange::Resume, by).await
    }

    /// Ends a bulk operation. What was done stays done; the rest is left as it is.
    ///
    /// # Errors
    /// `unknown_operation`, `wrong_state`.
    pub async fn cancel_operation(&self, id: Uuid, by: &Operator) -> Result<Operation, Error> {
        self.change_operation(id, OperationChange::Cancel, by).await
    }

    async fn change_operation(&self, id: Uuid, change: OperationChange, by: &Operator) -> Result<Operation, Error> {
        let changed = self.try_change_operation(id, change, by).await;
        self.audited(change.word(), Subject::Named(&subject(id)), by, changed).await
    }

    async fn try_change_operation(&self, id: Uuid, change: OperationChange, by: &Operator) -> Result<Operation, Error> {
        let mut tx = self.begin().await?;
        let before = operations::lock(self.schema(), &mut tx, id).await?;
        let Some(after) = before.after(change) else {
            let (word, verb) = (before.word(), change.word());
            return Err(Error::WrongState(format!("an operation that is {word} can't be told to {verb}")));
        };
        if before != after && !by.dry_run {
            operations::set_status(self.schema(), &mut tx, id, after).await?;
            let status = |status| serde_json::json!({"status": status});
            self.audit_operation(&mut tx, change.word(), id, by, Some(status(before)), status(after)).await?;
        }
        let changed = operations::get(self.schema(), &mut tx, id).await?;
        tx.commit().await?;
        Ok(changed)
    }

    async fn audit_operation(
        &self,
        conn: &mut sqlx::PgConnection,
        action: &str,
        id: Uuid,
        by: &Operator,
        before: Option<serde_json::Value>,
        after: serde_json::Value,
    ) -> Result<(), Error> {
        let subject = subject(id);
        let entry = audit::Entry { action, run: None, subject: Some(&subject), before, after: Some(after) };
        let by = audit::By { actor: &by.actor, reason: by.reason.as_deref(), operation: Some(id) };
        audit::record_done(self.schema(), conn, &entry, by).await
    }
}

fn subject(id: Uuid) -> String {
    format!("operation {id}")
}

/// A filter without the page that it may have come with.
fn checked(filter: &RunFilter) -> Result<RunFilter, Error> {
    let filter = RunFilter { limit: None, cursor: None, ..filter.clone() };
    if filter == RunFilter::default() { Err(Error::EmptyFilter) } else { Ok(filter) }
}

/// How many, and after which id.
fn bounds(limit: Option<u32>, cursor: Option<&str>) -> Result<(usize, Option<Uuid>), Error> {
    let cursor = cursor.map(|text| Uuid::try_parse(text).map_err(|_| Error::BadCursor)).transpose()?;
    Ok((check_limit(limit)?, cursor))
}
