//! Crashes: a worker on a runtime of its own dies before or after its nth commit, and another takes its runs over.
//!
//! First without another fault, then while the run is being undone. Trials go on until one ends before its crash came.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{runtime::Runtime, sync::Notify};

use super::{
    Breach, Saga, config, end,
    inject::{Fault, Faulty, Plan, Plans},
};
use crate::engine::{
    api::Engine,
    core::model::{Direction, RunId},
    error::Error,
    store::lanes,
    worker::{Faults, Moment, WorkerConfig},
};

/// The worker ends at one of its commits.
#[derive(Debug)]
struct Doom {
    left: AtomicUsize,
    at: Moment,
    here: Notify,
}

impl Faults for Doom {
    fn commit(&self, _: RunId, moment: Moment) -> BoxFuture<'_, ()> {
        let counts = moment == self.at;
        let left = || self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(1)));
        if counts && left() == Ok(1) {
            self.here.notify_one();
            // Until its runtime is shut down under it.
            return std::future::pending().boxed();
        }
        std::future::ready(()).boxed()
    }
}

/// A worker that can be killed: its runtime, its pool and whatever it does end at once.
struct Doomed(Option<Runtime>);

impl Drop for Doomed {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Gives the number of crashes that were tried.
pub(super) async fn try_crashes<S: Saga>(saga: &S) -> Result<usize, Breach> {
    let mut crashes = 0;
    let checked = saga.registry(&saga.pool()).check();
    checked.map_err(|error| Breach::Engine { trial: "registration".to_owned(), error })?;
    let plain = steps(saga).await?;
    let failing = std::iter::once(None).chain(plain.last().copied().map(Some));
    for failing in failing {
        for at in [Moment::Before, Moment::Within, Moment::After] {
            for nth in 1.. {
                if !crash(saga, failing, at, nth).await? {
                    break;
                }
                crashes += 1;
            }
        }
    }
    Ok(crashes)
}

/// The steps of a run without faults that can fail before its pivot.
async fn steps<S: Saga>(saga: &S) -> Result<Vec<u32>, Breach> {
    let trial = "without a fault";
    let (engine, _worker) = worker(saga, &Arc::default(), None);
    let id = begin(saga, &engine, trial, RunId::now_v7()).await?;
    let run = end(saga, &engine, id, trial).await?;
    let steps = run.steps.iter().flatten();
    let before_pivot = steps.take_while(|step| step.kind != "pivot").filter(|step| step.activity.is_some());
    Ok(before_pivot.map(|step| step.seq).collect())
}

/// True: the worker died at its `nth` commit, and the run ended well all the same. False: it has fewer commits.
async fn crash<S: Saga>(saga: &S, failing: Option<u32>, at: Moment, nth: usize) -> Result<bool, Breach> {
    let failure = failing.map_or_else(String::new, |seq| format!(", while step {seq} fails"));
    let trial = format!("the worker dies {at:?} commit {nth}{failure}").to_lowercase();
    let id = RunId::now_v7();
    let plans = Arc::new(Plans::default());
    let fault = |seq| ((seq, Direction::Forward), Fault::Fails { for_good: true });
    plans.set_for_next(Plan { faults: failing.map(fault).into_iter().collect(), ..Plan::default() });
    let doom = Arc::new(Doom { left: AtomicUsize::new(nth), at, here: Notify::new() });
    let (engine, doomed) = worker(saga, &plans, Some(doom.clone()));
    let id = begin(saga, &engine, &trial, id).await?;
    let ended = tokio::select! {
        ended = end(saga, &engine, id, &trial) => Some(ended?),
        () = doom.here.notified() => None,
    };
    if let Some(ended) = ended {
        saga.check(engine.pool(), &ended).await.map_err(|what| Breach::promise(&trial, what))?;
        return Ok(false);
    }
    drop(doomed);
    take_over(&engine).await.map_err(|error| Breach::Engine { trial: trial.clone(), error })?;
    let (engine, _second) = worker(saga, &plans, None);
    let ended = end(saga, &engine, id, &trial).await?;
    saga.check(engine.pool(), &ended).await.map_err(|what| Breach::promise(&trial, what))?;
    Ok(true)
}

/// Without waiting for the silence of its lanes: that they are taken over in time is tested elsewhere. A last statement of a
/// dead worker may still be at work on the server; takeover passes over its lane until that is over.
async fn take_over(engine: &Engine) -> Result<(), Error> {
    let mut conn = engine.acquire().await?;
    while lanes::any_alive(engine.schema(), &mut conn).await? {
        lanes::take_over(engine.schema(), &mut conn, Some(Duration::ZERO)).await?;
    }
    Ok(())
}

async fn begin<S: Saga>(saga: &S, engine: &Engine, trial: &str, id: RunId) -> Result<RunId, Breach> {
    saga.begin(engine, id).await.map_err(|error| Breach::Engine { trial: trial.to_owned(), error })
}

/// An engine for the caller, and a worker apart from it.
fn worker<S: Saga>(saga: &S, plans: &Arc<Plans>, faults: Option<Arc<Doom>>) -> (Engine, Doomed) {
    let registry =
        |pool| saga.registry(pool).wrapped(|inner| Arc::new(Faulty { inner: inner.clone(), plans: plans.clone() }));
    let pool = saga.pool();
    let engine = Engine::new(pool.clone(), registry(&pool));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.ok();
    if let Some(runtime) = &runtime {
        let _inside = runtime.enter();
        let pool = saga.pool();
        let faults = faults.map(|doom| doom as Arc<dyn Faults>);
        let config = WorkerConfig { faults, ..config("doomed") };
        let working = Engine::new(pool.clone(), registry(&pool)).worker(config).run(std::future::pending());
        runtime.spawn(working);
    }
    (engine, Doomed(runtime))
}
