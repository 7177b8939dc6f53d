//! An outcome that goes along in the commit of the transactional step behind it: recorded with that, or by itself where that
//! takes long or comes to nothing; lost only with the worker.

use std::sync::Arc;

use backstitch::engine::{RunId, Verb, WorkerConfig, testing::Faults};

use crate::{
    support::{engine::*, script::*},
    transactional::{TABLE, effects, insert},
    verbs_races::BeforeCommit,
};

/// A run of `before` and then `book`, whose transaction is open, with the record of both about to be written.
async fn about_to_commit(before: &'static str, program: &[Op]) -> (TestEngine, RunId, Gate) {
    let commit = BeforeCommit::new();
    let mut t = TestEngine::idle().await;
    let faults = Some(commit.clone() as Arc<dyn Faults>);
    t.add_worker(WorkerConfig { faults, ..config("first") }).await;
    t.execute(TABLE).await;
    t.script.always("book", Side::Run, Do::Sql(insert(1), Do::Ok.into()));
    let gate = t.script.gate(before, Side::Run, Do::Ok);
    let run = t.start(program).await;
    commit.decides(&gate).await;
    assert_eq!((outcome(&t.run(run).await, before, "forward") == "ok", t.script.count("book", Side::Run)), (false, 1));
    (t, run, commit.gate.clone())
}

#[tokio::test]
async fn an_outcome_shares_the_commit_of_the_step_behind_it() {
    let t = TestEngine::new().await;
    for program in [vec![call("note"), call("book")], vec![call("charge"), Op::Pivot, call("book")]] {
        let run = t.ends(&program, "completed").await;
        let xmins = "SELECT count(DISTINCT xmin::text) FROM backstitch.step WHERE run_id = $1";
        let commits: i64 = sqlx::query_scalar(xmins).bind(run.id).fetch_one(t.engine.pool()).await.expect("reads");
        assert_eq!(commits, 1, "{run:?}");
    }
    t.finish().await;
}

#[tokio::test]
async fn an_outcome_does_not_wait_for_a_long_step() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("book", Side::Run, Do::Ok);
    let run = t.start(&[call("charge"), Op::Pivot, call("book")]).await;
    gate.is_reached().await;
    let seen = t.until(run, "the charge is on record", |run| outcome(run, "charge", "forward") == "ok").await;
    assert_eq!(outcome(&seen, "book", "forward"), "missing", "before book has taken so long that it is shown");
    gate.open();
    t.is(run, "completed").await;
    assert_eq!((t.script.count("charge", Side::Run), t.script.count("book", Side::Run)), (1, 1));
    t.finish().await;
}

#[tokio::test]
async fn an_outcome_outlives_the_step_that_fails_behind_it() {
    let t = TestEngine::new().await;
    t.script.on("book", Side::Run, [Do::Failed("busy"), Do::Panic, Do::Ok]);
    t.ends(&[call("note"), call("book")], "completed").await;
    t.script.on("book", Side::Run, [Do::Fatal("no")]);
    let run = t.ends(&[call("charge"), call("book")], "compensated").await;
    assert_eq!((outcome(&run, "charge", "forward"), outcome(&run, "book", "forward")), ("ok", "failed"));
    assert_eq!((t.script.count("note", Side::Run), t.script.count("charge", Side::Run)), (1, 1));
    assert_eq!((t.script.undone(), t.script.count("charge", Side::Verify)), (vec!["charge"], 0));
    t.finish().await;
}

#[tokio::test]
async fn a_pause_before_the_commit_undoes_the_step_behind() {
    let (t, run, commit) = about_to_commit("note", &[call("note"), call("book")]).await;
    t.engine.apply_verb(run, &Verb::Pause, &operator()).await.expect("a run under way can be paused");
    commit.open();
    let seen = t.is(run, "paused").await;
    assert_eq!((outcome(&seen, "note", "forward"), effects(&t).await), ("ok", vec![]));
    t.engine.apply_verb(run, &Verb::Resume, &operator()).await.expect("a paused run can be resumed");
    t.is(run, "completed").await;
    assert_eq!((t.script.count("note", Side::Run), effects(&t).await), (1, vec![1]));
    t.finish().await;
}

#[tokio::test]
async fn a_cancel_before_the_commit_refuses_pivot_and_step() {
    let (t, run, commit) = about_to_commit("charge", &[call("charge"), Op::Pivot, call("book")]).await;
    t.engine.apply_verb(run, &Verb::Cancel, &operator()).await.expect("it has not passed its pivot");
    commit.open();
    let seen = t.is(run, "compensated").await;
    assert_eq!((outcome(&seen, "charge", "undo"), effects(&t).await), ("ok", vec![]));
    assert_eq!((t.script.count("charge", Side::Run), t.script.undone()), (1, vec!["charge"]));
    t.finish().await;
}

#[tokio::test]
async fn an_outcome_lost_with_its_worker_is_verified() {
    let (mut t, run, _) = about_to_commit("charge", &[call("charge"), Op::Pivot, call("book")]).await;
    t.workers[0].kill().await;
    t.take_over_all().await;
    t.add_worker(config("second")).await;
    t.is(run, "completed").await;
    assert_eq!((t.script.count("charge", Side::Run), t.script.count("charge", Side::Verify)), (1, 1));
    assert_eq!((t.script.count("book", Side::Run), effects(&t).await), (2, vec![1]));
    t.finish().await;
}
