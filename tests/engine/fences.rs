//! The fence of steps' own transactions, in both orders, and what is left behind it. A transaction is held between its fence and
//! its commit by somebody who has the same step's row under way: a transaction of the test's.

use backstitch::engine::RunId;
use sqlx::Connection;

use crate::{
    races::{self, blocked, locked},
    support::{engine::*, script::*, wait_until},
};

const TAKEOVER: &str = include_str!("../../src/engine/store/sql/takeover.sql");
const RELEASE: &str = include_str!("../../src/engine/store/sql/release_run.sql");
const INSERT: &str = "INSERT INTO effect VALUES (1)";

async fn with_effects() -> TestEngine {
    let t = TestEngine::new().await;
    t.execute("CREATE TABLE effect (n int)").await;
    t
}

async fn take_over(t: &TestEngine) -> (i64, i64) {
    sqlx::query_as(rendered(TAKEOVER)).bind(-1_i64).fetch_one(t.engine.pool()).await.expect("takes over")
}

fn held_step(run: RunId) -> String {
    format!(
        "INSERT INTO backstitch.step (run_id, seq, issued_after, direction, kind, attempts, generation, undoable, name)
            VALUES ('{run}', 0, 0, 0, 0, 0, 0, false, 'book')"
    )
}

/// How many steps' transactions wait at their flush.
async fn are_waiting(t: &TestEngine, steps: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND wait_event_type = 'Lock' AND query LIKE '%FOR KEY SHARE%' AND pid <> pg_backend_pid()";
    wait_until("the flushes of so many steps wait", async || {
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(t.engine.pool()).await.expect("reads") == steps
    })
    .await;
}

/// A run whose step's transaction has passed the fence, and is held before its commit.
async fn committing(t: &TestEngine) -> (RunId, sqlx::Transaction<'static, sqlx::Postgres>) {
    let gate = t.script.gate("book", Side::Run, Do::Sql(INSERT.into(), Do::Ok.into()));
    let run = t.start(&[call("book")]).await;
    gate.is_reached().await;
    let held = locked(t, &held_step(run)).await;
    gate.open();
    (run, held)
}

#[tokio::test]
async fn a_takeover_passes_over_a_lane_whose_steps_commit() {
    let t = with_effects().await;
    let (one, first) = committing(&t).await;
    are_waiting(&t, 1).await;
    let (other, second) = committing(&t).await;
    are_waiting(&t, 2).await;
    assert_eq!(take_over(&t).await, (0, 0), "two of its steps are about to commit");
    first.rollback().await.expect("lets go");
    t.is(one, "completed").await;
    assert_eq!(take_over(&t).await, (0, 0), "one still is");
    second.rollback().await.expect("lets go");
    t.is(other, "completed").await;
    assert_eq!((t.count("effect").await, t.script.count("book", Side::Run)), (2, 2));
    t.finish().await;
}

#[tokio::test]
async fn steps_that_wait_for_a_takeover_write_nothing() {
    let t = with_effects().await;
    let (first, second) = (Gate::new(), Gate::new());
    for gate in [&first, &second] {
        t.script.on("book", Side::Run, [Do::Sql(INSERT.into(), Do::Gate(gate.clone(), Do::Ok.into()).into())]);
    }
    let runs = [t.start(&[call("book")]).await, t.start(&[call("book")]).await];
    first.is_reached().await;
    second.is_reached().await;
    let mut takeover = t.engine.pool().begin().await.expect("a connection");
    let taken: (i64, i64) =
        sqlx::query_as(rendered(TAKEOVER)).bind(-1_i64).fetch_one(&mut *takeover).await.expect("takes over");
    assert_eq!(taken, (1, 2));
    first.open();
    second.open();
    are_waiting(&t, 2).await;
    takeover.commit().await.expect("commits");
    for run in runs {
        t.is(run, "completed").await;
    }
    assert_eq!(t.script.count("book", Side::Run), 4, "both were done again, by a new lane");
    assert_eq!((t.count("effect").await, t.count("lane WHERE NOT alive").await), (0, 1));
    t.finish().await;
}

/// Its place in `ready` is locked, so that the takeover passes over it: only the fence stands in the way.
#[tokio::test]
async fn a_step_of_a_dead_lane_writes_nothing() {
    let t = with_effects().await;
    let gate = t.script.gate("book", Side::Run, Do::Sql(INSERT.into(), Do::Ok.into()));
    let run = t.start(&[call("book"), call("note")]).await;
    gate.is_reached().await;
    let place = locked(&t, &format!("SELECT FROM backstitch.ready WHERE run_id = '{run}' FOR SHARE")).await;
    t.execute("UPDATE backstitch.lane SET alive = false").await;
    gate.open();
    wait_until("its worker has another lane", async || t.count("lane WHERE alive").await == 1).await;
    place.rollback().await.expect("lets go");
    t.is(run, "completed").await;
    assert_eq!((t.count("effect").await, t.count("step WHERE lane = 1").await), (0, 0));
    assert_eq!(t.script.count("book", Side::Run), 2, "it was done again, by the other lane");
    t.finish().await;
}

#[tokio::test]
async fn a_step_of_a_lane_waits_for_no_other() {
    let t = with_effects().await;
    let (slow, held) = committing(&t).await;
    are_waiting(&t, 1).await;
    // Neither another step nor a flush of the lane.
    let quick = t.ends(&[call("reserve"), call("book"), call("note")], "completed").await.id;
    assert_eq!(t.run(slow).await.status.word(), "running");
    held.rollback().await.expect("lets go");
    t.is(slow, "completed").await;
    let lanes = "step WHERE lane = (SELECT min(lane) FROM backstitch.step)";
    assert_eq!(t.count(lanes).await, 4, "one lane has written all of {slow} and {quick}");
    t.finish().await;
}

/// Gives the run back in the name of its lane; it has to wait.
async fn giving_back(t: &TestEngine, run: RunId) -> tokio::task::JoinHandle<u64> {
    let lease = "SELECT id, token FROM backstitch.lane";
    let (lane, token): (i32, uuid::Uuid) = sqlx::query_as(lease).fetch_one(t.engine.pool()).await.expect("one lane");
    let mut b = t.database().connect("b").await;
    let giving_back = blocked(t, "b", async move {
        let given = sqlx::query(rendered(RELEASE)).bind(lane).bind(run).bind(token).execute(&mut b).await;
        given.expect("it is done").rows_affected()
    });
    giving_back.await
}

/// Else another worker could take it, and do the step again that is about to commit.
#[tokio::test]
async fn a_run_is_given_back_after_its_steps_commit() {
    let t = with_effects().await;
    let gate = t.script.gate("book", Side::Run, Do::Sql(INSERT.into(), Do::Ok.into()));
    let run = t.start(&[call("book"), call("note")]).await;
    gate.is_reached().await;
    let held = locked(&t, &held_step(run)).await;
    gate.open();
    are_waiting(&t, 1).await;
    let giving_back = giving_back(&t, run).await;
    held.rollback().await.expect("lets go");
    assert_eq!(giving_back.await.expect("no panic"), 1);
    t.is(run, "completed").await;
    assert_eq!((t.count("effect").await, t.script.count("book", Side::Run)), (1, 1));
    t.finish().await;
}

#[tokio::test]
async fn a_run_is_not_given_back_during_its_commit() {
    let t = with_effects().await;
    let (run, held) = committing(&t).await;
    are_waiting(&t, 1).await;
    let giving_back = giving_back(&t, run).await;
    held.rollback().await.expect("lets go");
    assert_eq!(giving_back.await.expect("no panic"), 0, "the run has ended with that commit");
    t.is(run, "completed").await;
    assert_eq!(t.script.count("book", Side::Run), 1);
    t.finish().await;
}

#[tokio::test]
async fn a_lane_that_ends_waits_for_its_steps() {
    let mut t = with_effects().await;
    let (run, held) = committing(&t).await;
    are_waiting(&t, 1).await;
    let gone = t.workers.remove(0);
    let ending = tokio::spawn(async move {
        let mut gone = gone;
        gone.drain().await;
    });
    held.rollback().await.expect("lets go");
    ending.await.expect("no panic");
    t.is(run, "completed").await;
    assert_eq!((t.count("effect").await, t.script.count("book", Side::Run)), (1, 1));
    t.finish().await;
}

#[tokio::test]
async fn a_dead_lane_is_looked_for_until_nothing_is_left() {
    let t = TestEngine::idle().await;
    t.start(&[call("note")]).await;
    let lane = races::lane(&t).await;
    let (mut a, mut b) = (t.database().connect("a").await, t.database().connect("b").await);
    assert_eq!(races::claim(&mut a, lane, 10).await.len(), 1);
    let held = locked(&t, "SELECT FROM backstitch.ready FOR UPDATE").await;
    assert_eq!(races::take_over(&mut b, -1).await, (1, 0), "its run is passed over");
    assert_eq!(races::take_over(&mut b, -1).await, (0, 0), "and again");
    held.rollback().await.expect("lets go");
    assert_eq!(races::take_over(&mut b, -1).await, (0, 1));
    // How often a takeover reads `ready`.
    let mut reads = async || {
        let query = "SELECT (coalesce(seq_scan, 0) + coalesce(idx_scan, 0))::bigint
            FROM pg_stat_xact_user_tables WHERE relname = 'ready'";
        let mut tx = b.begin().await.expect("begins");
        let before: i64 = sqlx::query_scalar(query).fetch_one(&mut *tx).await.expect("reads");
        assert_eq!(races::take_over(&mut tx, -1).await, (0, 0));
        let after: i64 = sqlx::query_scalar(query).fetch_one(&mut *tx).await.expect("reads");
        tx.commit().await.expect("commits");
        after - before
    };
    assert!(reads().await > 0, "nothing is left, which is seen now");
    assert_eq!(reads().await, 0, "and known from then on");
    assert_eq!(t.count("lane WHERE swept").await, 1);
    t.finish().await;
}
