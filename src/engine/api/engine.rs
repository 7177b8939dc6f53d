//! `Engine`: the front door for everybody who starts, reads or operates runs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::{PgPool, Postgres, pool::PoolConnection};

use crate::engine::{
    api::{
        batcher::Batcher,
        served::Served,
        start_request::{By, StartRun, Started},
    },
    breakers::SharedBreakers,
    core::model::Time,
    credentials::Memory,
    error::Error,
    hints::Hints,
    metrics::Meters,
    outbox::{AnySink, DEFAULT_EVENT_RETENTION},
    pulse::Pulse,
    read_models::ServerSettings,
    registry::Registry,
    store::{self, schema::Schema, transaction::Transaction},
    write_probe::WriteProbe,
};

/// The largest payload taken unless set otherwise, in bytes.
pub const DEFAULT_MAX_PAYLOAD: usize = 1024 * 1024;

/// How long ended runs are kept unless set otherwise.
pub const DEFAULT_RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What is known of a workflow's newest version.
#[derive(Clone, Debug)]
pub(crate) struct KnownWorkflow {
    pub(crate) id: i32,
    pub(crate) version: i32,
    pub(crate) internal: bool,
    pub(crate) deadline_ms: Option<i64>,
    /// The schema of its input, where this process has not got its code.
    pub(crate) input: Option<serde_json::Value>,
}

/// How long requests that go together wait for a lock.
const LOCK_WITHIN: Duration = Duration::from_millis(100);

/// Starts that go together.
type Starts = Batcher<(StartRun, By), Result<Started, Error>>;

/// The front door. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    pool: PgPool,
    schema: Arc<Schema>,
    registry: Arc<Registry>,
    max_payload: usize,
    retention: Duration,
    pub(super) event_retention: Duration,
    pub(super) sinks: Arc<Vec<AnySink>>,
    hints: Arc<Hints>,
    pulse: Arc<Pulse>,
    write_probe: Arc<WriteProbe>,
    meters: Arc<Meters>,
    /// Workflows whose newest registered version is this binary's own.
    newest_workflows: Arc<Mutex<HashMap<String, KnownWorkflow>>>,
    /// Credentials that were looked up a moment ago.
    memory: Arc<Memory>,
    /// Starts that go together.
    starts: Arc<Starts>,
    /// Where runs that are started now need not wait for a worker.
    served: Arc<Served>,
    breakers: SharedBreakers,
}

impl Engine {
    /// An engine over a pool. `registry` may be empty where no worker is wanted: inputs are checked by the schemas that are
    /// on record.
    pub fn new(pool: PgPool, registry: Registry) -> Self {
        Self {
            pool,
            schema: Arc::default(),
            meters: Arc::new(Meters::new(&registry)),
            registry: Arc::new(registry),
            max_payload: DEFAULT_MAX_PAYLOAD,
            retention: DEFAULT_RETENTION,
            event_retention: DEFAULT_EVENT_RETENTION,
            sinks: Arc::default(),
            hints: Arc::default(),
            pulse: Arc::default(),
            write_probe: Arc::default(),
            newest_workflows: Arc::default(),
            memory: Arc::default(),
            starts: Arc::default(),
            served: Arc::default(),
            breakers: SharedBreakers::default(),
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

    /// With its tables in a schema of this name; [`DEFAULT_SCHEMA`](crate::engine::DEFAULT_SCHEMA) unless set. Engines in
    /// different schemas of one database neither see nor hold up each other.
    ///
    /// # Errors
    /// `invalid_schema`: the name has to be an identifier of lower-case letters, digits and underscores, of at most 48 characters.
    pub fn with_schema(mut self, name: impl Into<String>) -> Result<Self, Error> {
        self.schema = Arc::new(Schema::new(name)?);
        Ok(self)
    }

    /// The name of the schema that its tables are in.
    pub fn schema_name(&self) -> &str {
        self.schema.name()
    }

    /// Its statements.
    pub(crate) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The pool.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Begins a transaction, as [`begin`](crate::engine::begin) does: this future may be dropped at any time, and leaves nothing
    /// open.
    ///
    /// # Errors
    /// `database_unavailable`.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        store::transaction::begin(&self.pool).await
    }

    /// Begins the transaction of requests that go together in a [`Batcher`]: its statements wait for a lock only for a moment, and
    /// fail then.
    ///
    /// # Errors
    /// `database_unavailable`.
    pub async fn begin_impatient(&self) -> Result<Transaction, Error> {
        store::transaction::begin_impatient(&self.pool, LOCK_WITHIN).await
    }

    /// A connection, come by in a way that may be dropped at any time.
    ///
    /// # Errors
    /// `database_unavailable`.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, Error> {
        store::transaction::acquire(&self.pool).await
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

    pub(crate) fn shared_sinks(&self) -> &[AnySink] {
        &self.sinks
    }

    pub(crate) fn hints(&self) -> &Arc<Hints> {
        &self.hints
    }

    /// Whether the database takes commits just now.
    ///
    /// # Errors
    /// A code, as of [`Error::code`]; `writes_hang` where a commit does not come to an end.
    pub async fn probe_write(&self) -> Result<(), &'static str> {
        self.write_probe.ask(&self.pool).await
    }

    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// How long the worker of this process has been getting nowhere, once that is longer than it may be for a reason: its lanes
    /// have no answer, although the database has not said that it is away.
    pub fn worker_stalled_for(&self) -> Option<Duration> {
        self.pulse.stalled_for().filter(|_| !self.pulse.is_database_away())
    }

    pub(crate) fn newest_workflows(&self) -> &Mutex<HashMap<String, KnownWorkflow>> {
        &self.newest_workflows
    }

    pub(super) fn starts(&self) -> &Arc<Starts> {
        &self.starts
    }

    pub(super) fn served(&self) -> &Served {
        &self.served
    }

    pub(super) const fn shared_breakers(&self) -> &SharedBreakers {
        &self.breakers
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Tells workers, here and elsewhere, that something may be due.
    pub fn hint(&self) {
        self.hints.send_due(&self.schema, &self.pool);
    }

    /// What the server says of the settings that the promises rest on.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn server_settings(&self) -> Result<ServerSettings, Error> {
        store::server::load_settings(self.schema(), &mut *self.acquire().await?).await
    }

    /// The database's time, as durable decisions see it.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn now(&self) -> Result<Time, Error> {
        store::now(self.schema(), &mut *self.acquire().await?).await
    }
}
