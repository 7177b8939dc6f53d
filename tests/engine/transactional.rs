//! Transactional steps: the step's own SQL and its record commit together, or not at all.

use backstitch::engine::Verb;

use crate::{
    races::locked,
    support::{engine::*, script::*, wait_until},
};

pub(crate) const TABLE: &str = "CREATE TABLE effect (n int PRIMARY KEY)";

pub(crate) fn insert(n: u32) -> String {
    format!("INSERT INTO effect VALUES ({n})")
}

pub(crate) async fn effects(t: &TestEngine) -> Vec<i32> {
    sqlx::query_scalar("SELECT n FROM effect ORDER BY n").fetch_all(t.engine.pool()).await.expect("reads")
}

#[tokio::test]
async fn sql_and_outcome_of_a_transactional_step_commit_together() {
    let t = TestEngine::new().await;
    t.execute(TABLE).await;
    t.script.on("book", Side::Run, [Do::Sql(insert(1), Do::Ok.into())]);
    let run = t.ends(&[call("book"), call("note")], "completed").await;
    assert_eq!((effects(&t).await, outcome(&run, "book", "forward")), (vec![1], "ok"));
    let same = "SELECT e.xmin = s.xmin FROM effect e, backstitch.step s WHERE s.name = 'book'";
    let same: bool = sqlx::query_scalar(same).fetch_one(t.engine.pool()).await.expect("both are there");
    assert!(same, "they are of one transaction");
    t.finish().await;
}

/// A sequential scan that is forbidden looks so dear that a server that may compile statements compiles each.
#[tokio::test]
async fn no_statement_of_a_steps_flush_is_compiled() {
    let t = TestEngine::new().await;
    t.execute(TABLE).await;
    t.execute("CREATE TABLE seen (jit text)").await;
    t.execute(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         INSERT INTO seen VALUES (current_setting('jit')); RETURN NULL; END $$",
    )
    .await;
    // It fires at the commit: after the flush, in the settings that the flush ran with.
    t.execute(
        "CREATE CONSTRAINT TRIGGER note AFTER INSERT ON effect DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION note()",
    )
    .await;
    let sql = "WITH j AS (SELECT set_config('jit', 'on', true)) INSERT INTO effect SELECT 1 FROM j";
    t.script.on("book", Side::Run, [Do::Sql(sql.to_owned(), Do::Ok.into())]);
    t.ends(&[call("book")], "completed").await;
    let seen: Vec<String> =
        sqlx::query_scalar("SELECT jit FROM seen").fetch_all(t.engine.pool()).await.expect("it reads");
    assert_eq!(seen, ["off"]);
    t.finish().await;
}

#[tokio::test]
async fn a_transactional_attempt_that_does_not_end_ok_leaves_nothing() {
    let t = TestEngine::new().await;
    t.execute(TABLE).await;
    let then = |n, end: Do| Do::Sql(insert(n), end.into());
    t.script.on("book", Side::Run, [then(1, Do::Failed("busy")), then(2, Do::Panic), then(3, Do::Ok)]);
    t.ends(&[call("book")], "completed").await;
    assert_eq!(effects(&t).await, [3]);
    t.script.on("book", Side::Run, [then(4, Do::Hang), then(5, Do::UnknownForGood("said_so"))]);
    let run = t.ends(&[call("book")], "failed").await;
    assert_eq!((effects(&t).await, outcome(&run, "book", "forward")), (vec![3], "failed"), "it is never unknown");
    t.finish().await;
}

#[tokio::test]
async fn a_transactional_step_of_a_fenced_worker_rolls_back() {
    let t = TestEngine::new().await;
    t.execute(TABLE).await;
    let gate = Gate::new();
    t.script.on("book", Side::Run, [Do::Sql(insert(1), Do::Gate(gate.clone(), Do::Ok.into()).into())]);
    t.script.on("book", Side::Run, [Do::Sql(insert(2), Do::Ok.into())]);
    let run = t.start(&[call("book")]).await;
    gate.is_reached().await;
    assert_eq!(t.take_over_all().await, 1);
    gate.open();
    t.is(run, "completed").await;
    wait_until("the fenced worker's transaction is gone", async || {
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
        sqlx::query_scalar::<_, i64>(open).fetch_one(t.engine.pool()).await.expect("reads") == 0
    })
    .await;
    assert_eq!(effects(&t).await, [2]);
    t.finish().await;
}

#[tokio::test]
async fn an_attempt_waits_for_a_lock_within_its_timeout() {
    let t = TestEngine::new().await;
    t.execute(TABLE).await;
    t.execute("INSERT INTO effect VALUES (1)").await;
    let held = locked(&t, "SELECT FROM effect FOR UPDATE").await;
    t.script.always("book", Side::Run, Do::Sql("UPDATE effect SET n = n".to_owned(), Do::Ok.into()));
    t.ends(&[call("book")], "failed").await;
    assert_eq!(t.script.count("book", Side::Run), 3, "each of its attempts has run out of time");
    // The process may be stopped: so it is the server that ends what it waits for, not the client.
    wait_until("no attempt waits for the lock", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE effect%'";
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(t.engine.pool()).await.expect("reads") == 0
    })
    .await;
    held.rollback().await.expect("lets go");
    t.finish().await;
}

#[tokio::test]
async fn a_transaction_that_can_not_commit_ends_stuck() {
    let t = TestEngine::new().await;
    t.execute("CREATE TABLE effect (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)").await;
    t.execute("INSERT INTO effect VALUES (1)").await;
    t.script.always("book", Side::Run, Do::Sql(insert(1), Do::Ok.into()));
    let run = t.ends(&[call("reserve"), call("book")], "stuck").await;
    let failure = run.failure.clone().expect("it says why");
    assert_eq!(failure.code, "unrecordable");
    assert_eq!((effects(&t).await, outcome(&run, "reserve", "forward")), (vec![1], "ok"));
    t.execute("DELETE FROM effect").await;
    t.engine.retry(run.id, &operator()).await.expect("a stuck run can be retried");
    t.is(run.id, "completed").await;
    assert_eq!(effects(&t).await, [1]);
    t.finish().await;
}

#[tokio::test]
async fn a_pause_that_found_its_run_getting_stuck_is_forgotten() {
    let t = TestEngine::new().await;
    t.execute("CREATE TABLE effect (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)").await;
    t.execute("INSERT INTO effect VALUES (1)").await;
    // The first refusal is only one; the second costs the run.
    t.script.on("book", Side::Run, [Do::Sql(insert(1), Do::Ok.into())]);
    let gate = t.script.gate("book", Side::Run, Do::Sql(insert(1), Do::Ok.into()));
    let run = t.start(&[call("reserve"), call("book")]).await;
    gate.is_reached().await;
    t.engine.apply_verb(run, &Verb::Pause, &operator()).await.expect("it can be paused");
    assert_eq!(t.count("paused").await, 1);
    gate.open();
    t.is(run, "stuck").await;
    assert_eq!((t.count("paused").await, t.count("run WHERE request <> 0").await), (0, 0));
    // Nobody waits for it to be paused: a retry goes on.
    t.engine.retry(run, &operator()).await.expect("a stuck run can be retried");
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_transactional_undo_commits_with_its_record() {
    let t = TestEngine::new().await;
    t.execute(TABLE).await;
    t.script.on("book", Side::Run, [Do::Sql(insert(1), Do::Ok.into())]);
    t.script.on("book", Side::Undo, [Do::Sql("DELETE FROM effect".into(), Do::Failed("busy").into())]);
    t.script.on("book", Side::Undo, [Do::Sql("DELETE FROM effect".into(), Do::Ok.into())]);
    let run = t.ends(&[call("book"), Op::Fail("no".into())], "compensated").await;
    assert_eq!((effects(&t).await, undos(&run)[0].attempts), (vec![], 2));
    t.finish().await;
}
