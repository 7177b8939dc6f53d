//! A worker: claims due runs, carries out what the core decides, and records it.
//!
//! | part | does |
//! |---|---|
//! | `lane` | claims runs, and writes what its runs have decided; keeps its lease alive |
//! | `drive` | one run's life: decide, commit, follow up, wait for the next event |
//! | `commit` | records decisions, through the lane or in a step's own transaction, and handles refusals |
//! | `attempt` | one attempt: timeout, panic, transaction |
//! | `pump` | fires timers, takes lost runs over, listens for hints, reads inboxes and holds |
//!
//! Each part uses only those below it: `lane`, `drive`, `commit`, `connection`, `shared`. Nothing durable is in memory only: a
//! killed worker loses its lanes, and others take its runs over.

mod active_runs;
mod attempt;
mod clock;
mod commit;
mod config;
mod connection;
mod drive;
mod faults;
mod holds;
mod lane;
mod pump;
mod shared;
mod supervise;
mod suspects;
mod transaction;

use std::{
    future::Future,
    sync::{Arc, PoisonError},
};

use tokio::task::JoinSet;

pub use self::{
    config::WorkerConfig,
    faults::{Faults, Moment},
};
use self::{shared::Shared, supervise::keep_running};
use super::{
    api::Engine,
    error::Error,
    names::check_queue,
    store::{lanes, session},
};

/// A worker pool member.
#[derive(Debug)]
pub struct Worker {
    engine: Engine,
    config: WorkerConfig,
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
        let shared = Arc::new(Shared::new(self.engine, self.config));
        register(&shared).await?;
        let (engine, slots) = (shared.engine.clone(), shared.config.slots as f64);
        engine.meters().slots.increment(slots);
        let mut lanes_at_work = JoinSet::new();
        for _ in 0..shared.config.lanes.max(1) {
            lanes_at_work.spawn(keep_running(shared.clone(), "a lane", lane::work));
        }
        let mut pumps = JoinSet::new();
        pumps.spawn(keep_running(shared.clone(), "timers", pump::fire_timers));
        pumps.spawn(keep_running(shared.clone(), "takeover", pump::take_over));
        pumps.spawn(keep_running(shared.clone(), "hints", pump::listen));
        pumps.spawn(keep_running(shared.clone(), "inboxes", pump::read_inboxes));
        pumps.spawn(keep_running(shared.clone(), "holds", pump::read_holds));

        shutdown.await;
        tracing::info!(active = shared.active.len(), "draining");
        shared.draining.cancel();
        let emptied = shared.active.wait_until_empty();
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
    // A worker that served the queue of a held activity would begin held steps.
    shared.config.queues.iter().try_for_each(|queue| check_queue(Some(queue)))?;
    if shared.config.takeover_after < config::SHORTEST_TAKEOVER {
        let message = format!("it is at least {:?}", config::SHORTEST_TAKEOVER);
        return Err(Error::InvalidField { field: "takeover_after".to_owned(), message });
    }
    let mut conn = shared.engine.pool().acquire().await?;
    let differences = session::differences(&mut conn).await?;
    if !differences.is_empty() {
        tracing::warn!(
            ?differences,
            "sessions of the pool are not as the engine relies on: make it with `engine::guarded`"
        );
    }
    let registry = shared.engine.shared_registry();
    registry.check()?;
    for code in registry.workflows() {
        let id = lanes::register_workflow(shared.schema(), &mut conn, &registry.registration(&**code)).await?;
        shared.code.write().unwrap_or_else(PoisonError::into_inner).insert(id, code.clone());
    }
    let id = lanes::register_worker(shared.schema(), &mut conn, &shared.as_row()).await?;
    let _ = shared.worker_id.set(id);
    // Before the first claim: the first run may come to a held activity.
    shared.holds.set(super::store::holds::held_back(shared.schema(), &mut conn).await?);
    shared.clock.set(super::store::now(shared.schema(), &mut conn).await?);
    Ok(())
}
