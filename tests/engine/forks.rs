//! Forks: a new run with the results of another one's first steps.

use backstitch::engine::{Engine, ForkPlan, RunId};
use serde_json::json;

use crate::support::{engine::*, script::*};

async fn fork(engine: &Engine, run: RunId, from: u32) -> ForkPlan {
    engine.fork(run, from, None, &operator()).await.expect("it can be forked")
}

#[tokio::test]
async fn a_fork_keeps_results_and_never_undoes_the_originals() {
    let t = TestEngine::new().await;
    t.script.on("charge", Side::Run, [Do::Fatal("declined")]);
    let program = [call("reserve"), Op::Uuid, Op::Pivot, call("charge"), call("ship"), Op::Fail("no".into())];
    let first = t.ends(&program, "stuck").await;
    let plan = fork(&t.engine, first.id, 3).await;
    assert_eq!((plan.kept.clone(), plan.again.clone()), (vec![0, 1, 2], vec![3]));
    let new = plan.new_run.expect("it is begun");
    t.is(new, "stuck").await;
    t.engine.compensate(new, &operator()).await.expect("a stuck run can be undone");
    let seen = t.is(new, "compensated").await;
    assert_eq!(t.script.undone(), ["ship", "charge"], "what it kept is the first run's");
    assert_eq!((seen.parent_id, t.script.count("reserve", Side::Run)), (Some(first.id), 1));
    assert!(t.script.calls_of("charge", Side::Run)[1].key.starts_with(&new.to_string()), "its keys are its own");
    assert_eq!(t.run(first.id).await.status, "stuck", "the first run stands where it stood");
    assert_eq!(t.count(&format!("audit WHERE action = 'fork' AND after ->> 'new_run' = '{new}'")).await, 1);
    t.finish().await;
}

#[tokio::test]
async fn a_fork_from_the_beginning_may_have_another_input() {
    let t = TestEngine::new().await;
    let first = t.ends(&[Op::Fail("no".into())], "failed").await.id;
    let input = json!([{ "call": "note" }]);
    let refused = t.engine.fork(first, 0, Some(json!({ "not": "a program" })), &operator()).await;
    assert_eq!(refused.expect_err("it can't be read").code(), "invalid_input");
    let plan = t.engine.fork(first, 0, Some(input), &operator()).await.expect("it can be forked");
    t.is(plan.new_run.expect("it is begun"), "completed").await;
    let done = t.ends(&[call("note"), call("ship")], "completed").await.id;
    let refused = t.engine.fork(done, 1, Some(json!([])), &operator()).await;
    assert_eq!(refused.expect_err("what is kept followed from the first one").code(), "invalid_request");
    t.finish().await;
}

#[tokio::test]
async fn what_has_been_undone_can_not_be_kept() {
    let t = TestEngine::new().await;
    let first = t.ends(&[call("note"), call("reserve"), call("ship"), Op::Fail("no".into())], "compensated").await.id;
    let refused = t.engine.fork(first, 2, None, &operator()).await.expect_err("reserve was undone");
    assert_eq!(refused.code(), "wrong_state");
    assert_eq!(fork(&t.engine, first, 1).await.kept, [0]);
    let waiting = t.start(&[signal("go", None)]).await;
    t.is(waiting, "waiting").await;
    assert_eq!(t.engine.fork(waiting, 0, None, &operator()).await.expect_err("it goes on").code(), "wrong_state");
    assert_eq!(t.engine.fork(first, 9, None, &operator()).await.expect_err("no such step").code(), "unknown_step");
    t.finish().await;
}

#[tokio::test]
async fn undoing_what_a_fork_relies_on_says_so() {
    let t = TestEngine::new().await;
    let first = t.ends(&[call("reserve"), call("ship"), call("note")], "completed").await.id;
    let new = fork(&t.engine, first, 1).await.new_run.expect("it is begun");
    t.is(new, "completed").await;
    let dry = backstitch::engine::Operator { dry_run: true, ..operator() };
    let says = |plan: backstitch::engine::ActionPlan| plan.says.join("; ");
    let plan = says(t.engine.compensate(first, &dry).await.expect("it could be undone"));
    assert!(plan.contains(&format!("run {new}, forked from this one, relies on what is undone: step 0")), "{plan}");
    t.engine.compensate(new, &operator()).await.expect("the fork can be undone");
    t.is(new, "compensated").await;
    let plan = says(t.engine.compensate(first, &dry).await.expect("it could be undone"));
    assert!(!plan.contains("forked"), "nothing relies on it any longer: {plan}");
    t.finish().await;
}
