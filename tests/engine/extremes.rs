//! Spans and moments at the ends of what has a form, and code of ours that panics: nobody but its run is hurt.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use backstitch::engine::{
    Activity, ActivityContext, ActivityError, Context, Failure, Observed, Observer, Policy, Retry, RunId, Time,
    WorkerConfig, Workflow,
    testing::{Faults, Moment},
};
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value;

use crate::support::{engine::*, script::*, wait_until};

/// Fails once, and is tried again never.
struct Later;
impl Activity for Later {
    const NAME: &'static str = "later";
    type Input = ();
    type Output = ();
    fn policy() -> Policy {
        let retry = Retry { max_attempts: 9, first: Duration::MAX, factor: f64::MAX, longest: Duration::MAX };
        Policy { retry, attempt_timeout: Duration::MAX, ..Policy::default() }
    }
    async fn run(&self, _: &ActivityContext, (): &()) -> Result<(), ActivityError> {
        Err(ActivityError::failed("later", "as the test says"))
    }
}

const WAITS: usize = 8;

/// Waits as long, or until as late, as can be said.
struct Far;
impl Workflow for Far {
    const NAME: &'static str = "far";
    const DEADLINE: Option<Duration> = Some(Duration::MAX);
    type Input = usize;
    type Output = ();
    async fn run(&self, cx: &Context, how: usize) -> Result<(), Failure> {
        match how {
            0 => cx.sleep(Duration::MAX).await,
            1 => cx.sleep_until(Time::MAX_UTC).await,
            2 => drop(cx.signal::<Value>("go").within(Duration::MAX).await?),
            3 => drop(cx.signal::<Value>("go").until(Time::MAX_UTC).await?),
            4 => cx.call::<Later>(()).deadline(Duration::MAX).await?,
            5 => cx.call::<Later>(()).deadline_at(Time::MAX_UTC).await?,
            6 => cx.call::<Later>(()).await?,
            7 => cx.sleep_until("+10000-01-01T00:00:00Z".parse().unwrap_or_default()).await,
            _ => cx.sleep_until(Time::MIN_UTC).await,
        }
        Ok(())
    }
}

#[tokio::test]
async fn no_wait_is_too_long() {
    let mut t = TestEngine::idle().await;
    t.add_worker_with(config("w0"), t.script.registry().workflow(Far).activity(Later)).await;
    for how in 0..WAITS {
        let run = t.start_of("far", &how).await;
        let waiting = t.is(run, "waiting").await;
        assert!(waiting.waiting_on.is_some_and(|wait| wait.until.is_some()), "{how}");
        let engine = t.engine.clone();
        let result = tokio::spawn(async move { engine.result(run, Duration::MAX).await });
        t.engine.cancel(run, &operator()).await.expect("it can be cancelled");
        t.is(run, "failed").await;
        assert!(result.await.expect("it does not panic").is_ok_and(|result| result.ended), "{how}");
    }
    let past = t.start_of("far", &WAITS).await;
    t.is(past, "completed").await;
    t.finish().await;
}

/// Panics in the worker's own code, so many times.
#[derive(Debug)]
struct Panics(AtomicUsize);
impl Faults for Panics {
    fn commit(&self, _: RunId, _: Moment) -> BoxFuture<'_, ()> {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(left.is_err(), "the worker panics, as the test says");
        std::future::ready(()).boxed()
    }
}

async fn with_panics(times: usize) -> TestEngine {
    let mut t = TestEngine::idle().await;
    let faults: Arc<dyn Faults> = Arc::new(Panics(AtomicUsize::new(times)));
    t.add_worker(WorkerConfig { faults: Some(faults), ..config("w0") }).await;
    t
}

#[tokio::test]
async fn a_run_over_which_the_worker_panics_is_given_back() {
    let t = with_panics(1).await;
    t.ends(&[call("reserve"), call("note")], "completed").await;
    assert_eq!(t.script.count("note", Side::Run), 1);
    t.finish().await;
}

#[tokio::test]
async fn a_run_over_which_workers_keep_panicking_is_poison() {
    let t = with_panics(10).await;
    let run = t.start(&[call("note")]).await;
    wait_until("it is stuck", async || {
        // It waits a second after each.
        t.advance(1.0).await;
        t.run(run).await.status == "stuck"
    })
    .await;
    assert_eq!(t.run(run).await.failure.map(|failure| failure.code), Some("poison".to_owned()));
    t.finish().await;
}

#[derive(Debug)]
struct Loud;
impl Observer for Loud {
    fn attempted(&self, _: &Observed<'_>) {
        panic!("the observer panics, as the test says");
    }
}

#[tokio::test]
async fn an_observer_that_panics_hurts_no_run() {
    let mut t = TestEngine::idle().await;
    t.add_worker(WorkerConfig { observer: Some(Arc::new(Loud)), ..config("w0") }).await;
    t.script.on("charge", Side::Run, [Do::Unknown("lost")]);
    t.ends(&[call("charge"), call("note")], "completed").await;
    t.finish().await;
}
