//! What a deployment meets: builds side by side, queues that nobody serves, mistakes of registration.

use std::time::Duration;

use backstitch::engine::{
    Activity, ActivityContext, ActivityError, Engine, MaintenanceConfig, Registry, RunId, Verified,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{engine::*, script::*, wait_for, wait_until};

/// Maintenance, until it is dropped.
fn maintenance(engine: &Engine) -> impl Drop + use<> {
    let stop = CancellationToken::new();
    tokio::spawn(engine.maintenance(MaintenanceConfig::default()).run(stop.clone().cancelled_owned()));
    stop.drop_guard()
}

#[tokio::test]
async fn a_deadline_holds_where_the_code_is_elsewhere() {
    let t = TestEngine::new().await;
    let without_code = Engine::new(t.engine.pool().clone(), Registry::new());
    let late = without_code.start(request("deadlined", &[call("reserve"), signal("go", None)])).await;
    let late = late.expect("the start is accepted").run;
    t.is(late, "waiting").await;
    t.advance(61.0).await;
    let late = t.is(late, "compensated").await;
    assert_eq!(late.failure.expect("it says why").code, "deadline_exceeded");
    t.finish().await;
}

#[tokio::test]
async fn a_deadline_holds_in_a_queue_that_nobody_serves() {
    let t = TestEngine::new().await;
    let _maintenance = maintenance(&t.engine);
    let away = t.start_of("deadlined", &[call("reserve"), call("pay")]).await;
    let home = {
        let mut request = request("deadlined", &[call("reserve")]);
        request.queue = Some("nowhere".to_owned());
        t.engine.start(request).await.expect("the start is accepted").run
    };
    wait_until("both are in queues that nobody serves", async || {
        t.count("ready WHERE lane IS NULL AND queue IN ('payments', 'nowhere')").await == 2
    })
    .await;
    t.advance(61.0).await;
    let failure = |run: backstitch::engine::Run| run.failure.map(|failure| failure.code);
    assert_eq!(failure(t.is(away, "compensated").await), Some("deadline_exceeded".to_owned()));
    assert_eq!(failure(t.is(home, "failed").await), Some("deadline_exceeded".to_owned()));
    assert_eq!(t.script.undone(), ["reserve"]);
    t.finish().await;
}

#[tokio::test]
async fn a_signal_is_taken_in_a_queue_that_nobody_serves() {
    let t = TestEngine::new().await;
    let _maintenance = maintenance(&t.engine);
    let branches = Op::Both(vec![call("pay")], vec![signal("go", None), call("ship")]);
    let run = t.start(&[branches]).await;
    wait_until("it is handed over", async || t.count("ready WHERE queue = 'payments' AND lane IS NULL").await == 1)
        .await;
    t.send(run, "go", json!(1)).await;
    t.until(run, "the other branch goes on", |run| outcome(run, "ship", "forward") == "ok").await;
    assert_eq!(t.script.count("pay", Side::Run), 0);
    t.finish().await;
}

/// A run that waits at its second step, and a worker whose code asks for another first step.
async fn with_another_build() -> (TestEngine, RunId) {
    let mut t = TestEngine::idle().await;
    let right = t.add_worker(config("right")).await;
    let run = t.start_of("shifty", &()).await;
    t.is(run, "waiting").await;
    t.workers[right].drain().await;
    let other = Script::default();
    other.set_flag(true);
    t.add_worker_with(config("wrong"), other.registry()).await;
    // Another build works beside it, as far as can be seen.
    t.execute(
        "WITH w AS (INSERT INTO backstitch.worker (name, queues, workflows, slots)
            SELECT 'busy', queues, workflows, 1 FROM backstitch.worker WHERE name = 'wrong' RETURNING id)
         INSERT INTO backstitch.lane (worker_id, beat) SELECT id, 'infinity' FROM w",
    )
    .await;
    t.send(run, "go", json!(1)).await;
    (t, run)
}

#[tokio::test]
async fn another_build_goes_on_with_its_run() {
    let (mut t, run) = with_another_build().await;
    wait_until("it is handed on", async || t.count("ready WHERE handed_on = 1 AND lane IS NULL").await == 1).await;
    t.workers[1].drain().await;
    t.add_worker(config("right again")).await;
    t.advance(2.0).await;
    t.is(run, "completed").await;
    assert_eq!((t.script.count("note", Side::Run), t.count("attention").await), (1, 0));
    t.finish().await;
}

#[tokio::test]
async fn a_run_that_no_build_replays_is_stuck() {
    let (t, run) = with_another_build().await;
    wait_for("it is stuck", async || {
        t.advance(61.0).await;
        let seen = t.run(run).await;
        if seen.status == "stuck" { Ok(()) } else { Err(format!("{} {:?}", seen.status, seen.waiting_on)) }
    })
    .await;
    assert_eq!(t.run(run).await.failure.map(|failure| failure.code), Some("nondeterminism".to_owned()));
    t.finish().await;
}

macro_rules! odd {
    ($type:ident, $name:literal, $($item:item)*) => {
        struct $type;
        impl Activity for $type {
            const NAME: &'static str = $name;
            $($item)*
            type Input = ();
            type Output = ();
            async fn run(&self, _: &ActivityContext, (): &()) -> Result<(), ActivityError> {
                Ok(())
            }
        }
    };
}

odd!(Plain, "plain",);
odd!(Same, "plain",);
odd!(Undone, "undone", const UNDOABLE: bool = true;);
odd!(
    Forgot,
    "forgot",
    async fn undo(&self, _: &ActivityContext, (): &(), _: Option<&()>) -> Result<(), ActivityError> {
        Ok(())
    }
);
odd!(
    Looked,
    "looked",
    async fn verify(&self, _: &ActivityContext, (): &()) -> Result<Verified<()>, ActivityError> {
        Ok(Verified::NotYet)
    }
);
odd!(Silent, "silent", const VERIFIABLE: bool = true;);

#[tokio::test]
async fn what_would_fail_in_silence_is_refused_at_registration() {
    let t = TestEngine::idle().await;
    assert!(Registry::new().activity(Plain).check().is_ok());
    let wrong: [(Registry, &str); 6] = [
        (Registry::new().activity(Plain).activity(Same), "two activities are named plain"),
        (Registry::new().workflow(Scripted).workflow(Scripted), "two workflows are named scripted"),
        (Registry::new().activity(Undone), "undone says that it is UNDOABLE, but has no `undo`"),
        (Registry::new().activity(Forgot), "forgot has an `undo`, but does not say"),
        (Registry::new().activity(Looked), "looked has a `verify`, but does not say"),
        (Registry::new().activity(Silent), "silent says that it is VERIFIABLE"),
    ];
    for (registry, what) in wrong {
        let engine = Engine::new(t.engine.pool().clone(), registry);
        let working = engine.worker(config("w0")).run(tokio::time::sleep(Duration::from_secs(20)));
        let refused = working.await.expect_err("it is refused");
        assert_eq!(refused.code(), "invalid_registry");
        assert!(refused.to_string().contains(what), "{refused}");
    }
    t.finish().await;
}

#[tokio::test]
async fn a_transactional_activity_can_be_tried_alone() {
    struct Counts;
    impl Activity for Counts {
        const NAME: &'static str = "counts";
        const TRANSACTIONAL: bool = true;
        type Input = ();
        type Output = i64;
        async fn run(&self, cx: &ActivityContext, (): &()) -> Result<i64, ActivityError> {
            let mut tx = cx.tx().await?;
            Ok(sqlx::query_scalar("SELECT count(*) FROM backstitch.clock").fetch_one(&mut *tx).await?)
        }
    }
    let t = TestEngine::idle().await;
    let tx = t.engine.begin().await.expect("a transaction");
    let cx = ActivityContext::for_tests(RunId::nil(), 0, "key").with_transaction(tx);
    assert_eq!(Counts.run(&cx, &()).await, Ok(1));
    let tx = cx.into_transaction().expect("it is given back");
    tx.rollback().await.expect("it can be rolled back");
    t.finish().await;
}
