//! A worker: claims due runs, carries out what the core decides, and records it.
//!
//! | part | does |
//! |---|---|
//! | `lane` | claims runs, and writes what its runs have decided; keeps its lease alive |
//! | `drive` | one run's life: decide, commit, follow up, wait for the next event |
//! | `commit` | records decisions, through the lane or in a step's own transaction, and handles refusals |
//! | `attempt` | one attempt: context, log, observer |
//! | `groups` | attempts that share a transaction or a call: timeout, panic, commit |
//! | `lookups` | what runs look up between two decisions, collected |
//! | `pump` | fires timers, takes lost runs over, listens for hints, looks up, reads inboxes and holds |
//!
//! Each part uses only those below it: `lane`, `drive`, `commit`, `connection`, `shared`. Nothing durable is in memory only: a
//! killed worker loses its lanes, and others take its runs over.

mod acknowledged;
mod active_runs;
mod attempt;
mod attempt_log;
mod clock;
mod commit;
mod config;
mod connection;
mod drive;
mod faults;
mod groups;
mod holds;
mod in_progress;
mod lane;
mod limits;
mod lookups;
mod pump;
mod registration;
mod shared;
mod supervise;
mod suspects;
mod watch;

use std::{future::Future, sync::Arc, time::Duration};

use tokio::task::JoinSet;

pub use self::{
    config::WorkerConfig,
    faults::{Faults, Moment},
};
use self::{shared::Shared, supervise::keep_running};
use super::{api::Engine, error::Error};

/// How long a lane may take to give its runs back at the end: else they are taken over.
const RELEASE_WITHIN: Duration = Duration::from_secs(5);
/// How long the lanes may have no answer, beyond the time after which they are taken over.
const PATIENCE: Duration = Duration::from_secs(15);

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
        registration::register(&shared).await?;
        let (engine, slots) = (shared.engine.clone(), shared.config.slots as f64);
        engine.meters().slots.increment(slots);
        let _at_work = engine.pulse().begin(shared.config.takeover_after.saturating_add(PATIENCE));
        let mut lanes_at_work = JoinSet::new();
        for _ in 0..shared.config.lanes.max(1) {
            lanes_at_work.spawn(keep_running(shared.clone(), "a lane", lane::work));
        }
        let mut pumps = JoinSet::new();
        pumps.spawn(keep_running(shared.clone(), "timers", pump::fire_timers));
        pumps.spawn(keep_running(shared.clone(), "takeover", pump::take_over));
        pumps.spawn(keep_running(shared.clone(), "hints", pump::listen));
        pumps.spawn(keep_running(shared.clone(), "inboxes", pump::read_inboxes));
        pumps.spawn(keep_running(shared.clone(), "lookups", pump::look_up));
        pumps.spawn(keep_running(shared.clone(), "holds", pump::read_holds));
        pumps.spawn(keep_running(shared.clone(), "pulse", pump::watch_pulse));

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
        let all_gone = async { while lanes_at_work.join_next().await.is_some() {} };
        if tokio::time::timeout(RELEASE_WITHIN, all_gone).await.is_err() {
            tracing::warn!("lanes had no answer from the database at the end; their runs will be taken over");
            lanes_at_work.shutdown().await;
        }
        pumps.shutdown().await;
        engine.meters().slots.decrement(slots);
        Ok(())
    }
}
