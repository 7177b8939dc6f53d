//! A worker: claims due runs, carries out what the core decides, and records it.
//!
//! | part | does |
//! |---|---|
//! | `lane` | a flushing connection: claims, flushes whatever has accumulated, beats |
//! | `drive` | one run: decision, commit, acts, event, decision … |
//! | `attempt` | one attempt: timeout, panic, transaction |
//! | `pump` | wakes parked runs; takes over from lost workers; listens for hints; looks into held runs' inboxes and at holds |
//!
//! Nothing durable is in memory only: a worker that is killed loses its lanes, and others take its runs over.

mod active_runs;
mod attempt;
mod clock;
mod drive;
mod faults;
mod holds;
mod lane;
mod pump;

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use self::faults::{Faults, Moment};
use self::{active_runs::ActiveRuns, clock::DbClock, holds::HoldsView};
use super::{
    api::Engine,
    core::execution::WorkflowCode,
    error::Error,
    names::{DEFAULT_QUEUE, check_queue},
    observer::Observer,
    store::lanes,
};

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Its name, which operators see: host and process id unless set.
    pub name: String,
    /// The queues that it serves.
    pub queues: Vec<String>,
    /// Runs that it holds at the same time.
    pub slots: usize,
    /// Flushing connections. Two are a little better than one or four on small machines; see docs/benchmarks.md.
    pub lanes: usize,
    /// A lane that has not been heard of for this long is taken over.
    pub takeover_after: Duration,
    /// How long an idle worker waits before it looks again without a hint.
    pub poll_interval: Duration,
    /// How long a drain lets attempts under way go on.
    pub drain: Duration,
    /// Who is told of every attempt that has ended; nobody by default.
    pub observer: Option<Arc<dyn Observer>>,
    /// For [`crate::engine::testing`] alone: what happens around commits. None in a service.
    pub faults: Option<Arc<dyn Faults>>,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        let host =
            nix::unistd::gethostname().map_or_else(|_| "worker".into(), |name| name.to_string_lossy().into_owned());
        Self {
            name: format!("{host}:{}", std::process::id()),
            queues: vec![DEFAULT_QUEUE.to_owned()],
            slots: 500,
            lanes: 2,
            takeover_after: Duration::from_secs(15),
            poll_interval: Duration::from_millis(500),
            drain: Duration::from_secs(30),
            observer: None,
            faults: None,
        }
    }
}

/// A worker pool member.
#[derive(Debug)]
pub struct Worker {
    engine: Engine,
    config: WorkerConfig,
}

/// What the parts of a worker share.
pub(crate) struct Shared {
    engine: Engine,
    config: WorkerConfig,
    /// The code of the workflows that this worker has registered, by their id.
    code: RwLock<HashMap<i32, Arc<dyn WorkflowCode>>>,
    worker_id: std::sync::OnceLock<i32>,
    clock: DbClock,
    slots: Arc<Semaphore>,
    /// Transactional attempts that may have a connection at the same time, half of the pool. They can wait for each other's row locks; the
    /// pool's other connections stay free for timers, takeover, inboxes and whatever else activities ask.
    transactions: Arc<Semaphore>,
    /// Claiming may be worth it.
    may_be_due: AtomicBool,
    turn: AtomicUsize,
    active: ActiveRuns,
    holds: HoldsView,
    /// No more claims; runs are given back between two steps.
    draining: CancellationToken,
    /// The end of everything.
    stopped: CancellationToken,
}

impl Shared {
    /// The (queue, workflow) pairs to claim for, in another order each time: the claim reads them in order and stops when
    /// it has enough.
    fn served(&self) -> Vec<(String, i32)> {
        let workflows = self.workflows();
        let mut pairs: Vec<_> =
            self.config.queues.iter().flat_map(|queue| workflows.iter().map(|id| (queue.clone(), *id))).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if !pairs.is_empty() {
            let by = turn % pairs.len();
            pairs.rotate_left(by);
        }
        pairs
    }

    /// The ids of the workflows that this worker has, in order.
    fn workflows(&self) -> Vec<i32> {
        let code = self.code.read().unwrap_or_else(PoisonError::into_inner);
        let mut ids: Vec<i32> = code.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// As it is registered.
    fn as_row(&self) -> lanes::Worker {
        let WorkerConfig { name, queues, slots, .. } = &self.config;
        let slots = i32::try_from(*slots).unwrap_or(i32::MAX);
        lanes::Worker { name: name.clone(), queues: queues.clone(), workflows: self.workflows(), slots }
    }

    fn look_for_due(&self) {
        self.may_be_due.store(true, Ordering::Relaxed);
        self.engine.hints().due.notify_one();
    }
}

impl Engine {
    /// A worker that executes runs of the registered workflows, in this process.
    pub fn worker(&self, config: WorkerConfig) -> Worker {
        Worker { engine: self.clone(), config }
    }
}

impl Worker {
    /// Works until `shutdown` is done, then drains: attempts under way get [`WorkerConfig::drain`] to end, everything
    /// else is given back at once.
    ///
    /// # Errors
    /// When it can't even register: no database, no schema. Later outages are waited out.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let shared = Arc::new(Shared {
            slots: Arc::new(Semaphore::new(self.config.slots.max(1))),
            transactions: Arc::new(Semaphore::new(
                (self.engine.pool().options().get_max_connections() / 2).max(1) as usize
            )),
            engine: self.engine,
            config: self.config,
            code: RwLock::default(),
            worker_id: std::sync::OnceLock::new(),
            clock: DbClock::default(),
            may_be_due: AtomicBool::new(true),
            turn: AtomicUsize::new(0),
            active: ActiveRuns::default(),
            holds: HoldsView::default(),
            draining: CancellationToken::new(),
            stopped: CancellationToken::new(),
        });
        register(&shared).await?;
        let (engine, slots) = (shared.engine.clone(), shared.config.slots as f64);
        engine.meters().slots.increment(slots);
        let mut lanes_at_work = JoinSet::new();
        for _ in 0..shared.config.lanes.max(1) {
            lanes_at_work.spawn(lane::work(shared.clone()));
        }
        let mut pumps = JoinSet::new();
        pumps.spawn(pump::fire_timers(shared.clone()));
        pumps.spawn(pump::take_over(shared.clone()));
        pumps.spawn(pump::listen(shared.clone()));
        pumps.spawn(pump::look_into_inboxes(shared.clone()));
        pumps.spawn(pump::look_at_holds(shared.clone()));

        shutdown.await;
        tracing::info!(active = shared.active.len(), "draining");
        shared.draining.cancel();
        let emptied = shared.active.emptied();
        if tokio::time::timeout(shared.config.drain, emptied).await.is_err() {
            tracing::warn!(
                active = shared.active.len(),
                "attempts did not end in time; their runs are left to other workers"
            );
        }
        shared.stopped.cancel();
        while lanes_at_work.join_next().await.is_some() {}
        pumps.shutdown().await;
        engine.meters().slots.decrement(slots);
        Ok(())
    }
}

async fn register(shared: &Shared) -> Result<(), Error> {
    // A worker that served the queue of a held activity would begin what is held.
    shared.config.queues.iter().try_for_each(|queue| check_queue(Some(queue)))?;
    let mut conn = shared.engine.pool().acquire().await?;
    let registry = shared.engine.shared_registry();
    for code in registry.workflows() {
        let secret = registry.secret_fields(&**code);
        let id = lanes::register_workflow(&mut conn, code.name(), code.version(), &secret).await?;
        shared.code.write().unwrap_or_else(PoisonError::into_inner).insert(id, code.clone());
    }
    let id = lanes::register_worker(&mut conn, &shared.as_row()).await?;
    let _ = shared.worker_id.set(id);
    // Before the first claim: the first run may come to a held activity.
    shared.holds.set(super::store::holds::held_back(&mut conn).await?);
    shared.clock.set(super::store::now(&mut conn).await?);
    Ok(())
}
