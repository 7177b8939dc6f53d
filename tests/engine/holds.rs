//! What is held back does not begin, what is under way ends, and after the release everything goes on.

use backstitch::engine::{Engine, HoldKind, MaintenanceConfig, Operator, Run, RunId, WorkerConfig};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{engine::*, script::*, wait_for, wait_until};

async fn hold(t: &TestEngine, kind: HoldKind, name: &str) {
    t.engine.hold(kind, name, &operator()).await.expect("the hold is accepted");
}

async fn release(t: &TestEngine, kind: HoldKind, name: &str) {
    t.engine.release(kind, name, &operator()).await.expect("the release is accepted");
}

/// A worker of both queues.
async fn with_two_queues() -> TestEngine {
    let mut t = TestEngine::idle().await;
    t.add_worker(WorkerConfig { queues: vec!["default".into(), "payments".into()], ..config("w0") }).await;
    t
}

async fn start_apart(t: &TestEngine, program: &[Op]) -> RunId {
    let mut apart = request("deadlined", program);
    apart.queue = Some("payments".to_owned());
    t.engine.start(apart).await.expect("the start is accepted").run
}

/// Waits until the worker puts runs of an activity aside that was not held before: it knows of all earlier holds then.
async fn the_worker_knows(t: &TestEngine) {
    hold(t, HoldKind::Activity, "ship").await;
    wait_for("the worker knows of the holds", async || {
        let probe = start_apart(t, &[call("ship")]).await;
        let settled = |run: &Run| run.status == "completed" || held(run).is_some();
        let seen = t.until(probe, "the probe ends or is put aside", settled).await;
        if held(&seen) == Some("ship") { Ok(()) } else { Err("a probe went through".to_owned()) }
    })
    .await;
}

/// The name of the hold that the run waits for.
fn held(run: &Run) -> Option<&str> {
    run.waiting_on.as_ref().filter(|waiting| waiting.kind == "hold")?.name.as_deref()
}

async fn is_held_by(t: &TestEngine, run: RunId, name: &'static str) -> Run {
    t.until(run, "the run waits for a hold", move |run| held(run) == Some(name)).await
}

/// Maintenance, until it is dropped.
fn maintenance(engine: &Engine) -> impl Drop + use<> {
    let stop = CancellationToken::new();
    tokio::spawn(engine.maintenance(MaintenanceConfig::default()).run(stop.clone().cancelled_owned()));
    stop.drop_guard()
}

#[tokio::test]
async fn a_held_workflow_or_queue_is_not_claimed() {
    for (kind, name) in [(HoldKind::Workflow, "scripted"), (HoldKind::Queue, "default")] {
        let t = with_two_queues().await;
        hold(&t, kind, name).await;
        let run = t.start(&[call("note")]).await;
        // What is claimed after it shows that claims have passed it over.
        let other = start_apart(&t, &[call("note")]).await;
        t.is(other, "completed").await;
        let seen = is_held_by(&t, run, name).await;
        assert_eq!((seen.status.word(), t.script.count("note", Side::Run)), ("pending", 1), "{kind:?}");
        release(&t, kind, name).await;
        t.is(run, "completed").await;
        t.finish().await;
    }
}

#[tokio::test]
async fn a_hold_lets_the_attempt_end_and_nothing_begin() {
    for (kind, name) in [(HoldKind::Workflow, "scripted"), (HoldKind::Queue, "default"), (HoldKind::Activity, "charge")]
    {
        let t = with_two_queues().await;
        let gate = t.script.gate("reserve", Side::Run, Do::Ok);
        let run = t.start(&[call("reserve"), call("charge")]).await;
        gate.is_reached().await;
        hold(&t, kind, name).await;
        the_worker_knows(&t).await;
        gate.open();
        let seen = is_held_by(&t, run, name).await;
        assert_eq!((outcome(&seen, "reserve", "forward"), t.script.count("charge", Side::Run)), ("ok", 0), "{kind:?}");
        release(&t, kind, name).await;
        t.is(run, "completed").await;
        assert_eq!((t.script.count("reserve", Side::Run), t.script.count("charge", Side::Run)), (1, 1), "{kind:?}");
        t.finish().await;
    }
}

#[tokio::test]
async fn a_hold_stops_what_a_decision_was_about_to_begin() {
    let t = with_two_queues().await;
    let (one, other) = (Gate::new(), Gate::new());
    t.script.on("reserve", Side::Run, [Do::Gate(one.clone(), Box::new(Do::Ok))]);
    t.script.on("note", Side::Run, [Do::Gate(other.clone(), Box::new(Do::Ok))]);
    let run = t.start(&[Op::Both(vec![call("reserve"), call("charge")], vec![call("note")])]).await;
    one.is_reached().await;
    other.is_reached().await;
    hold(&t, HoldKind::Workflow, "scripted").await;
    the_worker_knows(&t).await;
    one.open();
    t.until(run, "reserve has ended", |run| outcome(run, "reserve", "forward") == "ok").await;
    // The worker still has the run, and its attempt is not told to stop. A release now finds a step that it has not begun.
    release(&t, HoldKind::Workflow, "scripted").await;
    other.open();
    let seen = t.is(run, "completed").await;
    assert_eq!(outcome(&seen, "charge", "forward"), "ok");
    assert_eq!((t.script.count("note", Side::Run), t.script.count("charge", Side::Run)), (1, 1));
    t.finish().await;
}

#[tokio::test]
async fn a_hold_of_an_activity_holds_its_steps_alone() {
    let mut t = TestEngine::idle().await;
    hold(&t, HoldKind::Activity, "charge").await;
    t.add_worker(config("w0")).await;
    let run = t.start(&[call("reserve"), call("charge"), call("note")]).await;
    let seen = is_held_by(&t, run, "charge").await;
    assert_eq!((outcome(&seen, "reserve", "forward"), seen.status.word()), ("ok", "running"));
    t.ends(&[call("reserve"), call("note")], "completed").await;
    assert_eq!(t.script.count("charge", Side::Run), 0);
    release(&t, HoldKind::Activity, "charge").await;
    t.is(run, "completed").await;
    assert_eq!((t.script.count("reserve", Side::Run), t.script.count("charge", Side::Run)), (2, 1));
    t.finish().await;
}

#[tokio::test]
async fn holding_an_activity_holds_its_undos_and_verifications() {
    let t = with_two_queues().await;
    let gate = t.script.gate("charge", Side::Run, Do::Unknown("timeout"));
    t.script.always("charge", Side::Verify, Do::Happened(json!("paid")));
    let undone = t.start(&[call("reserve"), signal("go", None), Op::Fail("no".to_owned())]).await;
    t.is(undone, "waiting").await;
    let cancelled = t.start(&[call("charge")]).await;
    gate.is_reached().await;
    for name in ["reserve", "charge"] {
        hold(&t, HoldKind::Activity, name).await;
    }
    the_worker_knows(&t).await;
    t.send(undone, "go", json!(1)).await;
    gate.open();
    let seen = is_held_by(&t, undone, "reserve").await;
    assert_eq!((seen.status.word(), outcome(&seen, "reserve", "undo")), ("compensating", "open"));
    is_held_by(&t, cancelled, "charge").await;
    assert_eq!((t.script.count("charge", Side::Verify), t.script.undone().len()), (0, 0));
    release(&t, HoldKind::Activity, "reserve").await;
    t.is(undone, "compensated").await;
    assert_eq!(t.script.count("charge", Side::Verify), 0);
    release(&t, HoldKind::Activity, "charge").await;
    t.is(cancelled, "completed").await;
    assert_eq!((t.script.count("charge", Side::Run), t.script.count("charge", Side::Verify)), (1, 1));
    t.finish().await;
}

#[tokio::test]
async fn a_cancel_works_under_a_hold_of_an_activity() {
    let mut t = TestEngine::idle().await;
    hold(&t, HoldKind::Activity, "charge").await;
    t.add_worker(config("w0")).await;
    let run = t.start(&[call("reserve"), call("charge")]).await;
    is_held_by(&t, run, "charge").await;
    t.engine.cancel(run, &operator()).await.expect("the cancel is accepted");
    let seen = t.is(run, "compensated").await;
    assert_eq!((outcome(&seen, "reserve", "undo"), t.script.count("charge", Side::Run)), ("ok", 0));
    t.finish().await;
}

#[tokio::test]
async fn a_signal_reaches_a_run_that_was_put_aside() {
    let mut t = TestEngine::idle().await;
    hold(&t, HoldKind::Activity, "charge").await;
    t.add_worker(config("w0")).await;
    let run = t.start(&[Op::Both(vec![signal("go", None), call("note")], vec![call("charge")])]).await;
    is_held_by(&t, run, "charge").await;
    t.send(run, "go", json!(1)).await;
    t.until(run, "note is done", |run| outcome(run, "note", "forward") == "ok").await;
    is_held_by(&t, run, "charge").await;
    release(&t, HoldKind::Activity, "charge").await;
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn timers_of_a_held_run_fire_in_time() {
    let mut t = TestEngine::idle().await;
    hold(&t, HoldKind::Activity, "charge").await;
    t.add_worker(config("w0")).await;
    t.script.on("slow", Side::Run, [Do::Failed("busy")]);
    let slept = t.start(&[Op::Both(vec![Op::Sleep(60_000), call("note")], vec![call("charge")])]).await;
    let late = t.start(&[Op::Try("reserve".to_owned()), Op::Within("charge".to_owned(), 60_000)]).await;
    is_held_by(&t, slept, "charge").await;
    is_held_by(&t, late, "charge").await;
    t.advance(61.0).await;
    let _running = maintenance(&t.engine);
    t.until(slept, "note is done", |run| outcome(run, "note", "forward") == "ok").await;
    let late = t.is(late, "compensated").await;
    assert_eq!(late.failure.map(|failure| failure.code).as_deref(), Some("deadline_exceeded"));
    is_held_by(&t, slept, "charge").await;
    release(&t, HoldKind::Activity, "charge").await;
    t.is(slept, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_run_held_back_after_the_release_comes_back() {
    let mut t = TestEngine::idle().await;
    hold(&t, HoldKind::Activity, "charge").await;
    t.add_worker(config("w0")).await;
    let run = t.start(&[call("charge")]).await;
    is_held_by(&t, run, "charge").await;
    // As if the hold had been released just before the worker put the run aside: nobody has brought it back.
    t.execute("DELETE FROM backstitch.hold").await;
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn maintenance_brings_back_runs_that_dead_workers_held_back() {
    let mut t = TestEngine::idle().await;
    hold(&t, HoldKind::Activity, "charge").await;
    t.add_worker(config("w0")).await;
    let run = t.start(&[call("charge")]).await;
    is_held_by(&t, run, "charge").await;
    t.drain_workers().await;
    t.execute("DELETE FROM backstitch.hold").await;
    let _running = maintenance(&t.engine);
    t.add_worker(config("w1")).await;
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_release_brings_back_only_what_can_go_on() {
    let mut t = TestEngine::idle().await;
    for name in ["charge", "ship"] {
        hold(&t, HoldKind::Activity, name).await;
    }
    t.add_worker(config("w0")).await;
    t.script.on("slow", Side::Run, [Do::Failed("busy")]);
    let stays = t.start(&[Op::Both(vec![call("slow")], vec![call("charge")])]).await;
    let slept = t.start(&[Op::Both(vec![Op::Sleep(60_000), call("note")], vec![call("charge")])]).await;
    let released = t.start(&[call("ship")]).await;
    for (run, name) in [(stays, "charge"), (slept, "charge"), (released, "ship")] {
        is_held_by(&t, run, name).await;
    }
    t.drain_workers().await;
    // Its other step is due for its next attempt, and held as well.
    hold(&t, HoldKind::Activity, "slow").await;
    t.execute("DELETE FROM backstitch.hold WHERE name = 'ship'").await;
    t.advance(61.0).await;
    let running = maintenance(&t.engine);
    // Whatever brings these two back has looked at the third.
    for run in [slept, released] {
        let home = format!("ready WHERE run_id = '{run}' AND queue = 'default'");
        wait_until("it is brought back", async || t.count(&home).await == 1).await;
    }
    assert_eq!(t.count(&format!("ready WHERE run_id = '{stays}' AND queue = '@activity/charge'")).await, 1);
    drop(running);
    for name in ["charge", "slow"] {
        release(&t, HoldKind::Activity, name).await;
    }
    t.add_worker(config("w1")).await;
    for run in [stays, slept, released] {
        t.is(run, "completed").await;
    }
    t.finish().await;
}

#[tokio::test]
async fn a_run_that_nobody_brings_back_is_in_limbo() {
    let mut t = TestEngine::idle().await;
    hold(&t, HoldKind::Activity, "charge").await;
    t.add_worker(config("w0")).await;
    let run = t.start(&[call("charge")]).await;
    is_held_by(&t, run, "charge").await;
    t.drain_workers().await;
    t.advance(120.0).await;
    assert_eq!(t.engine.limbo().await.expect("limbo can be asked for"), []);
    t.execute("DELETE FROM backstitch.hold").await;
    let limbo = t.engine.limbo().await.expect("limbo can be asked for");
    assert_eq!(limbo.iter().map(|limbo| limbo.run).collect::<Vec<_>>(), [run]);
    let _running = maintenance(&t.engine);
    t.add_worker(config("w1")).await;
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_hold_is_audited_and_a_repeated_one_changes_nothing() {
    let t = TestEngine::idle().await;
    let first = t.engine.hold(HoldKind::Activity, "charge", &operator()).await.expect("the hold is accepted");
    let other = Operator { actor: "bob".to_owned(), ..operator() };
    let again = t.engine.hold(HoldKind::Activity, "charge", &other).await.expect("the hold is accepted");
    assert_eq!((&again, t.engine.holds().await.expect("holds")), (&first, vec![first.clone()]));
    release(&t, HoldKind::Activity, "charge").await;
    let code = |result: Result<_, backstitch::engine::Error>| result.map(|_| ()).map_err(|error| error.code());
    assert_eq!(code(t.engine.release(HoldKind::Activity, "charge", &other).await), Err("unknown_hold"));
    let silent = Operator { reason: None, ..operator() };
    assert_eq!(code(t.engine.hold(HoldKind::Queue, "default", &silent).await), Err("reason_required"));
    assert_eq!(code(t.engine.hold(HoldKind::Workflow, "nobody", &other).await), Err("unknown_workflow"));
    assert_eq!(code(t.engine.hold(HoldKind::Queue, "@activity/x", &other).await), Err("invalid_request"));
    let audit: Vec<(String, String, String, Option<String>)> =
        sqlx::query_as("SELECT actor, action, subject, code FROM backstitch.audit ORDER BY id")
            .fetch_all(t.engine.pool())
            .await
            .expect("the audit");
    let row = |actor: &str, action: &str, subject: &str, code: Option<&str>| {
        (actor.to_owned(), action.to_owned(), subject.to_owned(), code.map(str::to_owned))
    };
    assert_eq!(
        audit,
        [
            row("ann", "hold", "activity charge", None),
            row("ann", "release", "activity charge", None),
            row("bob", "release", "activity charge", Some("unknown_hold")),
            row("ann", "hold", "queue default", Some("reason_required")),
            row("bob", "hold", "workflow nobody", Some("unknown_workflow")),
            row("bob", "hold", "queue @activity/x", Some("invalid_request")),
        ]
    );
    assert!(t.engine.holds().await.expect("holds").is_empty());
    t.finish().await;
}

#[tokio::test]
async fn no_run_is_started_in_a_queue_of_ours() {
    let t = TestEngine::idle().await;
    let mut start = request("scripted", &[call("note")]);
    start.queue = Some("@activity/charge".to_owned());
    assert_eq!(t.engine.start(start).await.map_err(|error| error.code()).err(), Some("invalid_request"));
    t.finish().await;
}
