//! The worker processes, and the nemesis that kills one of them about every second and starts another in its place.
//!
//! After each kill nothing may be in limbo, and no worker may ever end by itself.

use std::{fs::File, path::PathBuf, time::Duration};

use backstitch::engine::Engine;
use tokio::{process::Child, sync::watch, task::JoinHandle};

use crate::{rng::Rng, stage::Stage, support::process};

const WORKERS: usize = 3;
const TAKEOVER_AFTER: &str = "2s";

/// Some worker processes; they die with this.
pub(crate) struct Pool {
    workers: Vec<Child>,
    database_url: String,
    gateway_url: String,
    log: PathBuf,
}

impl Pool {
    fn start(stage: &Stage) -> Self {
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{}.log", std::process::id()));
        File::create(&log).expect("the log can be written");
        let mut pool =
            Self { workers: Vec::new(), database_url: stage.database_url(), gateway_url: stage.simulator.url(), log };
        pool.workers = (0..WORKERS).map(|_| pool.worker()).collect();
        pool
    }

    fn worker(&self) -> Child {
        let log = File::options().append(true).open(&self.log).expect("the log is there");
        process::shop(&self.database_url, &self.gateway_url, &["worker"])
            .env("BACKSTITCH_TAKEOVER_AFTER", TAKEOVER_AFTER)
            .stderr(log)
            .spawn()
            .expect("a worker starts")
    }

    /// Each worker is there unless it was killed.
    pub(crate) fn all_alive(&mut self) {
        for worker in &mut self.workers {
            let ended = worker.try_wait().expect("it is ours");
            assert!(ended.is_none(), "a worker ended by itself, {ended:?}: see {}", self.log.display());
        }
    }

    async fn replace(&mut self, victim: usize) {
        self.workers[victim].kill().await.expect("SIGKILL is sent");
        self.workers[victim] = self.worker();
    }

    /// Kills what is left, and looks for panics in what they logged.
    pub(crate) async fn stop(mut self) {
        self.all_alive();
        for worker in &mut self.workers {
            worker.kill().await.expect("SIGKILL is sent");
        }
        let log = std::fs::read_to_string(&self.log).expect("the log is there");
        let panics: Vec<&str> = log.lines().filter(|line| line.contains("panicked")).take(5).collect();
        assert!(panics.is_empty(), "{panics:?}: see {}", self.log.display());
        let _ = std::fs::remove_file(&self.log);
    }
}

/// Kills until there have been enough kills.
pub(crate) struct Nemesis {
    kills: watch::Receiver<usize>,
    relent: watch::Sender<Option<usize>>,
    task: JoinHandle<Pool>,
}

impl Nemesis {
    pub(crate) fn start(stage: &Stage, rng: Rng) -> Self {
        let (counter, kills) = watch::channel(0);
        let (relent, stop_after) = watch::channel(None);
        let task = tokio::spawn(rage(Pool::start(stage), stage.engine.clone(), rng, counter, stop_after));
        Self { kills, relent, task }
    }

    /// How many there have been so far.
    pub(crate) fn kills(&self) -> watch::Receiver<usize> {
        self.kills.clone()
    }

    /// Goes on until there have been so many in all; gives the workers that are left.
    pub(crate) async fn relent_after(self, kills: usize) -> (Pool, usize) {
        self.relent.send_replace(Some(kills));
        let pool = self.task.await.expect("it kills without failing itself");
        (pool, *self.kills.borrow())
    }
}

async fn rage(
    mut pool: Pool,
    engine: Engine,
    mut rng: Rng,
    counter: watch::Sender<usize>,
    stop_after: watch::Receiver<Option<usize>>,
) -> Pool {
    while stop_after.borrow().is_none_or(|enough| *counter.borrow() < enough) {
        tokio::time::sleep(Duration::from_millis(700 + rng.below(600))).await;
        pool.all_alive();
        pool.replace(rng.below(WORKERS as u64) as usize).await;
        counter.send_modify(|kills| *kills += 1);
        let limbo = engine.limbo().await.expect("the database is there");
        assert!(limbo.is_empty(), "in limbo after kill {}: {limbo:?}", *counter.borrow());
    }
    pool
}
