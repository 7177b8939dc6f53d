//! What every server process does beside its requests and runs: tasks that come round again and again.
//!
//! Each task is a bounded turn over the database with no memory, so that every process may run all of them all the time, and
//! one that is killed during a turn leaves nothing undone. Processes meet only in the database: rows are taken with
//! `FOR UPDATE SKIP LOCKED`, or a turn begins with `pg_try_advisory_xact_lock`. A turn that fails (the database is away,
//! the schema is behind) is followed by the next; a panic hurts its own turn only. One that gets no answer is given up.
//!
//! A new task: a file with `async fn tick(engine: &Engine) -> Result<Duration, Error>`, which does one bounded turn and
//! says how long to wait for the next, and one line in [`TASKS`].

mod holds;
mod limits;
mod operations;
mod outbox;
mod received;
mod relay;
mod retention;
mod schedules;
mod statistics;

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{api::Engine, core::execution::panic_message, error::Error, registry::BoxFuture};

/// One turn of a task; gives how long to wait for the next one.
type Tick = for<'a> fn(&'a Engine) -> BoxFuture<'a, Result<Duration, Error>>;

/// A turn is bounded work of seconds: one that takes longer than this has lost its connection without being told.
const TURN_WITHIN: Duration = Duration::from_mins(1);

/// The tasks, by the names that the log knows them under.
const TASKS: &[(&str, Tick)] = &[
    ("released holds", |engine| holds::tick(engine).boxed()),
    ("held runs", |engine| holds::look_after(engine).boxed()),
    ("queues that nobody serves", |engine| holds::look_after_unserved(engine).boxed()),
    ("events", |engine| outbox::tick(engine).boxed()),
    ("old events", |engine| outbox::forget(engine).boxed()),
    ("operations", |engine| operations::tick(engine).boxed()),
    ("rate limits", |engine| limits::tick(engine).boxed()),
    ("received events", |engine| received::tick(engine).boxed()),
    ("retention", |engine| retention::tick(engine).boxed()),
    ("schedules", |engine| schedules::tick(engine).boxed()),
    ("statistics", |engine| statistics::tick(engine).boxed()),
];

/// How maintenance is done.
#[derive(Clone, Debug)]
pub struct MaintenanceConfig {
    /// How long to wait after a turn that failed.
    pub retry_after: Duration,
}

impl Default for MaintenanceConfig {
    fn default() -> Self {
        Self { retry_after: Duration::from_secs(1) }
    }
}

/// The runner of the tasks. Every process that serves or works should run one; see [`Engine::maintenance`].
#[derive(Debug)]
pub struct Maintenance {
    engine: Engine,
    config: MaintenanceConfig,
}

impl Engine {
    /// What keeps the engine's house besides its workers: released holds, schedules, bulk operations and whatever else comes round
    /// by the clock. Run one in each process that serves or works; any number of them share the work.
    pub fn maintenance(&self, config: MaintenanceConfig) -> Maintenance {
        Maintenance { engine: self.clone(), config }
    }
}

impl Maintenance {
    /// Runs all tasks until `shutdown` is done. Outages of the database are waited out.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut tasks = JoinSet::new();
        for (name, tick) in TASKS {
            tasks.spawn(repeat(self.engine.clone(), self.config.clone(), name, *tick));
        }
        let token = Uuid::new_v4();
        for sink in self.engine.shared_sinks() {
            tasks.spawn(relay::relay(self.engine.clone(), sink.clone(), token));
        }
        shutdown.await;
        // A turn that is cut off here is rolled back, as in a crash.
        tasks.shutdown().await;
        relay::give_up(&self.engine, token).await;
    }
}

/// One task, turn after turn. A failure is logged once, until a turn succeeds again.
async fn repeat(engine: Engine, config: MaintenanceConfig, name: &'static str, tick: Tick) {
    let mut failing = false;
    loop {
        let turn = async {
            let turned = tokio::time::timeout(TURN_WITHIN, tick(&engine)).await;
            turned.unwrap_or_else(|_| Err(Error::Unavailable(sqlx::Error::PoolTimedOut)))
        };
        let pause = match AssertUnwindSafe(turn).catch_unwind().await {
            Ok(Ok(pause)) => {
                failing = false;
                pause
            }
            Ok(Err(error)) => {
                if failing {
                    tracing::debug!(%error, task = name, "maintenance still waits");
                } else {
                    tracing::warn!(%error, task = name, "maintenance: a turn failed; another follows");
                }
                failing = true;
                config.retry_after
            }
            Err(panic) => {
                tracing::error!(panic = panic_message(panic.as_ref()), task = name, "maintenance: a turn panicked");
                engine.meters().tasks_died.increment(1);
                config.retry_after
            }
        };
        // Spread out, so that processes that were started together don't all come at the same moment.
        tokio::time::sleep(pause.mul_f64(0.9 + 0.2 * rand::random::<f64>())).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;
    use crate::engine::registry::Registry;

    static TURNS: AtomicU32 = AtomicU32::new(0);

    #[tokio::test(start_paused = true)]
    async fn a_turn_without_an_answer_is_followed_by_another() {
        let pool = sqlx::PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/none").expect("a URL");
        let silent: Tick = |_| {
            TURNS.fetch_add(1, Ordering::Relaxed);
            pending().boxed()
        };
        let turns = repeat(Engine::new(pool, Registry::new()), MaintenanceConfig::default(), "silent", silent);
        assert!(tokio::time::timeout(2 * TURN_WITHIN, turns).await.is_err(), "it goes on");
        assert_eq!(TURNS.load(Ordering::Relaxed), 2);
    }
}
