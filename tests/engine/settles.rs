//! Skip and resolve: an operator puts an outcome on record that no attempt brought.

use backstitch::engine::{
    Activity, ActivityContext, ActivityError, Context, Declared, Direction, Failure, Verb, Workflow,
};
use serde_json::{Value, json};

use super::verbs::{apply, resolve, skip};
use crate::support::{engine::*, script::*};

#[tokio::test]
async fn an_undo_that_was_made_can_not_be_skipped() {
    let t = TestEngine::new().await;
    t.script.on("reserve", Side::Undo, [Do::Fatal("gone")]);
    let run = t.ends(&[call("reserve"), call("ship"), Op::Fail("no".into())], "stuck").await.id;
    let made = Verb::Skip { seq: 1, direction: Some(Direction::Undo), output: None };
    let refused = t.engine.apply_verb(run, &made, &operator()).await.expect_err("it was made");
    assert_eq!(refused.code(), "wrong_state");
    let seen = t.run(run).await;
    assert_eq!((seen.status.word(), outcome(&seen, "ship", "undo")), ("stuck", "ok"));
    t.finish().await;
}

#[tokio::test]
async fn a_skipped_step_gives_its_output_and_is_not_undone() {
    let t = TestEngine::new().await;
    t.script.always("ship", Side::Run, Do::Fatal("no_van"));
    let run = t.ends(&[call("reserve"), Op::Pivot, call("ship"), call("note")], "stuck").await.id;
    apply(&t, run, &skip(2, json!({ "by": "hand" }))).await;
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
    apply(&t, run, &skip(0, json!("none"))).await;
    assert_eq!(output(&t.is(run, "completed").await)[0], json!("none"));
    assert_eq!(t.script.count("slow", Side::Run), 1);
    t.finish().await;
}

#[tokio::test]
async fn a_skipped_undo_counts_as_done() {
    let t = TestEngine::new().await;
    t.script.always("ship", Side::Undo, Do::Fatal("gone"));
    let run = t.ends(&[call("reserve"), call("ship"), Op::Fail("no".into())], "stuck").await.id;
    apply(&t, run, &Verb::Skip { seq: 1, direction: None, output: None }).await;
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
    apply(&t, run, &resolve(2, Declared::Ok, Some(json!({ "paid": 1 })))).await;
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
    apply(&t, run, &resolve(1, Declared::Failed, None)).await;
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
    let undo =
        |outcome| Verb::Resolve { seq: 1, direction: Some(Direction::Undo), outcome, output: None, evidence: None };
    apply(&t, run, &undo(Declared::Failed)).await;
    t.until(run, "stuck at a failed undo", |run| run.status == "stuck" && outcome(run, "ship", "undo") == "failed")
        .await;
    let refused = t.engine.apply_verb(run, &undo(Declared::Ok), &operator()).await.expect_err("it is known");
    assert_eq!(refused.code(), "wrong_state");
    t.engine.retry(run, &operator()).await.expect("a stuck run can be retried");
    t.until(run, "unknown again", |run| run.status == "stuck" && outcome(run, "ship", "undo") == "unknown").await;
    apply(&t, run, &undo(Declared::Ok)).await;
    t.is(run, "compensated").await;
    t.finish().await;
}

#[tokio::test]
async fn resolving_in_an_ended_run_changes_its_record_only() {
    let t = TestEngine::new().await;
    t.script.always("note", Side::Run, Do::Unknown("lost"));
    let run = t.ends(&[Op::BestEffort("note".into())], "completed").await.id;
    apply(&t, run, &resolve(0, Declared::Ok, None)).await;
    let seen = t.run(run).await;
    assert_eq!((seen.status.word(), outcome(&seen, "note", "forward")), ("completed", "ok"));
    assert_eq!((t.count("ready").await, t.count("attention").await), (0, 0));
    t.finish().await;
}

#[tokio::test]
async fn a_step_that_the_workflow_built_on_is_not_resettled() {
    let t = TestEngine::new().await;
    t.script.on("once", Side::Run, [Do::Fatal("no")]);
    t.script.on("slow", Side::Run, [Do::Failed("busy")]);
    let run = t.start(&[Op::Try("once".into()), call("slow")]).await;
    t.is(run, "waiting").await;
    // It ends without having been told of the second step, for which it asked because of the first.
    t.engine.cancel(run, &operator()).await.expect("the cancel is accepted");
    t.is(run, "failed").await;
    let refused =
        t.engine.apply_verb(run, &skip(0, json!("there")), &operator()).await.expect_err("another has built on it");
    assert_eq!(refused.code(), "wrong_state");
    assert!(refused.to_string().contains("step 1 has built on its being failed"), "{refused}");
    assert_eq!(t.run(run).await.status, "failed");
    t.finish().await;
}

/// Gives a number, or nothing that anybody knows.
struct Weigh;
impl Activity for Weigh {
    const NAME: &'static str = "weigh";
    type Input = ();
    type Output = u32;
    async fn run(&self, _: &ActivityContext, (): &()) -> Result<u32, ActivityError> {
        Err(ActivityError::unknown("no_scale", "as the test says").fatal())
    }
}

struct Weighs;
impl Workflow for Weighs {
    const NAME: &'static str = "weighs";
    type Input = ();
    type Output = u32;
    async fn run(&self, cx: &Context, (): ()) -> Result<u32, Failure> {
        cx.pivot().await;
        Ok(cx.call::<Weigh>(()).await? + 1)
    }
}

#[tokio::test]
async fn a_wrong_output_is_refused_where_the_code_is_elsewhere() {
    let mut t = TestEngine::idle().await;
    let registry = Script::default().registry().workflow(Weighs).described_activity(Weigh);
    t.add_worker_with(config("w0"), registry).await;
    let run = t.start_of("weighs", &()).await;
    t.is(run, "stuck").await;
    let refused = t.engine.apply_verb(run, &skip(1, json!("heavy")), &operator()).await.expect_err("no number");
    assert_eq!(refused.code(), "invalid_output");
    apply(&t, run, &skip(1, json!(41))).await;
    assert_eq!(output(&t.is(run, "completed").await), json!(42));
    t.finish().await;
}

#[tokio::test]
async fn a_wrong_output_is_refused_and_can_be_corrected() {
    let mut t = TestEngine::idle().await;
    let registry = || Script::default().registry().workflow(Weighs).activity(Weigh);
    t.add_worker_with(config("w0"), registry()).await;
    t.execute("INSERT INTO backstitch.workflow (name, version) VALUES ('weighs', 1) ON CONFLICT DO NOTHING").await;
    let knows = backstitch::engine::Engine::new(t.engine.pool().clone(), registry());
    let resolve = |output: Option<Value>| resolve(1, Declared::Ok, output);
    for wrong in [skip(1, json!("heavy")), skip(1, Value::Null), resolve(Some(json!(-1))), resolve(None)] {
        let run = t.start_of("weighs", &()).await;
        t.is(run, "stuck").await;
        for dry_run in [true, false] {
            let by = backstitch::engine::Operator { dry_run, ..operator() };
            let refused = knows.apply_verb(run, &wrong, &by).await.expect_err("it can't be read");
            assert_eq!(refused.code(), "invalid_output", "{wrong:?}");
        }
        // By somebody who does not know the activity, and so can't check it.
        apply(&t, run, &wrong).await;
        let unreadable = |run: &backstitch::engine::Run| {
            run.status == "stuck" && run.failure.as_ref().is_some_and(|failure| failure.code == "undecodable_output")
        };
        t.until(run, "the output can't be read", unreadable).await;
        knows.apply_verb(run, &skip(1, json!(41)), &operator()).await.expect("a right one takes its place");
        assert_eq!(output(&t.is(run, "completed").await), json!(42));
        let again = knows.apply_verb(run, &skip(1, json!(1)), &operator()).await.expect_err("it is settled");
        assert_eq!(again.code(), "wrong_state");
    }
    t.finish().await;
}
