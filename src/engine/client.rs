//! `Engine`: the front door for everybody who starts, reads or operates runs.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    core::{
        holds::RESERVED,
        model::{Json, RunId, Time, to_json},
        trace::Trace,
    },
    credentials::Memory,
    error::Error,
    hints::Hints,
    metrics::Meters,
    registry::Registry,
    store::{self, finding, reads, signals, start},
    view::{Run, RunResult, ServerSettings},
    worker::{Worker, WorkerConfig},
    workflow::Workflow,
};

/// The queue of runs that name none.
pub const DEFAULT_QUEUE: &str = "default";

/// The largest payload taken unless set otherwise, in bytes.
pub const DEFAULT_MAX_PAYLOAD: usize = 1024 * 1024;

/// How long ended runs are kept unless set otherwise.
pub const DEFAULT_RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

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
    /// The caller's W3C trace context, so that the run belongs to the caller's trace; what is none is left out.
    pub traceparent: Option<String>,
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
            traceparent: None,
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

    /// What makes two requests with one key the same: workflow and input, whatever the order of the input's fields.
    fn hash(&self) -> Vec<u8> {
        let canonical = serde_json::from_str::<serde_json::Value>(self.input.get())
            .map_or_else(|_| self.input.get().to_owned(), |value| value.to_string());
        let mut hasher = Sha256::new();
        hasher.update(self.workflow.as_bytes());
        hasher.update([0]);
        hasher.update(canonical.as_bytes());
        hasher.finalize().to_vec()
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

/// The front door. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    pool: PgPool,
    registry: Arc<Registry>,
    max_payload: usize,
    retention: Duration,
    hints: Arc<Hints>,
    meters: Arc<Meters>,
    /// Workflows whose newest registered version is this binary's own.
    known: Arc<Mutex<HashMap<String, i32>>>,
    /// Credentials that were looked up a moment ago.
    memory: Arc<Memory>,
}

impl Engine {
    /// An engine over a pool. `registry` may be empty where no worker and no check of inputs is wanted.
    pub fn new(pool: PgPool, registry: Registry) -> Self {
        Self {
            pool,
            meters: Arc::new(Meters::new(&registry)),
            registry: Arc::new(registry),
            max_payload: DEFAULT_MAX_PAYLOAD,
            retention: DEFAULT_RETENTION,
            hints: Arc::default(),
            known: Arc::default(),
            memory: Arc::default(),
        }
    }

    /// The largest payload taken, in bytes.
    pub const fn with_max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// How long ended runs are kept, of workflows that have no retention of their own.
    pub const fn with_retention(mut self, keep: Duration) -> Self {
        self.retention = keep;
        self
    }

    /// How long ended runs are kept, of workflows that have no retention of their own.
    pub const fn default_retention(&self) -> Duration {
        self.retention
    }

    /// The largest payload taken, in bytes.
    pub const fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// Brings the schema up to date; safe to run twice or side by side.
    ///
    /// # Errors
    /// When the database can't be reached or a migration fails.
    pub async fn migrate(&self) -> Result<(), Error> {
        store::migrate(&self.pool).await?;
        // A database that no server has looked after for a month has no partition for today.
        let mut conn = self.pool.acquire().await?;
        while store::retention::make_partition(&mut conn).await? {}
        Ok(())
    }

    /// The migrations that the database still lacks.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn missing_migrations(&self) -> Result<Vec<i64>, Error> {
        store::missing_migrations(&self.pool).await
    }

    /// The pool.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn shared_registry(&self) -> Arc<Registry> {
        self.registry.clone()
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    pub(crate) fn hints(&self) -> &Arc<Hints> {
        &self.hints
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// A worker that executes runs of the registered workflows, in this process.
    pub fn worker(&self, config: WorkerConfig) -> Worker {
        Worker::new(self.clone(), config)
    }

    /// Starts a run; it is durable when this returns.
    ///
    /// # Errors
    /// `unknown_workflow`, `invalid_input`, `payload_too_large`, `key_conflict`, `database_unavailable`.
    pub async fn start(&self, request: StartRun) -> Result<Started, Error> {
        let mut conn = self.pool.acquire().await?;
        let started = self.start_in(&mut conn, request).await?;
        self.hint();
        Ok(started)
    }

    /// Starts many, in one commit; a refused one does not hold up the others.
    ///
    /// # Errors
    /// When the database fails; refusals are in the list.
    pub async fn start_batch(&self, requests: Vec<StartRun>) -> Result<Vec<Result<Started, Error>>, Error> {
        let mut conn = self.pool.acquire().await?;
        let started = self.start_many(&mut conn, requests).await?;
        self.hint();
        Ok(started)
    }

    /// Starts a run inside the caller's transaction: it exists when that commits. Call [`Engine::hint`] after the commit,
    /// or leave it to the workers' polling.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub async fn start_in(&self, conn: &mut PgConnection, request: StartRun) -> Result<Started, Error> {
        let started = self.start_many(conn, vec![request]).await?;
        started.into_iter().next().unwrap_or_else(|| Err(Error::InvalidRequest("nothing was to be started".to_owned())))
    }

    /// Tells workers, here and elsewhere, that something may be due.
    pub fn hint(&self) {
        self.hints.due(&self.pool);
    }

    async fn start_many(
        &self,
        conn: &mut PgConnection,
        requests: Vec<StartRun>,
    ) -> Result<Vec<Result<Started, Error>>, Error> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut runs = Vec::with_capacity(requests.len());
        for request in requests {
            match self.prepare(conn, request).await {
                Ok(run) => {
                    answers.push(Ok(run.id));
                    runs.push(run);
                }
                Err(error @ (Error::Unavailable(_) | Error::Database(_))) => return Err(error),
                Err(refused) => answers.push(Err(refused)),
            }
        }
        let created: std::collections::HashSet<RunId> = start::start(conn, &runs).await?.into_iter().collect();
        self.meters.started.increment(created.len() as u64);
        let mut runs = runs.into_iter();
        let mut started = Vec::with_capacity(answers.len());
        for answer in answers {
            started.push(match answer {
                Err(refused) => Err(refused),
                Ok(id) => match runs.next() {
                    Some(run) if !created.contains(&id) => self.existing(conn, &run).await,
                    _ => Ok(Started { run: id, created: true }),
                },
            });
        }
        Ok(started)
    }

    /// Checks what is to be started later, by a schedule: as a start would, but nobody need have registered the workflow yet
    /// where this process knows it.
    pub(super) async fn check_start(
        &self,
        conn: &mut PgConnection,
        workflow: &str,
        input: &Json,
        queue: Option<&str>,
    ) -> Result<(), Error> {
        let size = input.get().len();
        if size > self.max_payload {
            return Err(Error::PayloadTooLarge { size, limit: self.max_payload });
        }
        check_name("queue", queue, 128)?;
        check_queue(queue)?;
        match self.registry.newest(workflow) {
            Some(code) => code
                .check(input.get())
                .map_err(|message| Error::InvalidInput { workflow: workflow.to_owned(), message }),
            None => self.workflow_id(conn, workflow).await.map(drop),
        }
    }

    /// Checks a request, size first, and turns it into rows.
    async fn prepare(&self, conn: &mut PgConnection, request: StartRun) -> Result<start::NewRun, Error> {
        let size = request.input.get().len();
        if size > self.max_payload {
            return Err(Error::PayloadTooLarge { size, limit: self.max_payload });
        }
        check_name("key", request.key.as_deref(), 512)?;
        check_name("queue", request.queue.as_deref(), 128)?;
        check_queue(request.queue.as_deref())?;
        let workflow_id = self.workflow_id(conn, &request.workflow).await?;
        let code = self.registry.newest(&request.workflow);
        if let Some(code) = code {
            code.check(request.input.get())
                .map_err(|message| Error::InvalidInput { workflow: request.workflow.clone(), message })?;
        }
        let hash = request.key.is_some().then(|| request.hash());
        let tags = (!request.tags.is_empty()).then(|| serde_json::to_string(&request.tags)).transpose();
        Ok(start::NewRun {
            id: request.id.unwrap_or_else(Uuid::now_v7),
            workflow_id,
            queue: request.queue.unwrap_or_else(|| DEFAULT_QUEUE.to_owned()),
            input: request.input.get().to_owned(),
            hash,
            start_at: request.start_at,
            tags: tags.map_err(|error| Error::InvalidRequest(error.to_string()))?,
            parent_id: request.parent_id,
            deadline_ms: code.and_then(|code| code.deadline()).and_then(|span| i64::try_from(span.as_millis()).ok()),
            workflow: request.workflow,
            key: request.key,
            traceparent: request.traceparent.filter(|text| Trace::parse(text).is_some()),
        })
    }

    async fn workflow_id(&self, conn: &mut PgConnection, name: &str) -> Result<i32, Error> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        if let Some(id) = known {
            return Ok(id);
        }
        let newest = start::newest_workflow(conn, name).await?;
        let (id, version) = newest.ok_or_else(|| Error::UnknownWorkflow(name.to_owned()))?;
        if self.registry.newest(name).is_some_and(|code| code.version() == version) {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), id);
        }
        Ok(id)
    }

    /// The run that the key belongs to, if it came with the same request.
    async fn existing(&self, conn: &mut PgConnection, run: &start::NewRun) -> Result<Started, Error> {
        let key = run.key.as_deref().unwrap_or_default();
        match start::key_owner(conn, &run.workflow, key).await? {
            Some((owner, hash)) if Some(&hash) == run.hash.as_ref() => Ok(Started { run: owner, created: false }),
            Some((owner, _)) => Err(Error::KeyConflict(owner)),
            None => Err(Error::InvalidRequest("the key's run is not visible to this transaction".to_owned())),
        }
    }

    /// Sends a signal; it is durable when this returns. `key` deduplicates within the run.
    ///
    /// # Errors
    /// `unknown_run`, `run_ended`, `payload_too_large`.
    pub async fn signal(&self, run: RunId, name: &str, payload: Option<Json>, key: Option<&str>) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await?;
        self.signal_in(&mut conn, run, name, payload, key).await?;
        self.hint();
        Ok(())
    }

    /// The same inside the caller's transaction.
    ///
    /// # Errors
    /// As [`Engine::signal`].
    pub async fn signal_in(
        &self,
        conn: &mut PgConnection,
        run: RunId,
        name: &str,
        payload: Option<Json>,
        key: Option<&str>,
    ) -> Result<(), Error> {
        let size = payload.as_ref().map_or(0, |json| json.get().len());
        if size > self.max_payload {
            return Err(Error::PayloadTooLarge { size, limit: self.max_payload });
        }
        check_name("signal name", Some(name), 128)?;
        check_name("key", key, 512)?;
        signals::send(conn, run, name, payload.as_ref(), key).await
    }

    /// One run with its steps, and why it needs attention.
    ///
    /// # Errors
    /// `unknown_run`.
    pub async fn run(&self, run: RunId) -> Result<Run, Error> {
        let mut conn = self.pool.acquire().await?;
        let mut found = reads::run(&mut conn, run).await?;
        found.steps = Some(reads::steps(&mut conn, run).await?);
        found.attention = Some(finding::attention::of_run(&mut conn, run).await?);
        found.children = Some(reads::children(&mut conn, run).await?);
        Ok(found)
    }

    /// How the run stands; waits up to `wait` for its end.
    ///
    /// # Errors
    /// `unknown_run`.
    pub async fn result(&self, run: RunId, wait: Duration) -> Result<RunResult, Error> {
        let until = Instant::now() + wait;
        let watch = self.hints.watch(run);
        let mut pause = Duration::from_millis(25);
        loop {
            let ended = watch.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            // Watching began before this look, so that an end in between is not missed.
            let looked = reads::ended(&mut *self.pool.acquire().await?, run).await?;
            let left = until.saturating_duration_since(Instant::now());
            match looked {
                Some(ended) => return Ok(ended),
                None if left.is_zero() => return reads::result(&mut *self.pool.acquire().await?, run).await,
                None => {}
            }
            // The end may come in another process: then only polling finds it.
            let _ = tokio::time::timeout(pause.min(left), ended).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// What the server says of the settings that the promises rest on.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn server_settings(&self) -> Result<ServerSettings, Error> {
        store::server::settings(&mut *self.pool.acquire().await?).await
    }

    /// The database's time, as durable decisions see it.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn now(&self) -> Result<Time, Error> {
        store::now(&mut *self.pool.acquire().await?).await
    }
}

pub(super) fn check_name(what: &str, name: Option<&str>, longest: usize) -> Result<(), Error> {
    match name {
        Some(name) if name.is_empty() || name.chars().count() > longest || name.contains('\0') => {
            Err(Error::InvalidRequest(format!("the {what} has 1 to {longest} characters and no NUL")))
        }
        _ => Ok(()),
    }
}

/// Names that begin so are ours: runs that wait for a held activity stand in such queues.
pub(super) fn check_queue(name: Option<&str>) -> Result<(), Error> {
    match name {
        Some(name) if name.starts_with(RESERVED) => {
            Err(Error::InvalidRequest(format!("a name that begins with {RESERVED} is not for callers")))
        }
        _ => Ok(()),
    }
}
