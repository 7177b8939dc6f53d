//! Operators' verbs: retry, abandon, acknowledge, and what holds for all. `pauses` and `settles` have the others, `verbs_table` verbs
//! and statuses, `forks` forks.

use backstitch::engine::{Declared, Operator, PolicyOverride, Verb};
use serde_json::json;

use crate::support::{engine::*, script::*, wait_until};

pub(crate) fn skip(seq: u32, output: serde_json::Value) -> Verb {
    Verb::Skip { seq, direction: None, output: Some(output) }
}

pub(crate) fn resolve(seq: u32, outcome: Declared, output: Option<serde_json::Value>) -> Verb {
    Verb::Resolve { seq, direction: None, outcome, output, evidence: Some("their support said so".to_owned()) }
}

pub(crate) async fn apply(
    t: &TestEngine,
    run: backstitch::engine::RunId,
    action: &Verb,
) -> backstitch::engine::ActionPlan {
    t.engine.apply_verb(run, action, &operator()).await.unwrap_or_else(|error| panic!("{}: {error}", action.word()))
}

#[tokio::test]
async fn a_run_being_undone_refuses_another_undo() {
    let t = TestEngine::new().await;
    t.script.on("ship", Side::Undo, [Do::Fatal("gone")]);
    let run = t.ends(&[call("reserve"), call("ship"), Op::Fail("no".into())], "stuck").await.id;
    for verb in [Verb::Cancel, Verb::Compensate] {
        let refused = t.engine.apply_verb(run, &verb, &operator()).await.expect_err("its plan is made");
        assert_eq!(refused.code(), "wrong_state", "{}", verb.word());
    }
    assert_eq!((t.run(run).await.status.word(), t.count("ready").await), ("stuck", 0));
    apply(&t, run, &Verb::Retry { policy: None }).await;
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
    apply(&t, run, &Verb::Cancel).await;
    for verb in [Verb::Pause, Verb::Resume, skip(1, json!(1))] {
        let refused = t.engine.apply_verb(run, &verb, &operator()).await.expect_err("it is about to undo");
        assert_eq!(refused.code(), "wrong_state", "{}", verb.word());
    }
    t.add_worker(config("w1")).await;
    t.is(run, "compensated").await;
    t.finish().await;
}

#[tokio::test]
async fn a_waiting_retry_can_be_made_now_with_another_policy() {
    let t = TestEngine::new().await;
    t.script.on("slow", Side::Run, [Do::Failed("busy"), Do::Failed("busy")]);
    let run = t.start(&[call("slow")]).await;
    t.is(run, "waiting").await;
    let policy = PolicyOverride { first_ms: Some(1), max_attempts: Some(2), ..PolicyOverride::default() };
    let plan = apply(&t, run, &Verb::Retry { policy: Some(policy) }).await;
    assert_eq!(plan.retry, [0]);
    let run = t.is(run, "completed").await;
    assert_eq!(forward(&run)[0].attempts, 2, "its attempts begin anew, and none of them waits a minute");
    t.finish().await;
}

#[tokio::test]
async fn a_replaced_policy_survives_a_takeover() {
    let t = TestEngine::new().await;
    t.script.always("once", Side::Run, Do::Failed("busy"));
    let run = t.ends(&[Op::Pivot, call("once")], "stuck").await.id;
    let policy = PolicyOverride { first_ms: Some(600_000), max_attempts: Some(3), ..PolicyOverride::default() };
    apply(&t, run, &Verb::Retry { policy: Some(policy) }).await;
    t.until(run, "it waits ten minutes", |run| run.status == "waiting" && forward(run)[0].attempts == 1).await;
    t.advance(601.0).await;
    t.until(run, "the second", |run| run.status == "waiting" && forward(run)[0].attempts == 2).await;
    t.advance(1_300.0).await;
    t.is(run, "stuck").await;
    assert_eq!(t.script.count("once", Side::Run), 4, "its own policy allows one");
    apply(&t, run, &Verb::Retry { policy: None }).await;
    t.until(run, "stuck again", |run| run.status == "stuck" && forward(run)[0].attempts == 1).await;
    t.finish().await;
}

#[tokio::test]
async fn an_abandoned_run_lists_what_stays_and_never_moves_again() {
    let t = TestEngine::new().await;
    t.script.always("ship", Side::Undo, Do::Fatal("gone"));
    let run = t.ends(&[call("reserve"), call("ship"), call("charge"), Op::Fail("no".into())], "stuck").await.id;
    let plan = apply(&t, run, &Verb::Abandon).await;
    let stays: Vec<_> = plan.stays.iter().map(|undo| undo.activity.as_str()).collect();
    assert_eq!(stays, ["reserve", "ship"], "charge's undo was made");
    let seen = t.run(run).await;
    assert_eq!((seen.status.word(), seen.finished_at.is_some()), ("abandoned", true));
    assert_eq!((t.count("attention").await, t.count("ready").await, t.count("timer").await), (0, 0, 0));
    assert_eq!(t.count("step WHERE outcome IS NULL").await, 0);
    t.engine.signal(run, "go", None, None).await.expect_err("it has ended");
    t.finish().await;
}

#[tokio::test]
async fn a_verb_that_contradicts_the_worker_is_refused() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let run = t.start(&[call("reserve")]).await;
    gate.is_reached().await;
    for action in [Verb::Abandon, skip(0, json!(1)), resolve(0, Declared::Ok, None)] {
        let refused = t.engine.apply_verb(run, &action, &operator()).await.expect_err("a worker holds it");
        assert_eq!(refused.code(), "held_by_worker", "{}", action.word());
    }
    gate.open();
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_retry_under_way_is_not_made_again() {
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
async fn acknowledge_takes_failed_best_effort_but_not_stuck_runs() {
    let t = TestEngine::new().await;
    t.script.always("note", Side::Run, Do::Failed("mail_down"));
    let done = t.ends(&[Op::BestEffort("note".into())], "completed").await.id;
    let stuck = t.ends(&[call("reserve"), Op::Panic], "stuck").await.id;
    assert_eq!(t.count("attention WHERE kind IN ('best_effort', 'stuck') AND workflow_id IS NOT NULL").await, 2);
    apply(&t, done, &Verb::Acknowledge).await;
    let again = apply(&t, done, &Verb::Acknowledge).await;
    assert_eq!(again.says, ["nothing of it needs attention"]);
    let refused = t.engine.apply_verb(stuck, &Verb::Acknowledge, &operator()).await.expect_err("it is stuck");
    assert_eq!((refused.code(), t.count("attention").await), ("wrong_state", 1));
    t.finish().await;
}

#[tokio::test]
async fn a_long_retried_step_needs_attention_until_it_succeeds() {
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
async fn of_two_operators_at_once_one_is_refused() {
    let t = TestEngine::new().await;
    t.script.always("ship", Side::Run, Do::Fatal("no_van"));
    let run = t.ends(&[call("reserve"), Op::Pivot, call("ship"), signal("go", None)], "stuck").await.id;
    let (skip, by) = (skip(2, json!(1)), operator());
    let (one, other) = tokio::join!(t.engine.apply_verb(run, &skip, &by), t.engine.apply_verb(run, &skip, &by));
    let refused = [one, other].into_iter().filter_map(Result::err).map(|error| error.code()).collect::<Vec<_>>();
    assert!(matches!(refused.as_slice(), ["wrong_state" | "held_by_worker"]), "{refused:?}");
    t.is(run, "waiting").await;
    wait_until("the refusal is on record", async || t.count("audit WHERE outcome = 'refused'").await == 1).await;
    assert_eq!(t.count("audit WHERE outcome = 'done' AND action = 'skip'").await, 1);
    t.finish().await;
}

#[tokio::test]
async fn a_verb_commits_with_its_callers_transaction() {
    let t = TestEngine::new().await;
    let run = t.start(&[signal("go", None)]).await;
    t.is(run, "waiting").await;
    let by = Operator { operation_id: Some(uuid::Uuid::now_v7()), ..operator() };
    let mut tx = t.engine.pool().begin().await.expect("a transaction");
    t.engine.apply_verb_in(&mut tx, run, &Verb::Pause, &by).await.expect("a waiting run can be paused");
    t.engine.apply_verb_in(&mut tx, run, &skip(7, json!(1)), &by).await.expect_err("there is no such step");
    tx.rollback().await.expect("it is rolled back");
    assert_eq!((t.run(run).await.status.word(), t.count("audit").await), ("waiting", 0));
    let mut tx = t.engine.pool().begin().await.expect("a transaction");
    t.engine.apply_verb_in(&mut tx, run, &skip(7, json!(1)), &by).await.expect_err("there is no such step");
    t.engine.apply_verb_in(&mut tx, run, &Verb::Pause, &by).await.expect("a refusal leaves the transaction usable");
    tx.commit().await.expect("it is committed");
    assert_eq!(t.run(run).await.status, "paused");
    assert_eq!(t.count(&format!("audit WHERE operation_id = '{}'", by.operation_id.unwrap_or_default())).await, 1);
    t.finish().await;
}
