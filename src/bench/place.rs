//! Where a scenario runs, how much of it, and with what.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Error, Registry, WorkerConfig};

/// Where to run, and how much.
#[derive(Clone)]
pub struct Place {
    /// The database's URL, for processes that are started beside this one.
    pub url: String,
    /// Its connections.
    pub pool: PgPool,
    /// The engine's schema, which is migrated and keeps the runs.
    pub schema: String,
    /// Workers in this process.
    pub workers: usize,
    /// Slots of each.
    pub slots: usize,
    /// How much.
    pub size: Size,
    /// This program, for scenarios with processes of their own.
    pub program: PathBuf,
    /// Gets how much is done: so many of so many.
    pub progress: Arc<dyn Fn(u64, u64) + Send + Sync>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("schema", &self.schema).field("size", &self.size).finish_non_exhaustive()
    }
}

/// How much: so many runs, or for so long; by default what each scenario takes for about ten seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Size {
    /// Runs.
    pub runs: Option<usize>,
    /// Seconds of load.
    pub seconds: Option<u64>,
    /// The size that is promised, where a scenario is smaller by default: `timers`, `history`, `soak`.
    pub full: bool,
}

impl Size {
    /// How long to keep up a load that has no number of runs.
    pub(super) fn span(self, default_seconds: u64) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(default_seconds))
    }
}

/// An engine with workers in this process.
pub(super) struct Working {
    pub(super) engine: Engine,
    stop: CancellationToken,
    workers: JoinSet<Result<(), Error>>,
}

impl Place {
    /// An engine on the place's database, which is migrated.
    pub(super) async fn engine(&self, registry: Registry) -> Result<Engine, Error> {
        let engine = Engine::new(self.pool.clone(), registry).with_schema(&self.schema)?;
        engine.migrate().await?;
        Ok(engine)
    }

    /// The same with its workers.
    pub(super) async fn work(&self, registry: Registry) -> Result<Working, Error> {
        let engine = self.engine(registry).await?;
        let (stop, mut workers) = (CancellationToken::new(), JoinSet::new());
        for n in 0..self.workers.max(1) {
            let config = WorkerConfig { name: format!("bench-{n}"), slots: self.slots, ..WorkerConfig::default() };
            workers.spawn(engine.worker(config).run(stop.clone().cancelled_owned()));
        }
        Ok(Working { engine, stop, workers })
    }
}

impl Working {
    /// Lets the workers end.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        while self.workers.join_next().await.is_some() {}
    }
}
