//! A run that kills its workers is found among those that it was held beside.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use backstitch::engine::{Activity, ActivityContext, ActivityError, Context, Failure, Workflow};

use crate::support::{engine::*, script::*, wait_until, wait_until_within};

/// Takes longer than the poison needs to kill its worker.
struct Innocent;
impl Activity for Innocent {
    const NAME: &'static str = "innocent";
    type Input = ();
    type Output = ();
    async fn run(&self, _: &ActivityContext, (): &()) -> Result<(), ActivityError> {
        tokio::time::sleep(Duration::from_millis(250)).await;
        Ok(())
    }
}

/// Counts its attempts: the test kills the worker at each.
struct Poison(Arc<AtomicUsize>);
impl Activity for Poison {
    const NAME: &'static str = "poison";
    type Input = ();
    type Output = ();
    async fn run(&self, _: &ActivityContext, (): &()) -> Result<(), ActivityError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }
}

struct Calls;
impl Workflow for Calls {
    const NAME: &'static str = "calls";
    type Input = bool;
    type Output = ();
    async fn run(&self, cx: &Context, kills: bool) -> Result<(), Failure> {
        if kills {
            cx.call::<Poison>(()).await?
        } else {
            cx.call::<Innocent>(()).await?
        }
        Ok(())
    }
}

#[tokio::test]
async fn poison_costs_none_of_sixty_runs_beside_it() {
    let mut t = TestEngine::idle().await;
    let killing = Arc::new(AtomicUsize::new(0));
    t.execute("INSERT INTO backstitch.workflow (name, version) VALUES ('calls', 1)").await;
    let mut innocent = Vec::new();
    for _ in 0..60 {
        innocent.push(t.start_of("calls", &false).await);
    }
    let poison = t.start_of("calls", &true).await;
    let mut losses = 0;
    loop {
        let registry = t.script.registry().workflow(Calls).activity(Innocent).activity(Poison(killing.clone()));
        let at = t.add_worker_with(config("w"), registry).await;
        let (engine, killing) = (t.engine.clone(), killing.clone());
        wait_until_within(Duration::from_secs(60), "the worker is killed, or the poison is found", async move || {
            killing.load(Ordering::SeqCst) > losses || engine.run(poison).await.is_ok_and(|run| run.status == "stuck")
        })
        .await;
        if t.run(poison).await.status == "stuck" {
            break;
        }
        losses += 1;
        t.workers[at].kill().await;
        t.take_over_all().await;
    }
    assert_eq!((losses, t.run(poison).await.failure.map(|failure| failure.code)), (10, Some("poison".to_owned())));
    for run in innocent {
        t.is(run, "completed").await;
    }
    t.finish().await;
}

#[tokio::test]
async fn progress_clears_a_suspect() {
    let mut t = TestEngine::idle().await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let run = t.start(&[call("note"), call("reserve")]).await;
    t.execute("UPDATE backstitch.ready SET takeovers = 9, fresh = false").await;
    t.add_worker(config("w0")).await;
    gate.is_reached().await;
    wait_until("its losses are forgotten", async || t.count("ready WHERE takeovers = 0").await == 1).await;
    gate.open();
    t.is(run, "completed").await;
    t.finish().await;
}
