//! Finding runs, and what there is to know about them: the part of [`Engine`] behind lists, attention, `why`, the audit
//! and the fleet. Everything here only reads.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::engine::{
    api::engine::Engine,
    api::why::why,
    check::{check_text, check_time},
    core::{
        holds::HoldKind,
        model::{RunId, WaitKind},
        schema::Schema,
    },
    error::Error,
    names::DEFAULT_QUEUE,
    read_models::{
        ActivityInfo, AttentionFilter, AttentionGroup, AuditEntry, AuditFilter, QueueInfo, Run, RunFilter, Slice,
        StatusCount, Why, WorkerInfo, WorkflowInfo, Workflows, check_limit,
    },
    store::{
        self, activities, reads,
        search::{self, fleet::Recorded},
        signals,
    },
};

/// The most workers that are shown.
const MOST_WORKERS: i64 = 200;

impl Engine {
    /// A slice of the runs, newest first.
    ///
    /// # Errors
    /// `bad_cursor`; `invalid_request` for a limit outside of 1 to 200, a fingerprint that is none, a
    /// `since` that is not before `until`.
    pub async fn list(&self, filter: &RunFilter) -> Result<Slice<Run>, Error> {
        let limit = check_limit(filter.limit)?;
        let before = filter.cursor.as_deref().map(|text| Uuid::try_parse(text).map_err(|_| Error::BadCursor));
        let mut tx = self.begin().await?;
        let items = reads::load_page(self.schema(), &mut tx, filter, before.transpose()?, limit as i64 + 1).await?;
        Ok(Slice::cut(items, limit, |run| run.id.simple().to_string()))
    }

    /// What needs attention, grouped by error; most runs first.
    ///
    /// # Errors
    /// `bad_cursor`; `invalid_request` for a limit outside of 1 to 200.
    pub async fn attention(&self, filter: &AttentionFilter) -> Result<Slice<AttentionGroup>, Error> {
        let limit = check_limit(filter.limit)?;
        check_condition("workflow", filter.workflow.as_deref())?;
        let after = filter.cursor.as_deref().map(place).transpose()?;
        let mut conn = self.acquire().await?;
        let groups = search::attention::load_groups(self.schema(), &mut conn, filter, after, limit as i64 + 1).await?;
        let slice = Slice::cut(groups, limit, |(_, (count, key))| hex::encode(format!("{count} {key}")));
        let items = slice.items.into_iter().map(|(group, _)| group).collect();
        Ok(Slice { items, next_cursor: slice.next_cursor })
    }

    /// Why a run is where it is, from its record.
    ///
    /// # Errors
    /// `unknown_run`.
    pub async fn why(&self, run: RunId) -> Result<Why, Error> {
        let run = self.run(run).await?;
        let mut conn = self.acquire().await?;
        let now = store::now(self.schema(), &mut conn).await?;
        let signal = run.waiting_on.as_ref().filter(|waiting| waiting.kind == WaitKind::Signal);
        let closed = match signal.and_then(|waiting| waiting.name.as_deref()) {
            Some(name) => signals::closed_workflow(self.schema(), &mut conn, run.id, name).await?.is_some(),
            None => false,
        };
        Ok(why(&run, now, closed))
    }

    /// What operators did and were refused, newest first.
    ///
    /// # Errors
    /// `bad_cursor`; `invalid_request` for a limit outside of 1 to 200.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<Slice<AuditEntry>, Error> {
        let limit = check_limit(filter.limit)?;
        check_condition("actor", filter.actor.as_deref())?;
        check_condition("action", filter.action.as_deref())?;
        filter.since.map_or(Ok(()), |since| check_time("since", since))?;
        let before = filter.cursor.as_deref().map(|text| text.parse::<i64>().map_err(|_| Error::BadCursor));
        let mut conn = self.acquire().await?;
        let items =
            search::audit::load_page(self.schema(), &mut conn, filter, before.transpose()?, limit as i64 + 1).await?;
        Ok(Slice::cut(items, limit, |entry| entry.id.to_string()))
    }

    /// The workflows and activities that were ever registered with a worker, and the activities that this process knows.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn workflows(&self) -> Result<Workflows, Error> {
        let mut conn = self.acquire().await?;
        let mut holds = search::fleet::load_holds(self.schema(), &mut conn).await?;
        let mut items: Vec<WorkflowInfo> = Vec::new();
        for Recorded { name, version, visibility, input, output } in
            search::fleet::load_versions(self.schema(), &mut conn).await?
        {
            match items.last_mut().filter(|last| last.name == name) {
                Some(last) => last.versions.push(version),
                None => {
                    let own = self.registry().newest(&name).map(|code| code.schema());
                    let Schema { input, output } = own.unwrap_or(Schema { input, output });
                    let hold = holds.remove(&(HoldKind::Workflow, name.clone()));
                    items.push(WorkflowInfo { name, versions: vec![version], visibility, input, output, hold });
                }
            }
        }
        let recorded = activities::load(self.schema(), &mut conn).await?.into_iter();
        let own = self.registry().activities().into_iter().map(ActivityInfo::of);
        // What this process knows takes the place of what is on record.
        let known: BTreeMap<_, _> = recorded.chain(own).map(|activity| (activity.name.clone(), activity)).collect();
        let activities = known.into_values().map(|activity| {
            let hold = holds.remove(&(HoldKind::Activity, activity.name.clone()));
            ActivityInfo { hold, ..activity }
        });
        Ok(Workflows { activities: activities.collect(), items, next_cursor: None })
    }

    /// The queues: what is due and held in each, and who serves it.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn queues(&self) -> Result<Slice<QueueInfo>, Error> {
        let mut conn = self.acquire().await?;
        let own = self.registry().activities().into_iter().filter_map(|meta| meta.queue.map(str::to_owned));
        let mut known = activities::queues(self.schema(), &mut conn).await?;
        known.extend(own.chain([DEFAULT_QUEUE.to_owned()]));
        Ok(Slice { items: search::fleet::load_queues(self.schema(), &mut conn, &known).await?, next_cursor: None })
    }

    /// The workers with a heartbeat in the last day, live ones first; at most 200.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn workers(&self) -> Result<Slice<WorkerInfo>, Error> {
        let mut conn = self.acquire().await?;
        Ok(Slice {
            items: search::fleet::load_workers(self.schema(), &mut conn, MOST_WORKERS).await?,
            next_cursor: None,
        })
    }

    /// How many runs have each status, in the order of a run's life. No status is counted beyond ten thousand, and the
    /// completed ones are estimated: `exact` says which.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn counts(&self) -> Result<Vec<StatusCount>, Error> {
        let mut conn = self.acquire().await?;
        search::fleet::count_runs(self.schema(), &mut conn).await
    }
}

/// What a list is asked for by. Nothing that is searched is longer.
fn check_condition(field: &str, text: Option<&str>) -> Result<(), Error> {
    text.map_or(Ok(()), |text| check_text(field, text, 512))
}

/// A place in the list of groups, from its cursor.
fn place(cursor: &str) -> Result<(i64, String), Error> {
    let text = hex::decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(Error::BadCursor)?;
    let (count, key) = text.split_once(' ').ok_or(Error::BadCursor)?;
    if key.contains('\0') {
        return Err(Error::BadCursor);
    }
    Ok((count.parse().map_err(|_| Error::BadCursor)?, key.to_owned()))
}
