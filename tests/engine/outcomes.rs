//! What becomes of steps and runs, one way to end after the other.

use backstitch::engine::Registry;
use serde_json::json;

use crate::support::{engine::*, script::*};

#[tokio::test]
async fn a_run_of_several_steps_completes_with_its_output() {
    let t = TestEngine::new().await;
    let run = t.ends(&[call("reserve"), call("charge"), call("note")], "completed").await;
    assert_eq!(output(&run), json!([{ "by": "reserve" }, { "by": "charge" }, { "by": "note" }]));
    assert!(run.started_at.is_some() && run.finished_at.is_some() && run.waiting_on.is_none());
    t.finish().await;
}

#[tokio::test]
async fn a_failed_attempt_is_retried_until_ok() {
    let t = TestEngine::new().await;
    t.script.on("note", Side::Run, [Do::Failed("busy"), Do::Unknown("lost")]);
    let run = t.ends(&[call("note")], "completed").await;
    assert_eq!(forward(&run)[0].attempts, 3);
    assert_eq!(t.script.calls_of("note", Side::Run).iter().map(|call| call.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    t.finish().await;
}

#[tokio::test]
async fn exhausted_retries_fail_the_run_with_the_code() {
    let t = TestEngine::new().await;
    t.script.always("note", Side::Run, Do::Failed("busy"));
    let run = t.ends(&[call("note")], "failed").await;
    let failure = run.failure.clone().expect("a failed run says why");
    assert_eq!((failure.code.as_str(), failure.step), ("busy", Some(0)));
    assert_eq!((forward(&run)[0].attempts, outcome(&run, "note", "forward")), (3, "failed"));
    t.finish().await;
}

#[tokio::test]
async fn final_errors_and_excluded_codes_are_not_retried() {
    let t = TestEngine::new().await;
    t.script.on("note", Side::Run, [Do::Fatal("no")]);
    let run = t.ends(&[call("note")], "failed").await;
    assert_eq!(forward(&run)[0].attempts, 1);
    t.script.on("picky", Side::Run, [Do::Failed("busy"), Do::Failed("declined")]);
    let run = t.ends(&[call("picky")], "failed").await;
    assert_eq!((forward(&run)[0].attempts, run.failure.expect("it says why").code.as_str()), (2, "declined"));
    t.finish().await;
}

#[tokio::test]
async fn a_nul_in_a_payload_or_error_is_recorded() {
    let t = TestEngine::new().await;
    t.script.on("charge", Side::Run, [Do::Failed("no\0body"), Do::Give(json!({ "a\0": "b\0" }))]);
    let program = [call("charge"), call("reserve"), signal("go", None), call("once")];
    let run = t.start(&program).await;
    let waiting = t.is(run, "waiting").await;
    assert_eq!(forward(&waiting)[0].output.as_ref().map(|json| json.get()), Some(r#"{"a\u0000":"b\u0000"}"#));
    t.script.on("once", Side::Run, [Do::Fatal("no\0body")]);
    t.script.on("reserve", Side::Undo, [Do::Fatal("no\0body")]);
    t.send(run, "go", json!("cd")).await;
    let run = t.is(run, "stuck").await;
    let failure = run.failure.as_ref().expect("a stuck run says why");
    assert_eq!(failure.code, "undo_failed");
    let undo = undos(&run).into_iter().find(|step| step.name == "reserve").expect("it was tried");
    assert_eq!(undo.error.as_ref().map(|error| error.code.as_str()), Some("no\0body"));
    t.finish().await;
}

#[tokio::test]
async fn a_long_retry_wait_parks_and_is_never_early() {
    let t = TestEngine::new().await;
    t.script.on("slow", Side::Run, [Do::Failed("busy")]);
    let run = t.start(&[call("slow")]).await;
    let parked = t.is(run, "waiting").await;
    let waits = parked.waiting_on.expect("a waiting run says for what");
    assert_eq!((waits.kind.word(), waits.name.as_deref()), ("retry", Some("slow")));
    let next = forward(&t.run(run).await)[0].next_attempt_at.expect("the next attempt is on record");
    assert_eq!(waits.until, Some(next));
    assert_eq!(t.count("ready").await, 0, "a parked run costs one row");
    t.advance(30.0).await;
    t.ends(&[call("note")], "completed").await;
    assert_eq!((t.run(run).await.status.word(), t.script.count("slow", Side::Run)), ("waiting", 1), "it is too early");
    t.advance(31.0).await;
    t.is(run, "completed").await;
    assert_eq!(t.script.count("slow", Side::Run), 2);
    t.finish().await;
}

#[tokio::test]
async fn an_attempt_without_an_answer_is_unknown_and_asked_about() {
    let t = TestEngine::new().await;
    t.script.on("brief", Side::Run, [Do::Hang]);
    t.script.on("brief", Side::Verify, [Do::Happened(json!("it did"))]);
    let run = t.ends(&[call("brief")], "completed").await;
    assert_eq!(output(&run), json!(["it did"]));
    let calls = t.script.calls_of("brief", Side::Run);
    let verified = t.script.calls_of("brief", Side::Verify);
    assert_eq!((calls.len(), verified.len()), (1, 1), "what happened is not done again");
    assert_eq!(calls[0].key, verified[0].key, "it is asked about under the key of the attempt");
    t.finish().await;
}

#[tokio::test]
async fn verified_as_never_is_retried_under_a_new_key() {
    let t = TestEngine::new().await;
    t.script.on("charge", Side::Run, [Do::Unknown("lost"), Do::Failed("busy")]);
    t.script.on("charge", Side::Verify, [Do::NeverWill]);
    let run = t.ends(&[call("charge")], "failed").await;
    // Two attempts and a verification: three in all.
    let keys: Vec<_> = t.script.calls_of("charge", Side::Run).into_iter().map(|call| call.key).collect();
    assert_eq!(keys, [format!("{}/0", run.id), format!("{}/0.1", run.id)]);
    assert_eq!(outcome(&run, "charge", "forward"), "failed", "it certainly had no effect, so nothing is undone");
    assert_eq!(t.script.undone(), Vec::<&str>::new());
    t.finish().await;
}

#[tokio::test]
async fn what_nobody_can_tell_ends_unknown_and_is_undone() {
    let t = TestEngine::new().await;
    t.script.on("charge", Side::Run, [Do::Unknown("lost")]);
    t.script.always("charge", Side::Verify, Do::NotYet);
    let run = t.ends(&[call("charge")], "compensated").await;
    assert_eq!(outcome(&run, "charge", "forward"), "unknown");
    assert_eq!(t.script.count("charge", Side::Run), 1, "it is not done again while nobody can tell");
    assert_eq!(t.script.undone(), ["charge"]);
    t.finish().await;
}

#[tokio::test]
async fn an_unknown_step_that_was_passed_needs_nobody() {
    let t = TestEngine::new().await;
    t.script.always("charge", Side::Run, Do::UnknownForGood("lost"));
    t.script.always("charge", Side::Verify, Do::NotYet);
    let charge = || Op::Try("charge".into());
    t.ends(&[charge()], "completed").await;
    let passed = t.start(&[charge(), Op::Pivot, signal("go", None)]).await;
    t.is(passed, "waiting").await;
    assert_eq!(t.count("attention").await, 0, "its workflow went on over it, for good");
    let open = t.start(&[charge(), signal("go", None)]).await;
    t.is(open, "waiting").await;
    assert_eq!(t.count("attention WHERE kind = 'unknown'").await, 1);
    t.finish().await;
}

#[tokio::test]
async fn an_undo_asks_first_whether_there_is_anything_to_undo() {
    let t = TestEngine::new().await;
    t.script.on("charge", Side::Run, [Do::UnknownForGood("lost")]);
    t.script.on("charge", Side::Verify, [Do::NotYet, Do::NotYet, Do::NeverWill]);
    let run = t.ends(&[call("charge")], "compensated").await;
    assert_eq!((outcome(&run, "charge", "forward"), outcome(&run, "charge", "undo")), ("failed", "skipped"));
    assert_eq!(t.script.undone(), Vec::<&str>::new());
    t.finish().await;
}

#[tokio::test]
async fn an_undo_that_keeps_failing_ends_stuck() {
    let t = TestEngine::new().await;
    t.script.on("charge", Side::Run, [Do::Unknown("lost")]);
    t.script.always("charge", Side::Verify, Do::NotYet);
    t.script.always("charge", Side::Undo, Do::Unknown("down"));
    let run = t.ends(&[call("charge")], "stuck").await;
    assert_eq!(run.failure.expect("it says why").code, "undo_failed");
    assert_eq!(t.script.count("charge", Side::Undo), 3, "as often as the policy says");
    t.finish().await;
}

#[tokio::test]
async fn an_activity_that_panics_is_an_unknown_attempt() {
    let t = TestEngine::new().await;
    t.script.on("note", Side::Run, [Do::Panic]);
    let run = t.ends(&[call("note")], "completed").await;
    assert_eq!(forward(&run)[0].attempts, 2);
    t.script.on("charge", Side::Run, [Do::Panic]);
    t.ends(&[call("charge")], "completed").await;
    assert_eq!(t.script.count("charge", Side::Verify), 1);
    t.finish().await;
}

#[tokio::test]
async fn a_panic_in_a_workflow_quarantines_its_run_only() {
    let t = TestEngine::new().await;
    let run = t.ends(&[call("note"), Op::Panic], "stuck").await;
    assert_eq!(run.failure.expect("it says why").code, "workflow_panicked");
    t.ends(&[call("note")], "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_workflow_that_awaits_something_foreign_is_stuck_not_silent() {
    let t = TestEngine::new().await;
    let run = t.ends(&[call("note"), Op::Block], "stuck").await;
    assert_eq!(run.failure.expect("it says why").code, "workflow_blocked");
    t.finish().await;
}

#[tokio::test]
async fn an_undecodable_input_quarantines_its_run_only() {
    let t = TestEngine::new().await;
    // A caller whose binary doesn't know the workflow checks nothing.
    let stranger = backstitch::engine::Engine::new(t.engine.pool().clone(), Registry::new());
    let bad = stranger.start(request("typed", &json!({ "n": "many" }))).await.expect("nobody there can check").run;
    let good = t.start_of("typed", &json!({ "n": 7 })).await;
    assert_eq!(output(&t.is(good, "completed").await), json!(7));
    assert_eq!(t.is(bad, "stuck").await.failure.expect("it says why").code, "undecodable_input");
    let refused = t.engine.start(request("typed", &json!({ "n": "many" }))).await;
    assert_eq!(refused.expect_err("who can check refuses").code(), "invalid_input");
    t.finish().await;
}

#[tokio::test]
async fn an_activity_that_nobody_registered_quarantines_its_run_only() {
    let t = TestEngine::new().await;
    let run = t.ends(&[call("note"), call("missing")], "stuck").await;
    let failure = run.failure.expect("it says why");
    assert_eq!((failure.code.as_str(), failure.step), ("unknown_activity", Some(1)));
    t.ends(&[call("note")], "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_call_is_bounded_by_its_deadline_over_all_attempts() {
    let t = TestEngine::new().await;
    t.script.always("bounded", Side::Run, Do::Failed("busy"));
    let run = t.start(&[call("bounded")]).await;
    t.is(run, "waiting").await;
    t.advance(61.0).await;
    t.until(run, "the second attempt failed", |run| forward(run)[0].attempts == 2 && run.status == "waiting").await;
    t.advance(30.0).await;
    let run = t.is(run, "failed").await;
    assert_eq!(run.failure.expect("it says why").code, "deadline_exceeded");
    assert_eq!(t.script.count("bounded", Side::Run), 2);
    t.finish().await;
}

#[tokio::test]
async fn an_attempt_may_not_outlast_its_calls_deadline() {
    let t = TestEngine::new().await;
    t.script.always("charge", Side::Run, Do::Hang);
    t.script.on("charge", Side::Verify, [Do::NeverWill]);
    let run = t.ends(&[Op::Within("charge".into(), 300)], "compensated").await;
    assert_eq!(t.script.count("charge", Side::Run), 1);
    assert_eq!((outcome(&run, "charge", "forward"), outcome(&run, "charge", "undo")), ("failed", "skipped"));
    t.finish().await;
}

#[tokio::test]
async fn a_call_without_time_left_is_not_begun() {
    let t = TestEngine::new().await;
    let run = t.ends(&[call("reserve"), Op::Within("charge".into(), 0)], "compensated").await;
    assert_eq!(run.failure.as_ref().map(|failure| failure.code.as_str()), Some("deadline_exceeded"));
    assert_eq!((t.script.count("charge", Side::Run), outcome(&run, "charge", "forward")), (0, "failed"));
    assert_eq!(t.script.undone(), ["reserve"]);
    t.finish().await;
}

#[tokio::test]
async fn a_run_past_its_deadline_before_the_pivot_is_undone() {
    let t = TestEngine::new().await;
    let late = t.start_of("deadlined", &[call("reserve"), signal("go", None)]).await;
    let past = t.start_of("deadlined", &[call("reserve"), Op::Pivot, signal("go", None)]).await;
    t.is(late, "waiting").await;
    t.is(past, "waiting").await;
    t.advance(61.0).await;
    let late = t.is(late, "compensated").await;
    assert_eq!(late.failure.expect("it says why").code, "deadline_exceeded");
    assert_eq!(t.script.undone(), ["reserve"]);
    assert_eq!(t.run(past).await.status, "waiting", "after the pivot nothing is undone by itself");
    t.send(past, "go", json!(1)).await;
    t.is(past, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_long_attempt_is_visible_and_hears_of_the_cancel() {
    let t = TestEngine::new().await;
    t.script.on("note", Side::Run, [Do::UntilCancelled(Do::Fatal("stopped").into())]);
    let run = t.start(&[call("reserve"), call("note")]).await;
    let seen = t.until(run, "the attempt is on record", |run| forward(run).len() == 2).await;
    assert_eq!((outcome(&seen, "note", "forward"), forward(&seen)[1].attempts), ("open", 1));
    t.engine.cancel(run, &operator()).await.expect("it is not past its pivot");
    let run = t.is(run, "compensated").await;
    assert_eq!(run.failure.expect("it says why").code, "cancelled");
    assert_eq!(t.script.undone(), ["reserve"]);
    t.finish().await;
}

#[tokio::test]
async fn a_failed_best_effort_step_does_not_stop_its_run() {
    let t = TestEngine::new().await;
    t.script.always("note", Side::Run, Do::Failed("mail_down"));
    let run = t.ends(&[Op::BestEffort("note".into()), call("reserve")], "completed").await;
    assert_eq!(output(&run), json!([null, { "by": "reserve" }]));
    assert_eq!(t.count("attention WHERE seq = 0 AND code = 'mail_down'").await, 1);
    let filter = backstitch::engine::RunFilter { attention: true, ..Default::default() };
    assert_eq!(t.engine.list(&filter).await.expect("it can be listed").items.len(), 1);
    t.finish().await;
}
