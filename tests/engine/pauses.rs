//! Pause and resume: nothing more begins, timers stand still, and everything goes on where it was.

use backstitch::engine::Verb;
use serde_json::json;

use super::verbs::apply;
use crate::support::{engine::*, script::*};

#[tokio::test]
async fn a_pause_freezes_timers_until_the_resume() {
    let t = TestEngine::new().await;
    let run = t.start_of("deadlined", &[call("reserve"), Op::Sleep(30_000), call("ship")]).await;
    t.is(run, "waiting").await;
    t.advance(10.0).await;
    apply(&t, run, &Verb::Pause).await;
    assert_eq!(t.run(run).await.status, "paused");
    assert_eq!((t.count("timer").await, t.count("ready").await, t.count("paused").await), (0, 0, 1));
    t.advance(3_600.0).await;
    apply(&t, run, &Verb::Resume).await;
    let seen = t.is(run, "waiting").await;
    let left = seen.waiting_on.expect("it waits").until.expect("for a timer") - t.engine.now().await.expect("a clock");
    assert!((10..=20).contains(&left.num_seconds()), "20 s were left of its timer, now {left}");
    t.advance(21.0).await;
    let run = t.is(run, "completed").await;
    assert_eq!(t.script.undone().len(), 0, "its deadline stood still, too: {:?}", run.failure);
    assert_eq!((t.count("paused").await, t.count("unhealthy").await), (0, 0));
    t.finish().await;
}

#[tokio::test]
async fn a_pause_freezes_a_waiting_retry() {
    let t = TestEngine::new().await;
    t.script.on("slow", Side::Run, [Do::Failed("busy")]);
    let run = t.start(&[call("slow")]).await;
    t.is(run, "waiting").await;
    t.advance(10.0).await;
    apply(&t, run, &Verb::Pause).await;
    t.advance(3_600.0).await;
    apply(&t, run, &Verb::Resume).await;
    let seen = t.is(run, "waiting").await;
    let left = forward(&seen)[0].next_attempt_at.expect("it is tried again") - t.engine.now().await.expect("a clock");
    assert!((35..=50).contains(&left.num_seconds()), "50 s were left of its minute, now {left}");
    assert_eq!(t.script.count("slow", Side::Run), 1);
    t.advance(51.0).await;
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_pause_lets_the_attempt_end_and_nothing_begin() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let run = t.start(&[call("reserve"), call("ship")]).await;
    gate.is_reached().await;
    let plan = apply(&t, run, &Verb::Pause).await;
    assert_eq!(plan.status, "running");
    apply(&t, run, &Verb::Pause).await;
    gate.open();
    let seen = t.is(run, "paused").await;
    assert_eq!((outcome(&seen, "reserve", "forward"), t.script.count("ship", Side::Run)), ("ok", 0));
    assert_eq!(t.count("audit WHERE action = 'pause'").await, 1, "a repeated pause is none");
    apply(&t, run, &Verb::Resume).await;
    let seen = t.is(run, "completed").await;
    assert_eq!((t.script.count("reserve", Side::Run), t.script.count("ship", Side::Run)), (1, 1));
    assert_eq!(forward(&seen)[1].attempts, 1, "what was about to begin is not taken for under way");
    t.finish().await;
}

#[tokio::test]
async fn a_pause_withdrawn_in_time_changes_nothing() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let run = t.start(&[Op::Both(vec![call("reserve"), call("ship")], vec![signal("go", None)])]).await;
    gate.is_reached().await;
    apply(&t, run, &Verb::Pause).await;
    // Its worker has seen the pause by then: the signal wakes nobody, and only the resume is seen.
    t.send(run, "go", json!(1)).await;
    apply(&t, run, &Verb::Resume).await;
    gate.open();
    let run = t.is(run, "completed").await;
    assert_eq!(output(&run), json!([[[{ "by": "reserve" }, { "by": "ship" }], [1]]]));
    t.finish().await;
}

#[tokio::test]
async fn a_pause_survives_the_worker_that_was_to_make_it() {
    let mut t = TestEngine::idle().await;
    t.add_worker(hasty("first")).await;
    let gate = t.script.gate("charge", Side::Run, Do::Hang);
    t.script.on("charge", Side::Verify, [Do::Happened(json!("late"))]);
    let run = t.start(&[call("charge")]).await;
    gate.is_reached().await;
    apply(&t, run, &Verb::Pause).await;
    t.workers[0].kill().await;
    t.add_worker(hasty("second")).await;
    let seen = t.is(run, "paused").await;
    assert_eq!((outcome(&seen, "charge", "forward"), t.script.count("charge", Side::Verify)), ("open", 0));
    apply(&t, run, &Verb::Resume).await;
    t.is(run, "completed").await;
    assert_eq!((t.script.count("charge", Side::Run), t.script.count("charge", Side::Verify)), (1, 1));
    t.finish().await;
}

#[tokio::test]
async fn a_signal_to_a_paused_run_waits_in_its_inbox() {
    let t = TestEngine::new().await;
    let run = t.start(&[signal("go", None), call("note")]).await;
    t.is(run, "waiting").await;
    apply(&t, run, &Verb::Pause).await;
    t.send(run, "go", json!(7)).await;
    assert_eq!((t.count("ready").await, t.run(run).await.status.word()), (0, "paused"));
    apply(&t, run, &Verb::Resume).await;
    assert_eq!(output(&t.is(run, "completed").await)[0], json!(7));
    t.finish().await;
}

#[tokio::test]
async fn a_paused_run_can_be_cancelled() {
    let t = TestEngine::new().await;
    let run = t.start(&[call("reserve"), signal("go", None)]).await;
    t.is(run, "waiting").await;
    apply(&t, run, &Verb::Pause).await;
    let plan = apply(&t, run, &Verb::Cancel).await;
    assert_eq!((plan.status.word(), plan.undo.len()), ("paused", 1));
    t.is(run, "compensated").await;
    assert_eq!((t.script.undone(), t.count("paused").await), (vec!["reserve"], 0));
    t.finish().await;
}

#[tokio::test]
async fn undos_can_be_paused_and_go_on_after_a_resume() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("ship", Side::Undo, Do::Ok);
    let run = t.start(&[call("reserve"), call("ship"), Op::Fail("no".into())]).await;
    gate.is_reached().await;
    apply(&t, run, &Verb::Pause).await;
    gate.open();
    let seen = t.is(run, "paused").await;
    assert_eq!((outcome(&seen, "ship", "undo"), outcome(&seen, "reserve", "undo")), ("ok", "open"));
    assert_eq!(seen.failure.expect("it says why it is undone").code, "no");
    apply(&t, run, &Verb::Resume).await;
    t.is(run, "compensated").await;
    assert_eq!(t.script.undone(), ["ship", "reserve"]);
    t.finish().await;
}

#[tokio::test]
async fn a_paused_delayed_run_keeps_its_start_time() {
    let t = TestEngine::new().await;
    let mut later = request("scripted", &[call("note")]);
    later.start_at = Some(t.engine.now().await.expect("a clock") + chrono::TimeDelta::hours(1));
    let run = t.engine.start(later).await.expect("it is accepted").run;
    apply(&t, run, &Verb::Pause).await;
    apply(&t, run, &Verb::Resume).await;
    let seen = t.run(run).await;
    assert_eq!((seen.status.word(), seen.waiting_on.expect("it waits").kind.word()), ("waiting", "start"));
    t.advance(3_601.0).await;
    t.is(run, "completed").await;
    t.finish().await;
}
