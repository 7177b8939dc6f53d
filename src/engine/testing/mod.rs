//! A harness for sagas: runs a workflow of yours under every fault that has a name, and asks you after each whether the
//! world adds up.
//!
//! 1. as it is, to learn its steps;
//! 2. each step fails for good;
//! 3. each step's answer is lost, before or after its effect, once or for good;
//! 4. every do and undo is done twice, also while each step in turn fails;
//! 5. each undo fails once by itself, and once until an operator has it tried again, while each step in turn fails;
//! 6. the worker dies before and after each commit, and another takes the run over.
//!
//! Sleeps, waits for retries and starts to come take no time: the harness moves the database's clock. A run that gets stuck (after its pivot, or on an undo) is tried again as an operator would. For tests only: nothing of
//! it is at work in a service. Steps must come at the same positions in each trial, so a saga whose steps run side by
//! side should ask for them in a fixed order.

mod crash;
mod inject;

use std::{future::Future, sync::Arc, time::Duration};

use sqlx::PgPool;

pub use super::worker::{Faults, Moment};

use self::inject::{Fault, Faulty, Plan, Plans};
use super::{
    api::Operator,
    api::{Engine, StartRun},
    core::{
        model::{Direction, RunId, WaitKind},
        time::Moment as _,
    },
    error::Error,
    read_models::{Run, RunStatus, RunStep},
    registry::Registry,
    store,
    worker::WorkerConfig,
};

/// A saga to be tested, and its world.
pub trait Saga: Send + Sync {
    /// A new pool on the migrated database. Called once per worker, in the runtime that uses it; each must be able to
    /// hold several connections.
    fn pool(&self) -> PgPool;
    /// The workflow and its activities.
    fn registry(&self, pool: &PgPool) -> Registry;
    /// What a run is started with. Called once per trial, with the run's id, which the world may be told apart by.
    fn start(&self, run: RunId) -> StartRun;
    /// Starts a run, for sagas that are started through something else: gives its id, which need not be the proposed one.
    fn begin(&self, engine: &Engine, proposed: RunId) -> impl Future<Output = Result<RunId, Error>> + Send {
        let request = StartRun { id: Some(proposed), ..self.start(proposed) };
        let engine = engine.clone();
        async move { engine.start(request).await.map(|started| started.run) }
    }
    /// Does what the outside world does for a run that waits for a signal: sends one, or lets the time pass ([`advance`]) until the
    /// wait is over. For timers and retries the harness itself lets the time pass.
    fn nudge(&self, _engine: &Engine, _run: &Run) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
    /// Whether the world adds up, now that the run has ended: all of it in place, or nothing left of it. The message says
    /// what does not.
    fn check(&self, pool: &PgPool, run: &Run) -> impl Future<Output = Result<(), String>> + Send;
}

/// What was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Runs with and without injected faults.
    pub trials: usize,
    /// Runs whose worker was killed at a commit.
    pub crashes: usize,
}

/// What did not hold.
#[derive(Debug, thiserror::Error)]
pub enum Breach {
    /// The world does not add up, or the run took another way than it should have.
    #[error("{trial}: {what}")]
    Promise {
        /// The trial, in words.
        trial: String,
        /// What is wrong.
        what: String,
    },
    /// The trial could not be carried out.
    #[error("{trial}: the engine failed")]
    Engine {
        /// The trial, in words.
        trial: String,
        /// Why.
        #[source]
        error: Error,
    },
}

impl Breach {
    fn promise(trial: &str, what: impl Into<String>) -> Self {
        Self::Promise { trial: trial.to_owned(), what: what.into() }
    }
}

/// How long a run may take to end, or to get stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// Runs that a trial may take until one comes to its fault.
const RUNS_OF_A_TRIAL: usize = 5;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Runs a saga under every fault.
///
/// # Errors
/// The first breach.
pub async fn try_everything<S: Saga>(saga: &S) -> Result<Report, Breach> {
    let mut report = try_faults(saga).await?;
    report.crashes = try_crashes(saga).await?.crashes;
    Ok(report)
}

/// Crashes only.
///
/// # Errors
/// The first breach.
pub async fn try_crashes<S: Saga>(saga: &S) -> Result<Report, Breach> {
    Ok(Report { trials: 0, crashes: crash::try_crashes(saga).await? })
}

/// Everything but crashes.
///
/// # Errors
/// The first breach.
pub async fn try_faults<S: Saga>(saga: &S) -> Result<Report, Breach> {
    let pool = saga.pool();
    let plans = Arc::new(Plans::default());
    let wrapping = plans.clone();
    let registry =
        saga.registry(&pool).wrapped(|inner| Arc::new(Faulty { inner: inner.clone(), plans: wrapping.clone() }));
    registry.check().map_err(|error| Breach::Engine { trial: "registration".to_owned(), error })?;
    let engine = Engine::new(pool.clone(), registry);
    let stop = tokio_util::sync::CancellationToken::new();
    let working = tokio::spawn(engine.worker(config("harness")).run(stop.clone().cancelled_owned()));
    let mut harness = Harness { saga, engine, pool, plans, trials: 0 };
    let tried = harness.all().await;
    stop.cancel();
    let _ = working.await;
    tried.map(|()| Report { trials: harness.trials, crashes: 0 })
}

/// Moves the clock of the engine's database, by which timers, retries and deadlines are judged: for tests only.
///
/// # Errors
/// When the database fails.
pub async fn advance(engine: &Engine, by: Duration) -> Result<(), Error> {
    store::move_clock(engine.schema(), &mut *engine.acquire().await?, by).await
}

fn config(name: &str) -> WorkerConfig {
    let poll_interval = Duration::from_millis(20);
    WorkerConfig { name: name.to_owned(), slots: 8, lanes: 1, poll_interval, ..WorkerConfig::default() }
}

struct Harness<'a, S> {
    saga: &'a S,
    engine: Engine,
    pool: PgPool,
    plans: Arc<Plans>,
    trials: usize,
}

impl<S: Saga> Harness<'_, S> {
    async fn all(&mut self) -> Result<(), Breach> {
        let plain = self.trial("without a fault", Plan::default()).await?;
        let steps: Vec<(u32, String)> = activities(&plain).map(|step| (step.seq, step.name.clone())).collect();
        if steps.is_empty() {
            return Err(Breach::promise("without a fault", "the run has no step"));
        }
        self.trial("everything done twice", Plan { twice: true, ..Plan::default() }).await?;
        for (seq, name) in &steps {
            let undone = self.failing(*seq, name).await?;
            self.losing(*seq, name).await?;
            for undo in undone {
                self.failing_undo(*seq, name, undo).await?;
            }
        }
        Ok(())
    }

    /// The step fails for good, also with everything done twice. Gives the steps that were undone for it.
    async fn failing(&mut self, seq: u32, name: &str) -> Result<Vec<u32>, Breach> {
        let faults = [((seq, Direction::Forward), Fault::Fails { for_good: true })];
        let trial = format!("step {seq} ({name}) fails for good");
        let run = self.trial(&trial, Plan { faults: faults.into(), ..Plan::default() }).await?;
        let twice = Plan { faults: faults.into(), twice: true, ..Plan::default() };
        self.trial(&format!("{trial}, everything else is done twice"), twice).await?;
        let steps = run.steps.iter().flatten();
        Ok(steps.filter(|step| step.direction == Direction::Undo).map(|step| step.seq).collect())
    }

    /// The step's answer is lost.
    async fn losing(&mut self, seq: u32, name: &str) -> Result<(), Breach> {
        for for_good in [false, true] {
            let how = if for_good { "for good" } else { "once" };
            for (fault, when) in
                [(Fault::UnknownBefore { for_good }, "before"), (Fault::UnknownAfter { for_good }, "after")]
            {
                let faults = [((seq, Direction::Forward), fault)].into();
                let trial = format!("step {seq} ({name}) is unknown {how}, {when} its effect");
                self.trial(&trial, Plan { faults, ..Plan::default() }).await?;
            }
        }
        Ok(())
    }

    /// The step fails for good, and the undo of another fails as well.
    async fn failing_undo(&mut self, seq: u32, name: &str, undo: u32) -> Result<(), Breach> {
        let faults = [
            (Fault::Fails { for_good: false }, "fails once"),
            (Fault::Fails { for_good: true }, "fails until an operator comes"),
            (Fault::UnknownAfter { for_good: false }, "is unknown after its effect"),
        ];
        for (fault, how) in faults {
            let failing = ((seq, Direction::Forward), Fault::Fails { for_good: true });
            let faults = [failing, ((undo, Direction::Undo), fault)].into();
            let trial = format!("step {seq} ({name}) fails for good, and the undo of step {undo} {how}");
            self.trial(&trial, Plan { faults, ..Plan::default() }).await?;
        }
        Ok(())
    }

    /// A trial. Where news come in another order than in the run whose steps are tried, a run may have no such step: then
    /// another run tries it.
    async fn trial(&mut self, trial: &str, plan: Plan) -> Result<Run, Breach> {
        for _ in 1..RUNS_OF_A_TRIAL {
            if let (run, None) = self.one_run(trial, plan.clone()).await? {
                return Ok(run);
            }
        }
        match self.one_run(trial, plan).await? {
            (run, None) => Ok(run),
            (run, Some((seq, direction))) => {
                let what = format!("no run came to the {direction} attempt of step {seq}: the last is {}", run.status);
                Err(Breach::promise(trial, what))
            }
        }
    }

    /// One run, to its end, and the world's check; with a fault that the run never came to.
    async fn one_run(&mut self, trial: &str, plan: Plan) -> Result<(Run, Option<(u32, Direction)>), Breach> {
        self.trials += 1;
        let engine = |error| Breach::Engine { trial: trial.to_owned(), error };
        let id = RunId::now_v7();
        let faults: Vec<_> = plan.faults.keys().copied().collect();
        self.plans.set_for_next(plan);
        let started = self.saga.begin(&self.engine, id).await.map_err(engine)?;
        let run = end(self.saga, &self.engine, started, trial).await?;
        let happened = self.plans.happened(started);
        self.saga.check(&self.pool, &run).await.map_err(|what| Breach::promise(trial, what))?;
        Ok((run, faults.into_iter().find(|fault| !happened.contains(fault))))
    }
}

fn activities(run: &Run) -> impl Iterator<Item = &RunStep> {
    let steps = run.steps.iter().flatten();
    steps.filter(|step| step.activity.is_some() && step.direction == Direction::Forward)
}

/// Waits for the run's end; where it gets stuck, an operator has it try again.
async fn end<S: Saga>(saga: &S, engine: &Engine, id: RunId, trial: &str) -> Result<Run, Breach> {
    let failed = |error| Breach::Engine { trial: trial.to_owned(), error };
    let began = tokio::time::Instant::now();
    loop {
        let run = engine.run(id).await.map_err(failed)?;
        match run.status {
            status if status.has_ended() => return Ok(run),
            RunStatus::Stuck => {
                let by = Operator { actor: "harness".to_owned(), ..Operator::default() };
                engine.retry(id, &by).await.map_err(failed)?;
            }
            status if began.elapsed() > PATIENCE => {
                let what = format!("it does not end: it is {status} ({:?}), {:?}", run.failure, run.waiting_on);
                return Err(Breach::promise(trial, what));
            }
            _ => {}
        }
        match &run.waiting_on {
            Some(waiting) if waiting.kind == WaitKind::Signal => saga.nudge(engine, &run).await,
            Some(waiting) if matches!(waiting.kind, WaitKind::Timer | WaitKind::Retry | WaitKind::Start) => {
                let now = engine.now().await.map_err(failed)?;
                let left = waiting.until.map_or(Duration::ZERO, |until| until.since(now));
                advance(engine, left).await.map_err(failed)?;
            }
            _ => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
