//! `Engine`: the front door for everybody who starts, reads or operates runs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::{
    core::model::{Json, RunId, Time, to_json},
    error::Error,
    registry::Registry,
    view::{ActionPlan, Page, Run, RunFilter, RunResult},
    workflow::Workflow,
};

/// A request to start a run.
#[derive(Clone, Debug)]
pub struct StartRun {
    /// The workflow's name.
    pub workflow: String,
    /// Its input, as JSON.
    pub input: Json,
    /// The caller's idempotency key, unique per workflow.
    pub key: Option<String>,
    /// The queue; `default` unless said.
    pub queue: Option<String>,
    /// Not before this moment.
    pub start_at: Option<Time>,
    /// The caller's labels.
    pub tags: BTreeMap<String, String>,
    /// The run that it takes on from.
    pub parent_id: Option<RunId>,
    /// The id, where the caller has chosen it: a UUIDv7.
    pub id: Option<RunId>,
}

impl StartRun {
    /// A start of a workflow by name.
    pub fn named(workflow: impl Into<String>, input: Json) -> Self {
        Self {
            workflow: workflow.into(),
            input,
            key: None,
            queue: None,
            start_at: None,
            tags: BTreeMap::new(),
            parent_id: None,
            id: None,
        }
    }

    /// A start of a workflow by type.
    ///
    /// # Errors
    /// `invalid_input` when the input has no JSON form.
    pub fn new<W: Workflow>(input: &W::Input) -> Result<Self, Error> {
        let json = to_json(input)
            .map_err(|error| Error::InvalidInput { workflow: W::NAME.to_owned(), message: error.to_string() })?;
        Ok(Self::named(W::NAME, json))
    }

    /// With a key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// A run that was started, now or by an earlier request with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Started {
    /// The run.
    pub run: RunId,
    /// False: the key was known, and this is the first request's run.
    pub created: bool,
}

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

/// The front door. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    pool: PgPool,
    registry: Arc<Registry>,
}

#[expect(unused_variables, reason = "signatures first; bodies follow")]
impl Engine {
    /// An engine over a pool. `registry` may be empty where no worker and no input check is wanted.
    pub fn new(pool: PgPool, registry: Registry) -> Self {
        Self { pool, registry: Arc::new(registry) }
    }
    /// The largest payload taken, in bytes; 1 MiB unless set.
    pub fn with_max_payload(self, bytes: usize) -> Self {
        self
    }
    /// Brings the schema up to date; safe to run twice or side by side.
    pub async fn migrate(&self) -> Result<(), Error> {
        unimplemented!()
    }
    /// The pool.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }
    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
    /// Starts a run; it is durable when this returns.
    pub async fn start(&self, request: StartRun) -> Result<Started, Error> {
        unimplemented!()
    }
    /// Starts many, in one commit; a refused one does not hold up the others.
    pub async fn start_batch(&self, requests: Vec<StartRun>) -> Result<Vec<Result<Started, Error>>, Error> {
        unimplemented!()
    }
    /// Starts a run inside the caller's transaction: it exists when that commits.
    pub async fn start_in(&self, conn: &mut PgConnection, request: StartRun) -> Result<Started, Error> {
        unimplemented!()
    }
    /// Sends a signal; it is durable when this returns. `key` deduplicates within the run.
    pub async fn signal(&self, run: RunId, name: &str, payload: Option<Json>, key: Option<&str>) -> Result<(), Error> {
        unimplemented!()
    }
    /// The same inside the caller's transaction.
    pub async fn signal_in(
        &self,
        conn: &mut PgConnection,
        run: RunId,
        name: &str,
        payload: Option<Json>,
        key: Option<&str>,
    ) -> Result<(), Error> {
        unimplemented!()
    }
    /// One run with its steps.
    pub async fn run(&self, run: RunId) -> Result<Run, Error> {
        unimplemented!()
    }
    /// A page of runs, newest first.
    pub async fn list(&self, filter: &RunFilter) -> Result<Page<Run>, Error> {
        unimplemented!()
    }
    /// How the run stands; waits up to `wait` for its end.
    pub async fn result(&self, run: RunId, wait: Duration) -> Result<RunResult, Error> {
        unimplemented!()
    }
    /// Asks the run to stop and undo, if it is not past its pivot.
    pub async fn cancel(&self, run: RunId, by: &Operator) -> Result<ActionPlan, Error> {
        unimplemented!()
    }
    /// Has it undone, wherever it stands.
    pub async fn compensate(&self, run: RunId, by: &Operator) -> Result<ActionPlan, Error> {
        unimplemented!()
    }
    /// Has a stuck or failed run try again from where it failed.
    pub async fn retry(&self, run: RunId, by: &Operator) -> Result<ActionPlan, Error> {
        unimplemented!()
    }
    /// The database's time, as durable decisions see it.
    pub async fn now(&self) -> Result<Time, Error> {
        unimplemented!()
    }
}
