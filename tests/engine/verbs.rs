//! Operators' verbs, one promise after the other. The table of verbs and statuses is in `verbs_table`, forks in `forks`.

use backstitch::engine::{Action, Declared, Operator, PolicyOverride, StepDirection};
use serde_json::json;

use crate::support::{engine::*, script::*, wait_until};

fn skip(seq: u32, output: serde_json::Value) -> Action {
    Action::Skip { seq, direction: None, output: Some(output) }
}

fn resolve(seq: u32, outcome: Declared, output: Option<serde_json::Value>) -> Action {
    Action::Resolve { seq, direction: None, outcome, output, evidence: Some("their support said so".to_owned()) }
}

async fn act(t: &TestEngine, run: backstitch::engine::RunId, action: &Action) -> backstitch::engine::ActionPlan {
    t.engine.act(run, action, &operator()).await.unwrap_or_else(|error| panic!("{}: {error}", action.word()))
}

#[tokio::test]
async fn a_pause_freezes_timers_and_a_resume_goes_on_with_what_was_left_of_them() {
    let t = TestEngine::new().await;
    let run = t.start_of("deadlined", &[call("reserve"), Op::Sleep(30_000), call("ship")]).await;
    t.is(run, "waiting").await;
    t.advance(10.0).await;
    act(&t, run, &Action::Pause).await;
    assert_eq!(t.run(run).await.status, "paused");
    assert_eq!((t.count("timer").await, t.count("ready").await, t.count("paused").await), (0, 0, 1));
    t.advance(3_600.0).await;
    act(&t, run, &Action::Resume).await;
    let seen = t.is(run, "waiting").await;
    let left = seen.waiting_on.expect("it waits").until.expect("for a timer") - t.engine.now().await.expect("a clock");
    assert!((10..=20).contains(&left.num_seconds()), "20 s were left of its timer, now {left}");
    t.advance(21.0).await;
    let run = t.is(run, "completed").await;
    assert_eq!(t.script.undone().len(), 0, "its deadline stood still, too: {:?}", run.failure);
    assert_eq!((t.count("paused").await, t.count("exceptional").await), (0, 0));
    t.finish().await;
}

#[tokio::test]
async fn a_retry_that_is_waited_for_stands_still_in_a_pause_too() {
    let t = TestEngine::new().await;
    t.script.on("slow", Side::Run, [Do::Failed("busy")]);
    let run = t.start(&[call("slow")]).await;
    t.is(run, "waiting").await;
    t.advance(10.0).await;
    act(&t, run, &Action::Pause).await;
    t.advance(3_600.0).await;
    act(&t, run, &Action::Resume).await;
    let seen = t.is(run, "waiting").await;
    let left = forward(&seen)[0].next_attempt_at.expect("it is tried again") - t.engine.now().await.expect("a clock");
    assert!((35..=50).contains(&left.num_seconds()), "50 s were left of its minute, now {left}");
    assert_eq!(t.script.count("slow", Side::Run), 1);
    t.advance(51.0).await;
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_pause_lets_an_attempt_under_way_end_and_begins_nothing_more() {
    let t = TestEngine::new().await;
    let gate = Gate::new();
    t.script.on("reserve", Side::Run, [Do::Gate(gate.clone(), Do::Ok.into())]);
    let run = t.start(&[call("reserve"), call("ship")]).await;
    gate.is_reached().await;
    let plan = act(&t, run, &Action::Pause).await;
    assert_eq!(plan.status, "running");
    act(&t, run, &Action::Pause).await;
    gate.open();
    let seen = t.is(run, "paused").await;
    assert_eq!((outcome(&seen, "reserve", "forward"), t.script.count("ship", Side::Run)), ("ok", 0));
    assert_eq!(t.count("audit WHERE action = 'pause'").await, 1, "a repeated pause is none");
    act(&t, run, &Action::Resume).await;
    let seen = t.is(run, "completed").await;
    assert_eq!((t.script.count("reserve", Side::Run), t.script.count("ship", Side::Run)), (1, 1));
    assert_eq!(forward(&seen)[1].attempts, 1, "what was about to begin is not taken for under way");
    t.finish().await;
}

#[tokio::test]
async fn a_pause_that_is_taken_back_before_it_came_about_changes_nothing() {
    let t = TestEngine::new().await;
    let gate = Gate::new();
    t.script.on("reserve", Side::Run, [Do::Gate(gate.clone(), Do::Ok.into())]);
    let run = t.start(&[Op::Both(vec![call("reserve"), call("ship")], vec![signal("go", None)])]).await;
    gate.is_reached().await;
    act(&t, run, &Action::Pause).await;
    // Its worker has seen the pause by then: the signal wakes nobody, and only the resume is seen.
    t.send(run, "go", json!(1)).await;
    act(&t, run, &Action::Resume).await;
    gate.open();
    let run = t.is(run, "completed").await;
    assert_eq!(output(&run), json!([[[{ "by": "reserve" }, { "by": "ship" }], [1]]]));
    t.finish().await;
}

#[tokio::test]
async fn a_pause_survives_the_worker_that_was_to_make_it() {
    let mut t = TestEngine::idle().await;
    t.add_worker(hasty("first")).await;
    let gate = Gate::new();
    t.script.on("charge", Side::Run, [Do::Gate(gate.clone(), Do::Hang.into())]);
    t.script.on("charge", Side::Verify, [Do::Happened(json!("late"))]);
    let run = t.start(&[call("charge")]).await;
    gate.is_reached().await;
    act(&t, run, &Action::Pause).await;
    t.workers[0].kill().await;
    t.add_worker(hasty("second")).await;
    let seen = t.is(run, "paused").await;
    assert_eq!((outcome(&seen, "charge", "forward"), t.script.count("charge", Side::Verify)), ("open", 0));
    act(&t, run, &Action::Resume).await;
    t.is(run, "completed").await;
    assert_eq!((t.script.count("charge", Side::Run), t.script.count("charge", Side::Verify)), (1, 1));
    t.finish().await;
}

#[tokio::test]
async fn a_signal_to_a_paused_run_waits_in_its_inbox() {
    let t = TestEngine::new().await;
    let run = t.start(&[signal("go", None), call("note")]).await;
    t.is(run, "waiting").await;
    act(&t, run, &Action::Pause).await;
    t.send(run, "go", json!(7)).await;
    assert_eq!((t.count("ready").await, t.run(run).await.status.as_str()), (0, "paused"));
    act(&t, run, &Action::Resume).await;
    assert_eq!(output(&t.is(run, "completed").await)[0], json!(7));
    t.finish().await;
}

#[tokio::test]
async fn a_paused_run_can_be_cancelled() {
    let t = TestEngine::new().await;
    let run = t.start(&[call("reserve"), signal("go", None)]).await;
    t.is(run, "waiting").await;
    act(&t, run, &Action::Pause).await;
    let plan = act(&t, run, &Action::Cancel).await;
    assert_eq!((plan.status.as_str(), plan.undo.len()), ("paused", 1));
    t.is(run, "compensated").await;
    assert_eq!((t.script.undone(), t.count("paused").await), (vec!["reserve"], 0));
    t.finish().await;
}

#[tokio::test]
async fn what_is_being_undone_can_not_be_asked_to_be_undone() {
    let t = TestEngine::new().await;
    t.script.on("ship", Side::Undo, [Do::Fatal("gone")]);
    let run = t.ends(&[call("reserve"), call("ship"), Op::Fail("no".into())], "stuck").await.id;
    for verb in [Action::Cancel, Action::Compensate] {
        let refused = t.engine.act(run, &verb, &operator()).await.expect_err("its plan is made");
        assert_eq!(refused.code(), "wrong_state", "{}", verb.word());
    }
    assert_eq!((t.run(run).await.status.as_str(), t.count("ready").await), ("stuck", 0));
    act(&t, run, &Action::Retry { policy: None }).await;
    t.is(run, "compensated").await;
    assert_eq!(t.script.undone(), ["ship", "ship", "reserve"]);
    t.finish().await;
}

#[tokio::test]
async fn between_a_cancel_and_its_plan_nothing_contradicts_it() {
    let mut t = TestEngine::idle().await;
    t.add_worker(config("w0")).await;
    let run = t.start(&[call("reserve"), signal("go", None)]).await;
    t.is(run, "waiting").await;
    t.workers[0].drain().await;
    act(&t, run, &Action::Cancel).await;
    for verb in [Action::Pause, Action::Resume, skip(1, json!(1))] {
        let refused = t.engine.act(run, &verb, &operator()).await.expect_err("it is about to undo");
        assert_eq!(refused.code(), "wrong_state", "{}", verb.word());
    }
    t.add_worker(config("w1")).await;
    t.is(run, "compensated").await;
    t.finish().await;
}

#[tokio::test]
async fn an_undo_that_was_made_can_not_be_skipped() {
    let t = TestEngine::new().await;
    t.script.on("reserve", Side::Undo, [Do::Fatal("gone")]);
    let run = t.ends(&[call("reserve"), call("ship"), Op::Fail("no".into())], "stuck").await.id;
    let made = Action::Skip { seq: 1, direction: Some(StepDirection::Undo), output: None };
    let refused = t.engine.act(run, &made, &operator()).await.expect_err("it was made");
    assert_eq!(refused.code(), "wrong_state");
    let seen = t.run(run).await;
    assert_eq!((seen.status.as_str(), outcome(&seen, "ship", "undo")), ("stuck", "ok"));
    t.finish().await;
}

#[tokio::test]
async fn undos_can_be_paused_and_go_on_after_a_resume() {
    let t = TestEngine::new().await;
    let gate = Gate::new();
    t.script.on("ship", Side::Undo, [Do::Gate(gate.clone(), Do::Ok.into())]);
    let run = t.start(&[call("reserve"), call("ship"), Op::Fail("no".into())]).await;
    gate.is_reached().await;
    act(&t, run, &Action::Pause).await;
    gate.open();
    let seen = t.is(run, "paused").await;
    assert_eq!((outcome(&seen, "ship", "undo"), outcome(&seen, "reserve", "undo")), ("ok", "open"));
    assert_eq!(seen.failure.expect("it says why it is undone").code, "no");
    act(&t, run, &Action::Resume).await;
    t.is(run, "compensated").await;
    assert_eq!(t.script.undone(), ["ship", "reserve"]);
    t.finish().await;
}

#[tokio::test]
async fn a_run_that_is_to_start_later_and_is_paused_still_starts_at_its_time() {
    let t = TestEngine::new().await;
    let mut later = request("scripted", &[call("note")]);
    later.start_at = Some(t.engine.now().await.expect("a clock") + chrono::TimeDelta::hours(1));
    let run = t.engine.start(later).await.expect("it is accepted").run;
    act(&t, run, &Action::Pause).await;
    act(&t, run, &Action::Resume).await;
    let seen = t.run(run).await;
    assert_eq!((seen.status.as_str(), seen.waiting_on.expect("it waits").kind.as_str()), ("waiting", "start"));
    t.advance(3_601.0).await;
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_retry_that_is_waited_for_can_be_made_now_with_another_policy() {
    let t = TestEngine::new().await;
    t.script.on("slow", Side::Run, [Do::Failed("busy"), Do::Failed("busy")]);
    let run = t.start(&[call("slow")]).await;
    t.is(run, "waiting").await;
    let policy = PolicyOverride { first_ms: Some(1), max_attempts: Some(2), ..PolicyOverride::default() };
    let plan = act(&t, run, &Action::Retry { policy: Some(policy) }).await;
    assert_eq!(plan.retry, [0]);
    let run = t.is(run, "completed").await;
    assert_eq!(forward(&run)[0].attempts, 2, "its attempts begin anew, and none of them waits a minute");
    t.finish().await;
}

#[tokio::test]
async fn a_step_whose_policy_was_replaced_keeps_it_over_a_takeover() {
    let t = TestEngine::new().await;
    t.script.always("once", Side::Run, Do::Failed("busy"));
    let run = t.ends(&[Op::Pivot, call("once")], "stuck").await.id;
    let policy = PolicyOverride { first_ms: Some(600_000), max_attempts: Some(3), ..PolicyOverride::default() };
    act(&t, run, &Action::Retry { policy: Some(policy) }).await;
    t.until(run, "it waits ten minutes", |run| run.status == "waiting" && forward(run)[0].attempts == 1).await;
    t.advance(601.0).await;
    t.until(run, "the second", |run| run.status == "waiting" && forward(run)[0].attempts == 2).await;
    t.advance(1_300.0).await;
    t.is(run, "stuck").await;
    assert_eq!(t.script.count("once", Side::Run), 4, "its own policy allows one");
    act(&t, run, &Action::Retry { policy: None }).await;
    t.until(run, "stuck again", |run| run.status == "stuck" && forward(run)[0].attempts == 1).await;
    t.finish().await;
}

#[tokio::test]
async fn a_skipped_step_gives_its_output_and_is_not_undone() {
    let t = TestEngine::new().await;
    t.script.always("ship", Side::Run, Do::Fatal("no_van"));
    let run = t.ends(&[call("reserve"), Op::Pivot, call("ship"), call("note")], "stuck").await.id;
    act(&t, run, &skip(2, json!({ "by": "hand" }))).await;
    let seen = t.is(run, "completed").await;
    assert_eq!(output(&seen)[2], json!({ "by": "hand" }));
    assert_eq!((outcome(&seen, "ship", "forward"), t.count("attention").await), ("skipped", 0));
    t.engine.compensate(run, &operator()).await.expect("a completed run can be undone");
    t.is(run, "compensated").await;
    assert_eq!(t.script.undone(), ["reserve"]);
    t.finish().await;
}

#[tokio::test]
async fn a_step_that_waits_for_a_retry_can_be_skipped() {
    let t = TestEngine::new().await;
    t.script.on("slow", Side::Run, [Do::Failed("busy")]);
    let run = t.start(&[call("slow"), call("note")]).await;
    t.is(run, "waiting").await;
    act(&t, run, &skip(0, json!("none"))).await;
    assert_eq!(output(&t.is(run, "completed").await)[0], json!("none"));
    assert_eq!(t.script.count("slow", Side::Run), 1);
    t.finish().await;
}

#[tokio::test]
async fn a_skipped_undo_counts_as_done() {
    let t = TestEngine::new().await;
    t.script.always("ship", Side::Undo, Do::Fatal("gone"));
    let run = t.ends(&[call("reserve"), call("ship"), Op::Fail("no".into())], "stuck").await.id;
    act(&t, run, &Action::Skip { seq: 1, direction: None, output: None }).await;
    let seen = t.is(run, "compensated").await;
    assert_eq!((outcome(&seen, "ship", "undo"), outcome(&seen, "reserve", "undo")), ("skipped", "ok"));
    assert_eq!(seen.failure.expect("it says why").code, "no");
    t.finish().await;
}

#[tokio::test]
async fn a_resolved_step_goes_on_without_asking_again() {
    let t = TestEngine::new().await;
    t.script.always("charge", Side::Run, Do::Unknown("lost"));
    t.script.always("charge", Side::Verify, Do::NotYet);
    let run = t.ends(&[call("reserve"), Op::Pivot, call("charge"), call("note")], "stuck").await.id;
    assert_eq!(t.count("attention WHERE kind = 'unknown' AND seq = 2 AND step_name = 'charge'").await, 1);
    assert_eq!(
        t.count("attention WHERE kind = 'stuck' AND seq = -1").await,
        1,
        "what can't go on is asked for by itself"
    );
    let calls = t.script.calls_of("charge", Side::Verify).len();
    act(&t, run, &resolve(2, Declared::Ok, Some(json!({ "paid": 1 })))).await;
    let seen = t.is(run, "completed").await;
    assert_eq!((output(&seen)[2].clone(), t.script.count("charge", Side::Verify)), (json!({ "paid": 1 }), calls));
    assert_eq!(t.count("attention").await, 0);
    let evidence = "audit WHERE action = 'resolve' AND after ->> 'evidence' = 'their support said so'
        AND after #>> '{outcome,before}' = 'unknown' AND after #>> '{outcome,after}' = 'ok'";
    assert_eq!(t.count(evidence).await, 1);
    t.engine.compensate(run, &operator()).await.expect("a completed run can be undone");
    t.is(run, "compensated").await;
    assert_eq!(t.script.undone(), ["charge", "reserve"], "it took effect, so it is undone");
    assert_eq!(t.script.count("charge", Side::Verify), calls, "nobody asks what is known");
    t.finish().await;
}

#[tokio::test]
async fn a_step_resolved_as_failed_is_not_undone() {
    let t = TestEngine::new().await;
    t.script.always("charge", Side::Run, Do::Unknown("lost"));
    t.script.always("charge", Side::Verify, Do::NotYet);
    t.script.always("charge", Side::Undo, Do::Fatal("no_such_charge"));
    let run = t.ends(&[call("reserve"), call("charge")], "stuck").await.id;
    act(&t, run, &resolve(1, Declared::Failed, None)).await;
    let seen = t.is(run, "compensated").await;
    let stands = [("charge", "forward"), ("charge", "undo"), ("reserve", "undo")]
        .map(|at| outcome(&seen, at.0, at.1).to_owned());
    assert_eq!(stands, ["failed", "skipped", "ok"]);
    assert_eq!(t.count("attention").await, 0);
    t.finish().await;
}

#[tokio::test]
async fn an_unknown_undo_can_be_resolved() {
    let t = TestEngine::new().await;
    t.script.always("ship", Side::Undo, Do::Unknown("lost"));
    let run = t.ends(&[call("reserve"), call("ship"), Op::Fail("no".into())], "stuck").await.id;
    let undo = |outcome| Action::Resolve {
        seq: 1,
        direction: Some(StepDirection::Undo),
        outcome,
        output: None,
        evidence: None,
    };
    act(&t, run, &undo(Declared::Failed)).await;
    t.until(run, "stuck at a failed undo", |run| run.status == "stuck" && outcome(run, "ship", "undo") == "failed")
        .await;
    let refused = t.engine.act(run, &undo(Declared::Ok), &operator()).await.expect_err("it is known");
    assert_eq!(refused.code(), "wrong_state");
    t.engine.retry(run, &operator()).await.expect("a stuck run can be retried");
    t.until(run, "unknown again", |run| run.status == "stuck" && outcome(run, "ship", "undo") == "unknown").await;
    act(&t, run, &undo(Declared::Ok)).await;
    t.is(run, "compensated").await;
    t.finish().await;
}

#[tokio::test]
async fn an_unknown_step_of_an_ended_run_is_resolved_on_record_only() {
    let t = TestEngine::new().await;
    t.script.always("note", Side::Run, Do::Unknown("lost"));
    let run = t.ends(&[Op::BestEffort("note".into())], "completed").await.id;
    act(&t, run, &resolve(0, Declared::Ok, None)).await;
    let seen = t.run(run).await;
    assert_eq!((seen.status.as_str(), outcome(&seen, "note", "forward")), ("completed", "ok"));
    assert_eq!((t.count("ready").await, t.count("attention").await), (0, 0));
    t.finish().await;
}

#[tokio::test]
async fn an_abandoned_run_lists_what_stays_and_never_moves_again() {
    let t = TestEngine::new().await;
    t.script.always("ship", Side::Undo, Do::Fatal("gone"));
    let run = t.ends(&[call("reserve"), call("ship"), call("charge"), Op::Fail("no".into())], "stuck").await.id;
    let plan = act(&t, run, &Action::Abandon).await;
    let stays: Vec<_> = plan.stays.iter().map(|undo| undo.activity.as_str()).collect();
    assert_eq!(stays, ["reserve", "ship"], "charge's undo was made");
    let seen = t.run(run).await;
    assert_eq!((seen.status.as_str(), seen.finished_at.is_some()), ("abandoned", true));
    assert_eq!((t.count("attention").await, t.count("ready").await, t.count("timer").await), (0, 0, 0));
    assert_eq!(t.count("step WHERE outcome IS NULL").await, 0);
    t.engine.signal(run, "go", None, None).await.expect_err("it has ended");
    t.finish().await;
}

#[tokio::test]
async fn what_would_contradict_a_worker_is_refused_while_it_holds_the_run() {
    let t = TestEngine::new().await;
    let gate = Gate::new();
    t.script.on("reserve", Side::Run, [Do::Gate(gate.clone(), Do::Ok.into())]);
    let run = t.start(&[call("reserve")]).await;
    gate.is_reached().await;
    for action in [Action::Abandon, skip(0, json!(1)), resolve(0, Declared::Ok, None)] {
        let refused = t.engine.act(run, &action, &operator()).await.expect_err("a worker holds it");
        assert_eq!(refused.code(), "held_by_worker", "{}", action.word());
    }
    gate.open();
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_retry_that_is_being_made_already_is_not_made_now() {
    let t = TestEngine::new().await;
    let gate = Gate::new();
    t.script.on("slow", Side::Run, [Do::Failed("busy"), Do::Gate(gate.clone(), Do::Ok.into())]);
    let run = t.start(&[call("slow")]).await;
    t.is(run, "waiting").await;
    t.advance(61.0).await;
    gate.is_reached().await;
    let refused = t.engine.retry(run, &operator()).await.expect_err("a worker holds it");
    assert_eq!(refused.code(), "held_by_worker");
    gate.open();
    t.is(run, "completed").await;
    assert_eq!(t.script.count("slow", Side::Run), 2);
    t.finish().await;
}

#[tokio::test]
async fn a_failed_best_effort_is_acknowledged_and_a_stuck_run_is_not() {
    let t = TestEngine::new().await;
    t.script.always("note", Side::Run, Do::Failed("mail_down"));
    let done = t.ends(&[Op::BestEffort("note".into())], "completed").await.id;
    let stuck = t.ends(&[call("reserve"), Op::Panic], "stuck").await.id;
    assert_eq!(t.count("attention WHERE kind IN ('best_effort', 'stuck') AND workflow_id IS NOT NULL").await, 2);
    act(&t, done, &Action::Acknowledge).await;
    let again = act(&t, done, &Action::Acknowledge).await;
    assert_eq!(again.says, ["nothing of it needs attention"]);
    let refused = t.engine.act(stuck, &Action::Acknowledge, &operator()).await.expect_err("it is stuck");
    assert_eq!((refused.code(), t.count("attention").await), ("wrong_state", 1));
    t.finish().await;
}

#[tokio::test]
async fn a_step_that_is_retried_for_long_needs_attention_until_it_succeeds() {
    let t = TestEngine::new().await;
    t.script.on("bounded", Side::Run, (0..5).map(|_| Do::Failed("busy")));
    let run = t.start(&[Op::Within("bounded".into(), 3_600_000)]).await;
    for attempts in 1..=5 {
        t.until(run, "another attempt", |run| run.status == "waiting" && forward(run)[0].attempts == attempts).await;
        assert_eq!(t.count("attention WHERE kind = 'retrying'").await, i64::from(attempts >= 5), "{attempts}");
        t.advance(61.0).await;
    }
    t.is(run, "completed").await;
    assert_eq!(t.count("attention").await, 0);
    t.finish().await;
}

#[tokio::test]
async fn of_two_operators_at_once_one_acts_and_the_other_is_told() {
    let t = TestEngine::new().await;
    t.script.always("ship", Side::Run, Do::Fatal("no_van"));
    let run = t.ends(&[call("reserve"), Op::Pivot, call("ship"), signal("go", None)], "stuck").await.id;
    let (skip, by) = (skip(2, json!(1)), operator());
    let (one, other) = tokio::join!(t.engine.act(run, &skip, &by), t.engine.act(run, &skip, &by));
    let refused = [one, other].into_iter().filter_map(Result::err).map(|error| error.code()).collect::<Vec<_>>();
    assert!(matches!(refused.as_slice(), ["wrong_state" | "held_by_worker"]), "{refused:?}");
    t.is(run, "waiting").await;
    wait_until("the refusal is on record", async || t.count("audit WHERE outcome = 'refused'").await == 1).await;
    assert_eq!(t.count("audit WHERE outcome = 'done' AND action = 'skip'").await, 1);
    t.finish().await;
}

#[tokio::test]
async fn a_verb_in_a_callers_transaction_is_done_with_it_or_not_at_all() {
    let t = TestEngine::new().await;
    let run = t.start(&[signal("go", None)]).await;
    t.is(run, "waiting").await;
    let by = Operator { operation_id: Some(uuid::Uuid::now_v7()), ..operator() };
    let mut tx = t.engine.pool().begin().await.expect("a transaction");
    t.engine.act_in(&mut tx, run, &Action::Pause, &by).await.expect("a waiting run can be paused");
    t.engine.act_in(&mut tx, run, &skip(7, json!(1)), &by).await.expect_err("there is no such step");
    tx.rollback().await.expect("it is rolled back");
    assert_eq!((t.run(run).await.status.as_str(), t.count("audit").await), ("waiting", 0));
    let mut tx = t.engine.pool().begin().await.expect("a transaction");
    t.engine.act_in(&mut tx, run, &skip(7, json!(1)), &by).await.expect_err("there is no such step");
    t.engine.act_in(&mut tx, run, &Action::Pause, &by).await.expect("a refusal leaves the transaction usable");
    tx.commit().await.expect("it is committed");
    assert_eq!(t.run(run).await.status, "paused");
    assert_eq!(t.count(&format!("audit WHERE operation_id = '{}'", by.operation_id.unwrap_or_default())).await, 1);
    t.finish().await;
}

#[tokio::test]
async fn a_step_is_not_settled_otherwise_where_the_workflow_has_asked_for_more_since() {
    let t = TestEngine::new().await;
    t.script.on("once", Side::Run, [Do::Fatal("no")]);
    t.script.on("slow", Side::Run, [Do::Failed("busy")]);
    let run = t.start(&[Op::Try("once".into()), call("slow")]).await;
    t.is(run, "waiting").await;
    // It ends without having been told of the second step, for which it asked because of the first.
    t.engine.cancel(run, &operator()).await.expect("the cancel is accepted");
    t.is(run, "failed").await;
    let refused = t.engine.act(run, &skip(0, json!("there")), &operator()).await.expect_err("another has built on it");
    assert_eq!(refused.code(), "wrong_state");
    assert!(refused.to_string().contains("step 1 has built on its being failed"), "{refused}");
    assert_eq!(t.run(run).await.status, "failed");
    t.finish().await;
}
