//! What the parts of a worker share.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering},
    },
};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{
    active_runs::ActiveRuns, clock::DbClock, commit::Refused, config::WorkerConfig, groups::Groups, holds::HoldsView,
    lookups::Lookups, suspects::Suspects,
};
use crate::engine::{
    api::Engine,
    core::{
        execution::WorkflowCode,
        holds::{Begins, HoldKind},
    },
    store::{lanes, schema::Schema},
};

/// Runs that wait for a moment of up to a second (`PARK_BEYOND`), for each slot: they take memory, and nothing else.
const NAPS_PER_SLOT: usize = 4;

/// What the parts of a worker share.
pub(crate) struct Shared {
    pub(super) engine: Engine,
    pub(super) config: WorkerConfig,
    /// The code of the workflows that this worker has registered, by the id that the database gives them.
    pub(super) code: RwLock<HashMap<i32, Arc<dyn WorkflowCode>>>,
    pub(super) worker_id: AtomicI32,
    pub(super) clock: DbClock,
    pub(super) slots: Arc<Semaphore>,
    /// Places for runs that wait in memory without a slot.
    pub(super) naps: Arc<Semaphore>,
    /// Connections for transactional attempts: half of the pool. These attempts can wait for each other's row locks; the other
    /// half stays free for timers, takeover, inboxes and activities' own queries.
    pub(super) transactions: Semaphore,
    /// Attempts that wait to be made together.
    pub(super) groups: Groups,
    /// A claim may find something.
    pub(super) may_be_due: AtomicBool,
    pub(super) turn: AtomicUsize,
    pub(super) active: ActiveRuns,
    pub(super) lookups: Lookups,
    pub(super) suspects: Arc<Suspects>,
    pub(super) holds: HoldsView,
    /// Runs whose own transaction was refused once.
    pub(super) refused: Refused,
    /// No more claims; runs are given back between two steps.
    pub(super) draining: CancellationToken,
    /// Everything ends.
    pub(super) stopped: CancellationToken,
}

impl Shared {
    pub(super) fn new(engine: Engine, config: WorkerConfig) -> Self {
        let transactions = (engine.pool().options().get_max_connections() / 2).max(1) as usize;
        Self {
            slots: Arc::new(Semaphore::new(config.slots.max(1))),
            naps: Arc::new(Semaphore::new(
                config.slots.max(1).saturating_mul(NAPS_PER_SLOT).min(Semaphore::MAX_PERMITS),
            )),
            transactions: Semaphore::new(transactions),
            groups: Groups::new(transactions),
            engine,
            config,
            code: RwLock::default(),
            worker_id: AtomicI32::new(0),
            clock: DbClock::default(),
            may_be_due: AtomicBool::new(true),
            turn: AtomicUsize::new(0),
            active: ActiveRuns::default(),
            lookups: Lookups::default(),
            suspects: Arc::default(),
            holds: HoldsView::default(),
            refused: Refused::default(),
            draining: CancellationToken::new(),
            stopped: CancellationToken::new(),
        }
    }

    /// The engine's statements.
    pub(super) fn schema(&self) -> &Schema {
        self.engine.schema()
    }

    /// The (queue, workflow) pairs to claim for, in another order each time: the claim reads them in order and stops when
    /// it has enough.
    pub(super) fn served(&self) -> Vec<(String, i32)> {
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
    pub(super) fn workflows(&self) -> Vec<i32> {
        let code = self.code.read().unwrap_or_else(PoisonError::into_inner);
        let mut ids: Vec<i32> = code.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// As it is registered.
    pub(super) fn as_row(&self) -> lanes::Worker {
        let WorkerConfig { name, queues, slots, .. } = &self.config;
        let slots = i32::try_from(*slots).unwrap_or(i32::MAX);
        lanes::Worker { name: name.clone(), queues: queues.clone(), workflows: self.workflows(), slots }
    }

    /// Whether a hint is our own, of which the lanes know already. Several workers of one engine share what wakes their lanes:
    /// there it may have come to the wrong one.
    pub(super) fn knows(&self, hint: &str) -> bool {
        self.engine.hints().has_sent(hint) && self.engine.pulse().workers() == 1
    }

    /// A run has left its slot: a lane claims, if there may be something for it.
    pub(super) fn slot_is_free(&self) {
        if self.may_be_due.load(Ordering::Relaxed) {
            self.engine.hints().due.notify_one();
        }
    }

    /// Has a lane claim as soon as it can.
    pub(super) fn claim_soon(&self) {
        self.may_be_due.store(true, Ordering::Relaxed);
        self.engine.hints().due.notify_one();
    }
}

impl Begins for Shared {
    /// No worker serves a held queue: a run that comes to one of its activities is handed over to it, and waits there.
    fn serves(&self, queue: &str) -> bool {
        self.config.queues.iter().any(|served| served == queue) && !self.holds.holds(HoldKind::Queue, queue)
    }

    fn holds(&self, activity: &str) -> bool {
        self.holds.holds(HoldKind::Activity, activity)
    }
}
