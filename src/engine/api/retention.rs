//! How long ended runs are kept: the part of [`Engine`] that operators set and maintenance carries out.

use std::time::Duration;

use serde_json::json;

use crate::engine::{
    api::audit::{Operator, Subject},
    api::engine::Engine,
    error::Error,
    names::check_name,
    read_models::{Keeping, Retention},
    store::{audit, retention, start, statistics},
};

/// The shortest and the longest that can be set.
const SHORTEST: Duration = Duration::from_hours(1);
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

impl Engine {
    /// Does one bounded piece of work: makes a partition for a coming week, or removes runs that were kept long enough. False:
    /// there was nothing to do. [`Engine::maintenance`] calls this repeatedly.
    ///
    /// # Errors
    /// When the database fails; the next call does it.
    pub async fn keep(&self) -> Result<bool, Error> {
        Ok(retention::make_partition(self.schema(), self.pool()).await?
            || retention::sweep(self.schema(), self.pool(), self.keep_s()).await?)
    }

    /// Lets the planner know of tables that are no longer empty.
    pub(crate) async fn renew_statistics(&self) -> Result<(), Error> {
        statistics::analyze_filled(self.schema(), &mut *self.acquire().await?).await
    }

    fn keep_s(&self) -> i64 {
        i64::try_from(self.default_retention().as_secs()).unwrap_or(i64::MAX)
    }

    /// The retention of all workflows that have one of their own, after the server's default.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn retention(&self) -> Result<Vec<Retention>, Error> {
        let mut all = vec![Retention { workflow: None, keep_s: self.keep_s(), updated_at: None }];
        all.extend(retention::list(self.schema(), &mut *self.acquire().await?).await?);
        Ok(all)
    }

    /// What has been kept long enough, partition by partition. It counts: slow where there is much.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn keeping(&self) -> Result<Keeping, Error> {
        let partitions = retention::count_rows(self.schema(), &mut *self.acquire().await?, self.keep_s()).await?;
        Ok(Keeping { retention: self.retention().await?, partitions })
    }

    /// Sets how long a workflow's ended runs are kept; none: as long as those of all others.
    ///
    /// # Errors
    /// `unknown_workflow`; `invalid_request` for less than an hour or more than a hundred years.
    pub async fn set_retention(
        &self,
        workflow: &str,
        keep: Option<Duration>,
        by: &Operator,
    ) -> Result<Vec<Retention>, Error> {
        let subject = format!("retention {}", workflow.chars().take(100).collect::<String>());
        let done = self.set_keep(workflow, keep, by, &subject).await;
        self.audited("set", Subject::Named(&subject), by, done).await?;
        self.retention().await.map_err(Error::after_write)
    }

    async fn set_keep(
        &self,
        workflow: &str,
        keep: Option<Duration>,
        by: &Operator,
        subject: &str,
    ) -> Result<(), Error> {
        if keep.is_some_and(|keep| !(SHORTEST..=LONGEST).contains(&keep)) {
            return Err(Error::InvalidRequest("a retention goes from 1h to 100 years; write it as 90d".to_owned()));
        }
        check_name("workflow", Some(workflow), 255)?;
        let mut tx = self.begin().await?;
        if start::newest_workflow(self.schema(), &mut tx, workflow).await?.is_none()
            && self.registry().newest(workflow).is_none()
        {
            return Err(Error::UnknownWorkflow(workflow.to_owned()));
        }
        let before = retention::list(self.schema(), &mut tx).await?;
        let before = before.iter().find(|set| set.workflow.as_deref() == Some(workflow));
        let before = before.map(|set| json!({"keep_s": set.keep_s}));
        let keep_s = keep.and_then(|keep| i64::try_from(keep.as_secs()).ok());
        retention::set(self.schema(), &mut tx, workflow, keep_s).await?;
        let after = Some(json!({"keep_s": keep_s}));
        let entry = audit::Entry { action: "set", run: None, subject: Some(subject), before, after };
        audit::record_done(self.schema(), &mut tx, &entry, by.by()).await?;
        by.finish(tx).await?;
        Ok(())
    }
}
