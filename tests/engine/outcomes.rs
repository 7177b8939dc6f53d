//! What becomes of steps and runs, one way to end after the other.

use std::time::Duration;

use backstitch::engine::{Registry, WorkerConfig};
use serde_json::json;

use crate::support::{engine::*, script::*, wait_until};

#[tokio::test]
async fn a_run_of_several_steps_completes_with_its_output() {
    let t = TestEngine::new().await;
    let run = t.ends(&[call("reserve"), call("charge"), call("note")], "completed").await;
    assert_eq!(output(&run), json!([{ "by": "reserve" }, { "by": "charge" }, { "by": "note" }]));
    assert!(run.started_at.is_some() && run.finished_at.is_some() && run.waiting_on.is_none());
    t.finish().await;
}

#[tokio::test]
async fn a_failed_attempt_is_tried_again_and_the_step_ends_ok() {
    let t = TestEngine::new().await;
    t.script.on("note", Side::Run, [Do::Failed("busy"), Do::Unknown("lost")]);
    let run = t.ends(&[call("note")], "completed").await;
    assert_eq!(forward(&run)[0].attempts, 3);
    assert_eq!(t.script.calls_of("note", Side::Run).iter().map(|call| call.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    t.finish().await;
}

#[tokio::test]
async fn a_step_that_keeps_failing_fails_its_run_with_its_code() {
    let t = TestEngine::new().await;
    t.script.always("note", Side::Run, Do::Failed("busy"));
    let run = t.ends(&[call("note")], "failed").await;
    let failure = run.failure.clone().expect("a failed run says why");
    assert_eq!((failure.code.as_str(), failure.step), ("busy", Some(0)));
    assert_eq!((forward(&run)[0].attempts, outcome(&run, "note", "forward")), (3, "failed"));
    t.finish().await;
}

#[tokio::test]
async fn an_error_for_good_and_a_code_that_the_policy_names_are_not_retried() {
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
async fn a_long_wait_for_a_retry_parks_the_run_and_is_never_early() {
    let t = TestEngine::new().await;
    t.script.on("slow", Side::Run, [Do::Failed("busy")]);
    let run = t.start(&[call("slow")]).await;
    let parked = t.is(run, "waiting").await;
    let waits = parked.waiting_on.expect("a waiting run says for what");
    assert_eq!((waits.kind.as_str(), waits.name.as_deref()), ("retry", Some("slow")));
    let next = forward(&t.run(run).await)[0].next_attempt_at.expect("the next attempt is on record");
    assert_eq!(waits.until, Some(next));
    assert_eq!(t.count("ready").await, 0, "a parked run costs one row");
    t.advance(30.0).await;
    t.ends(&[call("note")], "completed").await;
    assert_eq!(
        (t.run(run).await.status.as_str(), t.script.count("slow", Side::Run)),
        ("waiting", 1),
        "it is too early"
    );
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
    let asked = t.script.calls_of("brief", Side::Verify);
    assert_eq!((calls.len(), asked.len()), (1, 1), "what happened is not done again");
    assert_eq!(calls[0].key, asked[0].key, "it is asked about under the key of the attempt");
    t.finish().await;
}

#[tokio::test]
async fn what_never_will_happen_is_tried_again_under_a_new_key() {
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
async fn an_undo_of_what_stays_unknown_that_keeps_failing_ends_stuck() {
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
async fn a_panic_in_an_activity_is_an_unknown_attempt_of_its_own_run() {
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
async fn an_input_that_can_not_be_decoded_quarantines_its_run_only() {
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
async fn a_run_that_is_not_past_its_pivot_in_time_is_undone() {
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
async fn a_note_of_progress_reaches_the_next_attempt() {
    let t = TestEngine::new().await;
    t.script.on("note", Side::Run, [Do::Note(json!({ "page": 7 }), Do::Failed("busy").into())]);
    t.ends(&[call("note")], "completed").await;
    assert_eq!(t.script.calls_of("note", Side::Run)[1].details, Some(json!({ "page": 7 })));
    t.finish().await;
}

#[tokio::test]
async fn a_long_attempt_is_seen_and_is_told_when_its_run_is_cancelled() {
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
async fn a_best_effort_that_fails_is_left_for_an_operator_and_the_run_goes_on() {
    let t = TestEngine::new().await;
    t.script.always("note", Side::Run, Do::Failed("mail_down"));
    let run = t.ends(&[Op::BestEffort("note".into()), call("reserve")], "completed").await;
    assert_eq!(output(&run), json!([null, { "by": "reserve" }]));
    assert_eq!(t.count("attention WHERE seq = 0 AND code = 'mail_down'").await, 1);
    let filter = backstitch::engine::RunFilter { attention: true, ..Default::default() };
    assert_eq!(t.engine.list(&filter).await.expect("it can be listed").items.len(), 1);
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
    let gate = Gate::new();
    t.script.on("reserve", Side::Run, [Do::Gate(gate.clone(), Do::Ok.into())]);
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
async fn a_signal_wakes_the_run_that_waits_for_it() {
    let t = TestEngine::new().await;
    let run = t.start(&[signal("paid", Some(600_000))]).await;
    let parked = t.is(run, "waiting").await.waiting_on.expect("it says for what");
    assert_eq!((parked.kind.as_str(), parked.name.as_deref()), ("signal", Some("paid")));
    assert!(parked.until.is_some());
    t.send(run, "other", json!(0)).await;
    t.send(run, "paid", json!({ "amount": 5 })).await;
    assert_eq!(output(&t.is(run, "completed").await), json!([{ "amount": 5 }]));
    assert_eq!(t.count("signal WHERE consumed_by IS NOT NULL").await, 1);
    assert_eq!(t.count("timer").await, 0, "an ended run leaves no timer");
    t.finish().await;
}

#[tokio::test]
async fn a_signal_that_does_not_come_in_time_is_given_up() {
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
    let gate = Gate::new();
    t.script.on("note", Side::Run, [Do::Gate(gate.clone(), Do::Ok.into())]);
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
    assert_eq!((waits.kind.as_str(), waits.until), ("start", Some(at)));
    t.send(run, "go", json!("early")).await;
    t.ends(&[call("ship")], "completed").await;
    let seen = t.run(run).await;
    assert_eq!((seen.status.as_str(), t.script.count("note", Side::Run)), ("waiting", 0), "a signal does not start it");
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
    assert_eq!((t.run(run).await.status.as_str(), t.script.count("note", Side::Run)), ("failed", 0));
    assert_eq!(t.count("timer").await, 0);
    t.finish().await;
}

#[tokio::test]
async fn a_run_stays_in_its_queue() {
    let mut t = TestEngine::new().await;
    let mut elsewhere = request("scripted", &[call("note")]);
    elsewhere.queue = Some("eu".to_owned());
    let run = t.engine.start(elsewhere).await.expect("it is accepted").run;
    t.ends(&[call("ship")], "completed").await;
    let waits = t.run(run).await.waiting_on.expect("nobody serves its queue");
    assert_eq!((waits.kind.as_str(), waits.name.as_deref()), ("queue", Some("eu")));
    t.add_worker(WorkerConfig { queues: vec!["eu".to_owned()], ..config("eu") }).await;
    let run = t.is(run, "completed").await;
    assert_eq!(forward(&run)[0].worker.as_deref(), Some("eu"));
    t.finish().await;
}

#[tokio::test]
async fn a_step_with_a_queue_runs_there_and_the_run_comes_home() {
    let mut t = TestEngine::new().await;
    let run = t.start(&[call("reserve"), call("pay"), call("ship"), Op::Fail("no".into())]).await;
    let waits = t.until(run, "the run waits for the queue", |run| run.waiting_on.is_some()).await;
    let waits = waits.waiting_on.expect("it waits");
    assert_eq!((waits.kind.as_str(), waits.name.as_deref()), ("queue", Some("payments")));
    assert_eq!(t.script.count("pay", Side::Run), 0);
    t.add_worker(WorkerConfig { queues: vec!["payments".to_owned()], ..config("pay") }).await;
    let run = t.is(run, "compensated").await;
    let workers: Vec<_> = forward(&run).iter().map(|step| step.worker.as_deref()).collect();
    assert_eq!(workers, [Some("w0"), Some("pay"), Some("w0")]);
    let workers: Vec<_> = undos(&run).iter().map(|step| step.worker.as_deref()).collect();
    assert_eq!(workers, [Some("w0"), Some("pay"), Some("w0")], "an undo goes where its step went");
    assert_eq!(t.script.undone(), ["ship", "pay", "reserve"]);
    t.finish().await;
}

#[tokio::test]
async fn a_run_keeps_its_version_and_waits_for_a_worker_that_has_it() {
    let mut t = TestEngine::idle().await;
    let one = t.add_worker_with(config("one"), Registry::new().workflow(VersionOne)).await;
    let stranger = backstitch::engine::Engine::new(t.engine.pool().clone(), Registry::new());
    let old = stranger.start(request("versioned", &())).await.expect("it is known").run;
    assert_eq!(t.is(old, "waiting").await.version, 1);
    t.workers[one].drain().await;
    t.add_worker_with(config("two"), Registry::new().workflow(VersionTwo)).await;
    let new = stranger.start(request("versioned", &())).await.expect("it is known").run;
    assert_eq!(output(&t.is(new, "completed").await), json!(2));
    t.send(old, "go", json!(null)).await;
    let waits = t.until(old, "it waits for a worker", |run| run.waiting_on.is_some()).await;
    let waits = waits.waiting_on.expect("it waits");
    assert_eq!((waits.kind.as_str(), waits.name.as_deref()), ("worker", Some("versioned")));
    t.add_worker_with(config("both"), Registry::new().workflow(VersionOne).workflow(VersionTwo)).await;
    let old = t.is(old, "completed").await;
    assert_eq!((output(&old), old.version), (json!(1), 1));
    t.finish().await;
}

#[tokio::test]
async fn a_run_whose_worker_is_lost_says_that_it_waits_for_one() {
    let mut t = TestEngine::idle().await;
    let only = t.add_worker(hasty("only")).await;
    t.workers[only].kill().await;
    let run = t.start(&[call("note")]).await;
    wait_until("it says that it waits for a worker", async || {
        // Again and again: a statement of the killed worker may be on its way still.
        t.execute("UPDATE backstitch.lane SET beat = beat - interval '1 minute'").await;
        t.run(run).await.waiting_on.is_some_and(|waits| waits.kind == "worker")
    })
    .await;
    t.add_worker(hasty("other")).await;
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn code_that_disagrees_with_the_record_quarantines_its_run_and_names_both() {
    let t = TestEngine::new().await;
    let run = t.start_of("shifty", &()).await;
    t.is(run, "waiting").await;
    t.script.set_flag(true);
    t.send(run, "go", json!(1)).await;
    let failure = t.is(run, "stuck").await.failure.expect("it says why");
    assert_eq!(failure.code, "nondeterminism");
    assert!(failure.message.contains("note") && failure.message.contains("reserve"), "{}", failure.message);
    assert_eq!(t.script.count("reserve", Side::Run), 0, "nothing is done on a wrong record");
    t.ends(&[call("note")], "completed").await;
    t.script.set_flag(false);
    t.engine.retry(run, &operator()).await.expect("a stuck run can be retried");
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_run_that_kills_its_workers_ends_stuck_not_in_a_loop() {
    for activity in ["note", "reserve", "charge"] {
        let t = TestEngine::new().await;
        t.script.always(activity, Side::Run, Do::Hang);
        t.script.always(activity, Side::Verify, Do::Hang);
        t.script.always(activity, Side::Undo, Do::Hang);
        let run = t.start(&[call(activity)]).await;
        for calls in 0..40 {
            wait_until("the next attempt has begun, or the run has had enough", async || {
                t.script.calls().len() > calls || t.run(run).await.status == "stuck"
            })
            .await;
            if t.run(run).await.status == "stuck" {
                break;
            }
            t.take_over_all().await;
        }
        let run = t.is(run, "stuck").await;
        assert!(run.failure.is_some(), "{activity}");
        t.finish().await;
    }
}

#[tokio::test]
async fn an_undo_that_kills_its_workers_ends_stuck_and_its_cause_is_kept() {
    let t = TestEngine::new().await;
    t.script.always("reserve", Side::Undo, Do::Hang);
    let run = t.start(&[call("reserve"), Op::Fail("sold_out".into())]).await;
    for calls in 0..40 {
        wait_until("the next attempt has begun, or the run has had enough", async || {
            t.script.count("reserve", Side::Undo) > calls || t.run(run).await.status == "stuck"
        })
        .await;
        if t.run(run).await.status == "stuck" {
            break;
        }
        t.take_over_all().await;
    }
    t.is(run, "stuck").await;
    t.script.always("reserve", Side::Undo, Do::Ok);
    t.engine.retry(run, &operator()).await.expect("a stuck run can be retried");
    let run = t.is(run, "compensated").await;
    assert_eq!(run.failure.expect("it says why").code, "sold_out", "a retry brings the first cause back");
    t.finish().await;
}

#[tokio::test]
async fn a_payload_over_the_limit_is_refused_before_anything_else() {
    let t = TestEngine::idle().await;
    let engine = t.engine.clone().with_max_payload(100);
    let big = "x".repeat(200);
    let refused = engine.start(request("no_such_workflow", &big)).await.expect_err("too large");
    assert_eq!(refused.code(), "payload_too_large");
    let run = t.start(&[signal("go", None)]).await;
    let payload = backstitch::engine::to_json(&big).expect("JSON");
    let refused = engine.signal(run, "go", Some(payload), None).await.expect_err("too large");
    assert_eq!(refused.code(), "payload_too_large");
    let refused = engine.start(request("no_such_workflow", &1)).await.expect_err("never registered");
    assert_eq!(refused.code(), "unknown_workflow");
    t.finish().await;
}

#[tokio::test]
async fn a_start_in_the_callers_transaction_exists_when_that_commits() {
    let t = TestEngine::new().await;
    let mut tx = t.engine.pool().begin().await.expect("a connection");
    let undone = t.engine.start_in(&mut tx, request("scripted", &[call("note")]).key("k")).await.expect("accepted").run;
    tx.rollback().await.expect("it rolls back");
    assert_eq!(t.engine.run(undone).await.expect_err("it never was").code(), "unknown_run");
    let mut tx = t.engine.pool().begin().await.expect("a connection");
    let run = t.engine.start_in(&mut tx, request("scripted", &[call("note")]).key("k")).await.expect("accepted");
    assert!(run.created, "a key that was rolled back is free");
    t.ends(&[call("ship")], "completed").await;
    assert_eq!(t.script.count("note", Side::Run), 0, "not before the commit");
    tx.commit().await.expect("it commits");
    t.is(run.run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_key_belongs_to_its_first_request() {
    let t = TestEngine::idle().await;
    let start = |input: serde_json::Value| t.engine.start(request("typed", &input).key("order-1"));
    let first = start(json!({ "n": 1 })).await.expect("accepted");
    let again = start(json!({ "n": 1 })).await.expect("the same request");
    assert_eq!((first.created, again.created, first.run), (true, false, again.run));
    assert_eq!(start(json!({ "n": 2 })).await.expect_err("another request").code(), "key_conflict");
    let other = t.engine.start(request("scripted", &[call("note")]).key("order-1")).await.expect("another workflow");
    assert!(other.created);
    let batch = t.engine.start_batch(vec![
        request("typed", &json!({ "n": 3 })).key("order-2"),
        request("typed", &json!({ "n": 3 })).key("order-2"),
        request("typed", &json!({ "n": 4 })).key("order-2"),
        request("typed", &json!({ "n": 5 })),
    ]);
    let batch = batch.await.expect("the database works");
    let created: Vec<_> = batch.iter().map(|one| one.as_ref().map(|one| one.created).map_err(|e| e.code())).collect();
    assert_eq!(created, [Ok(true), Ok(false), Err("key_conflict"), Ok(true)]);
    assert_eq!(t.count("run").await, 4);
    t.finish().await;
}

#[tokio::test]
async fn lists_are_filtered_and_paged_newest_first() {
    let t = TestEngine::new().await;
    let mut runs = Vec::new();
    for n in 0..5 {
        let mut one = request("typed", &json!({ "n": n })).key(format!("k{n}"));
        one.tags.insert("colour".to_owned(), if n % 2 == 0 { "red" } else { "blue" }.to_owned());
        runs.push(t.engine.start(one).await.expect("accepted").run);
    }
    let waiting = t.start(&[signal("go", None)]).await;
    t.is(waiting, "waiting").await;
    for run in &runs {
        t.is(*run, "completed").await;
    }
    let list = async |filter: backstitch::engine::RunFilter| {
        let page = t.engine.list(&filter).await.expect("it can be listed");
        (page.items.iter().map(|run| run.id).collect::<Vec<_>>(), page.next_cursor)
    };
    let all = backstitch::engine::RunFilter { limit: Some(4), ..Default::default() };
    let (page, cursor) = list(all.clone()).await;
    assert_eq!(page, [waiting, runs[4], runs[3], runs[2]]);
    let (page, cursor) = list(backstitch::engine::RunFilter { cursor, ..all.clone() }).await;
    assert_eq!((page, cursor), (vec![runs[1], runs[0]], None));
    let by = |workflow: &str, status: &str, tag: Option<&str>, key: Option<&str>| backstitch::engine::RunFilter {
        workflow: Some(workflow.to_owned()),
        status: Some(status.to_owned()),
        tag: tag.map(str::to_owned),
        key: key.map(str::to_owned),
        ..Default::default()
    };
    assert_eq!(list(by("scripted", "waiting", None, None)).await.0, [waiting]);
    assert_eq!(list(by("typed", "completed", Some("colour:blue"), None)).await.0, [runs[3], runs[1]]);
    assert_eq!(list(by("typed", "completed", Some("colour"), Some("k2"))).await.0, [runs[2]]);
    assert!(list(by("typed", "stuck", None, None)).await.0.is_empty());
    let bad = backstitch::engine::RunFilter { cursor: Some("nonsense".to_owned()), ..Default::default() };
    assert_eq!(t.engine.list(&bad).await.expect_err("no cursor of ours").code(), "bad_cursor");
    t.finish().await;
}

#[tokio::test]
async fn a_drained_worker_gives_its_runs_back_and_others_go_on() {
    let mut t = TestEngine::idle().await;
    let first = t.add_worker(config("first")).await;
    let gate = Gate::new();
    t.script.on("reserve", Side::Run, [Do::Gate(gate.clone(), Do::Ok.into())]);
    let run = t.start(&[call("reserve"), call("once"), call("charge"), call("note")]).await;
    gate.is_reached().await;
    let opening = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        gate.open();
    };
    tokio::join!(t.workers[first].drain(), opening);
    let seen = t.run(run).await;
    assert_eq!(outcome(&seen, "reserve", "forward"), "ok", "an attempt under way is let to its end");
    assert_eq!(t.count("ready WHERE lane IS NOT NULL").await, 0);
    assert_eq!(t.count("lane WHERE alive").await, 0);
    t.add_worker(config("second")).await;
    let run = t.is(run, "completed").await;
    let workers: Vec<_> = forward(&run).iter().map(|step| step.worker.as_deref()).collect();
    assert_eq!(workers, [Some("first"), Some("second"), Some("second"), Some("second")]);
    let calls = ["reserve", "once", "charge", "note"].map(|name| t.script.count(name, Side::Run));
    assert_eq!((calls, t.script.count("charge", Side::Verify)), ([1, 1, 1, 1], 0), "nothing became unknown by it");
    t.finish().await;
}

#[tokio::test]
async fn a_worker_whose_slots_were_all_taken_claims_again_as_soon_as_they_are_free() {
    let mut t = TestEngine::idle().await;
    t.add_worker(WorkerConfig { slots: 1, ..config("w0") }).await;
    let began = std::time::Instant::now();
    for _ in 0..20 {
        t.ends(&[call("note")], "completed").await;
    }
    // Its heartbeat would wake it too, every twelve seconds.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    t.finish().await;
}
