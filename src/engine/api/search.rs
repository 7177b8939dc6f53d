//! Finding runs, and what there is to know about them: the part of [`Engine`] behind lists, attention, `why`, the audit
//! and the fleet. Everything here only reads.

use uuid::Uuid;

use crate::engine::{
    api::engine::Engine,
    api::why::why,
    core::{model::RunId, schema::Schema},
    error::Error,
    names::DEFAULT_QUEUE,
    store::{self, finding, reads},
    view::{
        ATTENTION_KINDS, ActivityView, AttentionFilter, AttentionGroup, AuditEntry, AuditFilter, Page, PolicyView,
        QueueView, Run, RunFilter, StatusCount, Why, WorkerView, WorkflowView, Workflows,
    },
};

/// The most workers that are shown.
const MOST_WORKERS: i64 = 200;

impl Engine {
    /// A page of runs, newest first.
    ///
    /// # Errors
    /// `bad_cursor`; `invalid_request` for a limit outside of 1 to 200, an unknown status, a fingerprint that is none, a
    /// `since` that is not before `until`.
    pub async fn list(&self, filter: &RunFilter) -> Result<Page<Run>, Error> {
        let limit = limit(filter.limit)?;
        let before = filter.cursor.as_deref().map(|text| Uuid::try_parse(text).map_err(|_| Error::BadCursor));
        let mut conn = self.pool().acquire().await?;
        let items = reads::page(&mut conn, filter, before.transpose()?, limit as i64 + 1).await?;
        Ok(paged(items, limit, |run| run.id.simple().to_string()))
    }

    /// What needs attention, grouped by error; most runs first.
    ///
    /// # Errors
    /// `bad_cursor`; `invalid_request` for a limit outside of 1 to 200 or an unknown kind.
    pub async fn attention(&self, filter: &AttentionFilter) -> Result<Page<AttentionGroup>, Error> {
        let limit = limit(filter.limit)?;
        if let Some(kind) = filter.kind.as_deref().filter(|kind| !ATTENTION_KINDS.contains(kind)) {
            let sentence = format!("there is no kind of attention {kind}; there are {}", ATTENTION_KINDS.join(", "));
            return Err(Error::InvalidRequest(sentence));
        }
        no_nul("workflow", filter.workflow.as_deref())?;
        let after = filter.cursor.as_deref().map(place).transpose()?;
        let mut conn = self.pool().acquire().await?;
        let groups = finding::attention::groups(&mut conn, filter, after, limit as i64 + 1).await?;
        let page = paged(groups, limit, |(_, (count, key))| hex::encode(format!("{count} {key}")));
        let items = page.items.into_iter().map(|(group, _)| group).collect();
        Ok(Page { items, next_cursor: page.next_cursor })
    }

    /// Why a run is where it is, from its record.
    ///
    /// # Errors
    /// `unknown_run`.
    pub async fn why(&self, run: RunId) -> Result<Why, Error> {
        let run = self.run(run).await?;
        let mut conn = self.pool().acquire().await?;
        let now = store::now(&mut conn).await?;
        Ok(why(&run, now))
    }

    /// What operators did and were refused, newest first.
    ///
    /// # Errors
    /// `bad_cursor`; `invalid_request` for a limit outside of 1 to 200 or an unknown outcome.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<Page<AuditEntry>, Error> {
        let limit = limit(filter.limit)?;
        if let Some(outcome) = filter.outcome.as_deref().filter(|outcome| !["done", "refused"].contains(outcome)) {
            return Err(Error::InvalidRequest(format!("there is no outcome {outcome}; there are done and refused")));
        }
        no_nul("actor", filter.actor.as_deref())?;
        no_nul("action", filter.action.as_deref())?;
        let before = filter.cursor.as_deref().map(|text| text.parse::<i64>().map_err(|_| Error::BadCursor));
        let mut conn = self.pool().acquire().await?;
        let items = finding::audit::page(&mut conn, filter, before.transpose()?, limit as i64 + 1).await?;
        Ok(paged(items, limit, |entry| entry.id.to_string()))
    }

    /// The workflows that were ever registered with a worker, and the activities that this process knows.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn workflows(&self) -> Result<Workflows, Error> {
        let mut conn = self.pool().acquire().await?;
        let mut holds = finding::fleet::holds(&mut conn).await?;
        let mut items: Vec<WorkflowView> = Vec::new();
        for (name, version) in finding::fleet::versions(&mut conn).await? {
            match items.last_mut().filter(|last| last.name == name) {
                Some(last) => last.versions.push(version),
                None => {
                    let schema = self.registry().newest(&name).map(|code| code.schema()).unwrap_or_default();
                    let hold = holds.remove(&("workflow".to_owned(), name.clone()));
                    let (input, output) = (schema.input, schema.output);
                    items.push(WorkflowView { name, versions: vec![version], input, output, hold });
                }
            }
        }
        let activities = self.registry().activities().into_iter().map(|meta| {
            let Schema { input, output } = (meta.schema)();
            ActivityView {
                name: meta.name.to_owned(),
                input,
                output,
                undoable: meta.undoable,
                verifiable: meta.verifiable,
                transactional: meta.transactional,
                queue: meta.queue.map(str::to_owned),
                policy: PolicyView::of(&meta.policy),
                hold: holds.remove(&("activity".to_owned(), meta.name.to_owned())),
            }
        });
        Ok(Workflows { activities: activities.collect(), items, next_cursor: None })
    }

    /// The queues: what is due and held in each, and who serves it.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn queues(&self) -> Result<Page<QueueView>, Error> {
        let activities = self.registry().activities().into_iter().filter_map(|meta| meta.queue.map(str::to_owned));
        let known: Vec<String> = activities.chain([DEFAULT_QUEUE.to_owned()]).collect();
        let mut conn = self.pool().acquire().await?;
        Ok(Page { items: finding::fleet::queues(&mut conn, &known).await?, next_cursor: None })
    }

    /// The workers with a heartbeat in the last day, live ones first; at most 200.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn workers(&self) -> Result<Page<WorkerView>, Error> {
        let mut conn = self.pool().acquire().await?;
        Ok(Page { items: finding::fleet::workers(&mut conn, MOST_WORKERS).await?, next_cursor: None })
    }

    /// How many runs have each status, in the order of a run's life. No status is counted beyond ten thousand, and the
    /// completed ones are estimated: `exact` says which.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn counts(&self) -> Result<Vec<StatusCount>, Error> {
        let mut conn = self.pool().acquire().await?;
        finding::fleet::counts(&mut conn).await
    }
}

fn limit(asked: Option<u32>) -> Result<usize, Error> {
    match asked.unwrap_or(50) {
        limit @ 1..=200 => Ok(limit as usize),
        limit => Err(Error::InvalidRequest(format!("limit is {limit}; it goes from 1 to 200"))),
    }
}

/// Postgres has no text with a NUL in it.
fn no_nul(what: &str, text: Option<&str>) -> Result<(), Error> {
    match text {
        Some(text) if text.contains('\0') => Err(Error::InvalidRequest(format!("{what} has a NUL character"))),
        _ => Ok(()),
    }
}

/// A page of one more item than is shown: that one says whether there is another page.
fn paged<T>(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(cursor);
    Page { items, next_cursor }
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
