//! What runs wait for: time, signals, branches; and what they find again when they are replayed.

use std::time::Duration;

use backstitch::engine::WorkerConfig;
use serde_json::json;

use crate::support::{engine::*, script::*};

#[tokio::test]
async fn a_note_of_progress_reaches_the_next_attempt() {
    let t = TestEngine::new().await;
    t.script.on("note", Side::Run, [Do::Note(json!({ "page": 7 }), Do::Failed("busy").into())]);
    t.ends(&[call("note")], "completed").await;
    assert_eq!(t.script.calls_of("note", Side::Run)[1].details, Some(json!({ "page": 7 })));
    t.finish().await;
}

#[tokio::test]
async fn side_values_are_recorded_once_over_replay() {
    let t = TestEngine::new().await;
    let run = t.start(&[Op::Uuid, Op::Random, Op::Now, signal("go", None)]).await;
    let before = t.is(run, "waiting").await;
    let recorded = |run: &backstitch::engine::Run| -> Vec<String> {
        let sides = run.steps.iter().flatten().filter(|step| step.kind == "side");
        sides.filter_map(|step| Some(step.output.as_ref()?.get().to_owned())).collect()
    };
    t.send(run, "go", json!("now")).await;
    let after = t.is(run, "completed").await;
    assert_eq!((recorded(&before).len(), recorded(&before)), (3, recorded(&after)));
    let given: Vec<String> = output(&after).as_array().expect("a list")[..3].iter().map(ToString::to_string).collect();
    assert_eq!(given, recorded(&after), "the replayed workflow sees what is on record");
    t.finish().await;
}

#[tokio::test]
async fn branches_run_side_by_side() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    t.script.on("ship", Side::Run, [Do::Gate(gate.clone(), Do::Ok.into())]);
    let run = t.start(&[Op::Both(vec![call("reserve")], vec![call("ship"), call("note")])]).await;
    gate.is_reached_by(2).await;
    gate.open();
    let run = t.is(run, "completed").await;
    assert_eq!(output(&run), json!([[[{ "by": "reserve" }], [{ "by": "ship" }, { "by": "note" }]]]));
    t.finish().await;
}

#[tokio::test]
async fn a_long_sleep_parks_the_run_until_its_time() {
    let t = TestEngine::new().await;
    let run = t.start(&[Op::Sleep(3_600_000), call("note")]).await;
    let parked = t.is(run, "waiting").await;
    assert_eq!(parked.waiting_on.expect("it says for what").kind, "timer");
    t.advance(3_000.0).await;
    t.ends(&[call("ship")], "completed").await;
    assert_eq!(t.run(run).await.status, "waiting");
    t.advance(601.0).await;
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_short_sleep_is_slept_in_memory() {
    let t = TestEngine::new().await;
    let run = t.ends(&[Op::Sleep(200), call("note")], "completed").await;
    let slept = run.finished_at.expect("it ended") - run.created_at;
    assert!(slept >= chrono::TimeDelta::milliseconds(200), "{slept}");
    t.finish().await;
}

#[tokio::test]
async fn a_short_sleep_goes_by_the_databases_clock() {
    let t = TestEngine::new().await;
    let run = t.start(&[Op::Sleep(900)]).await;
    t.until(run, "its sleep is on record", |run| run.steps.iter().flatten().any(|step| step.due_at.is_some())).await;
    // The worker takes it to be later than it is.
    t.advance(-2.0).await;
    let run = t.is(run, "completed").await;
    let sleep = run.steps.iter().flatten().next().expect("it is on record");
    assert!(sleep.finished_at >= sleep.due_at, "{sleep:?}");
    t.finish().await;
}

#[tokio::test]
async fn a_signal_wakes_the_run_that_waits_for_it() {
    let t = TestEngine::new().await;
    let run = t.start(&[signal("paid", Some(600_000))]).await;
    let parked = t.is(run, "waiting").await.waiting_on.expect("it says for what");
    assert_eq!((parked.kind.word(), parked.name.as_deref()), ("signal", Some("paid")));
    assert!(parked.until.is_some());
    t.send(run, "other", json!(0)).await;
    t.send(run, "paid", json!({ "amount": 5 })).await;
    assert_eq!(output(&t.is(run, "completed").await), json!([{ "amount": 5 }]));
    assert_eq!(t.count("signal WHERE consumed_by IS NOT NULL").await, 1);
    assert_eq!(t.count("timer").await, 0, "an ended run leaves no timer");
    t.finish().await;
}

#[tokio::test]
async fn a_signal_wait_ends_at_its_time_limit() {
    let t = TestEngine::new().await;
    let run = t.start(&[signal("paid", Some(600_000)), call("note")]).await;
    t.is(run, "waiting").await;
    t.advance(601.0).await;
    assert_eq!(output(&t.is(run, "completed").await), json!([null, { "by": "note" }]));
    let late = t.engine.signal(run, "paid", None, None).await;
    assert_eq!(late.expect_err("nobody would take it").code(), "run_ended");
    t.finish().await;
}

#[tokio::test]
async fn signals_wait_in_the_inbox_and_are_taken_in_order() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("note", Side::Run, Do::Ok);
    let run = t.start(&[call("note"), signal("go", None), signal("go", None)]).await;
    gate.is_reached().await;
    t.send(run, "go", json!(1)).await;
    t.send(run, "go", json!(2)).await;
    gate.open();
    assert_eq!(output(&t.is(run, "completed").await), json!([{ "by": "note" }, 1, 2]));
    t.finish().await;
}

#[tokio::test]
async fn a_signal_with_a_known_key_changes_nothing() {
    let t = TestEngine::new().await;
    let run = t.start(&[signal("go", None), signal("go", None)]).await;
    t.is(run, "waiting").await;
    for _ in 0..3 {
        t.engine.signal(run, "go", None, Some("event-1")).await.expect("a repeated signal is accepted");
    }
    t.until(run, "the first is taken", |run| {
        run.status == "waiting" && run.steps.iter().flatten().filter(|step| step.outcome.is_some()).count() == 1
    })
    .await;
    assert_eq!(t.count("signal").await, 1);
    t.engine.signal(run, "go", None, Some("event-2")).await.expect("another is another");
    t.is(run, "completed").await;
    t.engine.signal(run, "go", None, Some("event-2")).await.expect("a repeated signal to an ended run is no error");
    t.finish().await;
}

#[tokio::test]
async fn a_run_starts_at_its_time_whatever_comes_before() {
    let t = TestEngine::new().await;
    let at = t.engine.now().await.expect("the database answers") + chrono::TimeDelta::seconds(600);
    let mut later = request("scripted", &[call("note"), signal("go", None)]);
    later.start_at = Some(at);
    let run = t.engine.start(later).await.expect("it is accepted").run;
    let waits = t.run(run).await.waiting_on.expect("it waits");
    assert_eq!((waits.kind.word(), waits.until), ("start", Some(at)));
    t.send(run, "go", json!("early")).await;
    t.ends(&[call("ship")], "completed").await;
    let seen = t.run(run).await;
    assert_eq!((seen.status.word(), t.script.count("note", Side::Run)), ("waiting", 0), "a signal does not start it");
    t.advance(601.0).await;
    assert_eq!(output(&t.is(run, "completed").await), json!([{ "by": "note" }, "early"]), "nor is it lost");
    t.finish().await;
}

#[tokio::test]
async fn a_run_that_has_not_started_can_be_cancelled() {
    let t = TestEngine::new().await;
    let mut later = request("scripted", &[call("note")]);
    later.start_at = Some(t.engine.now().await.expect("it answers") + chrono::TimeDelta::seconds(600));
    let run = t.engine.start(later).await.expect("it is accepted").run;
    t.engine.cancel(run, &operator()).await.expect("nothing speaks against it");
    t.is(run, "failed").await;
    t.advance(601.0).await;
    t.ends(&[call("ship")], "completed").await;
    assert_eq!((t.run(run).await.status.word(), t.script.count("note", Side::Run)), ("failed", 0));
    assert_eq!(t.count("timer").await, 0);
    t.finish().await;
}

#[tokio::test]
async fn a_watch_tells_that_its_run_waits_or_ends() {
    let t = TestEngine::idle().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = t.engine.worker(config("here"));
    let works = tokio::spawn(worker.run(async { drop(stopped.await) }));
    let gate = t.script.gate("note", Side::Run, Do::Ok);
    let run = t.start(&[call("note"), signal("go", None)]).await;
    gate.is_reached().await;
    let watch = t.engine.watch(run);
    let within = |news| tokio::time::timeout(Duration::from_secs(20), news);
    let waits = watch.news();
    gate.open();
    within(waits).await.expect("it waits");
    assert_eq!(t.run(run).await.status.word(), "waiting");
    let ends = watch.news();
    t.engine.signal(run, "go", None, None).await.expect("it takes it");
    within(ends).await.expect("it ends");
    assert_eq!(t.run(run).await.status.word(), "completed");
    drop(stop);
    works.await.expect("no panic").expect("it stops");
    t.finish().await;
}

#[tokio::test]
async fn a_run_that_naps_takes_no_slot() {
    let mut t = TestEngine::idle().await;
    t.add_worker(WorkerConfig { slots: 1, ..config("small") }).await;
    let mut seen = Vec::new();
    // A busy machine may take longer for the other run than the nap is; with a slot taken, it would each time.
    for _ in 0..5 {
        let nap = t.start(&[Op::Sleep(1_000), call("note")]).await;
        t.until(nap, "it sleeps", |run| run.steps.iter().flatten().any(|step| step.due_at.is_some())).await;
        let quick = t.ends(&[call("note")], "completed").await;
        let nap = t.is(nap, "completed").await;
        seen.push((quick.finished_at, nap.finished_at));
        if quick.finished_at < nap.finished_at {
            break;
        }
    }
    assert!(seen.iter().any(|(quick, nap)| quick < nap), "{seen:?}");
    t.finish().await;
}
