//! Two at the same moment, in both orders. Each order is forced: one of the two is held by a lock of the test's, or is a
//! transaction of the test's, until the other is seen waiting.
//!
//! The test holds: `run` rows to stop a flush before it lets go of a run, `ready` rows to stop it after that, the audit to
//! stop an operator's action that has done everything else.

use backstitch::engine::{Engine, Registry, RunId};
use serde_json::json;
use sqlx::{Connection, PgConnection, Row};
use tokio::task::JoinHandle;

use crate::support::{Session, TestDatabase, engine::*, script::*, wait_for_lock};

const CLAIM: &str = include_str!("../../src/engine/store/sql/claim.sql");
const TAKEOVER: &str = include_str!("../../src/engine/store/sql/takeover.sql");
const FIRE: &str = include_str!("../../src/engine/store/sql/fire_timers.sql");
/// The worker's flushing connection.
pub(super) const LANE: Session<'_> = Session::Application("backstitch lane");
const OLD_BEAT: &str = "UPDATE backstitch.lane SET beat = beat - interval '1 hour'";

/// With a worker that has one slot: while it holds a run it claims nothing, and its lane flushes only.
pub(super) async fn with_one_slot() -> TestEngine {
    let mut t = TestEngine::idle().await;
    t.add_worker(backstitch::engine::WorkerConfig { slots: 1, ..config("w0") }).await;
    t
}

/// An engine with one connection, which `pg_stat_activity` shows under its name.
pub(super) fn caller(t: &TestEngine, name: &str) -> Engine {
    let options: sqlx::postgres::PgConnectOptions = t.database().url().parse().expect("the URL is one");
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1);
    Engine::new(pool.connect_lazy_with(options.application_name(name)), Registry::new())
}

/// Runs a statement in the background; it is expected to wait for a lock.
pub(super) async fn blocked<T: Send + 'static>(
    t: &TestEngine,
    name: &str,
    what: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let task = tokio::spawn(what);
    wait_for_lock(t.engine.pool(), Session::Application(name)).await;
    task
}

pub(super) async fn lane(t: &TestEngine) -> i32 {
    sqlx::query_scalar("INSERT INTO backstitch.lane (worker_id) VALUES (0) RETURNING id")
        .fetch_one(t.engine.pool())
        .await
        .expect("a lane")
}

pub(super) async fn claim(conn: &mut PgConnection, lane: i32, limit: i64) -> Vec<RunId> {
    let ids: Vec<i32> =
        sqlx::query_scalar("SELECT id FROM backstitch.workflow").fetch_all(&mut *conn).await.expect("reads");
    let queues = vec!["default"; ids.len()];
    let token = "SELECT token FROM backstitch.lane WHERE id = $1";
    let token: uuid::Uuid = sqlx::query_scalar(token).bind(lane).fetch_one(&mut *conn).await.expect("reads");
    let rows = sqlx::query(rendered(CLAIM))
        .bind(lane)
        .bind(queues)
        .bind(ids)
        .bind(limit)
        .bind(token)
        .fetch_all(conn)
        .await
        .expect("claims");
    rows.iter().map(|row| row.get("run_id")).collect()
}

pub(super) async fn take_over(conn: &mut PgConnection, silent_for_ms: i64) -> (i64, i64) {
    sqlx::query_as(rendered(TAKEOVER)).bind(silent_for_ms).fetch_one(conn).await.expect("takes over")
}

pub(super) async fn locked(t: &TestEngine, sql: &str) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut tx = t.engine.pool().begin().await.expect("a connection");
    sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(&mut *tx)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    tx
}

#[tokio::test]
async fn two_claims_share_the_due_runs_and_wait_for_nothing() {
    let t = TestEngine::idle().await;
    for _ in 0..10 {
        t.start(&[call("note")]).await;
    }
    let (one, other) = (lane(&t).await, lane(&t).await);
    let (mut a, mut b) = (t.database().connect("a").await, t.database().connect("b").await);
    let mut first = a.begin().await.expect("begins");
    let mine = claim(&mut first, one, 4).await;
    let others = claim(&mut b, other, 10).await;
    first.commit().await.expect("commits");
    assert_eq!((mine.len(), others.len()), (4, 6));
    assert!(mine.iter().all(|run| !others.contains(run)));
    assert_eq!(t.count(&format!("ready WHERE lane = {one}")).await, 4);
    t.finish().await;
}

#[tokio::test]
async fn a_dying_lane_claims_nothing() {
    let t = TestEngine::idle().await;
    t.start(&[call("note")]).await;
    let lane = lane(&t).await;
    let (mut a, mut b) = (t.database().connect("a").await, t.database().connect("b").await);
    let mut takeover = a.begin().await.expect("begins");
    assert_eq!(take_over(&mut takeover, -1).await, (1, 0));
    let claiming = blocked(&t, "b", async move { claim(&mut b, lane, 10).await }).await;
    takeover.commit().await.expect("commits");
    assert_eq!(claiming.await.expect("no panic"), Vec::<RunId>::new());
    assert_eq!(t.count("ready WHERE lane IS NULL").await, 1);
    t.finish().await;
}

#[tokio::test]
async fn a_takeover_spares_a_lane_that_is_just_claiming() {
    let t = TestEngine::idle().await;
    t.start(&[call("note")]).await;
    let lane = lane(&t).await;
    t.execute(OLD_BEAT).await;
    let (mut a, mut b) = (t.database().connect("a").await, t.database().connect("b").await);
    let mut claiming = a.begin().await.expect("begins");
    assert_eq!(claim(&mut claiming, lane, 10).await.len(), 1);
    assert_eq!(take_over(&mut b, 60_000).await, (0, 0), "it does not wait");
    claiming.commit().await.expect("commits");
    assert_eq!(take_over(&mut b, 60_000).await, (0, 0), "the claim was a sign of life");
    assert_eq!(t.count(&format!("ready WHERE lane = {lane}")).await, 1);
    t.finish().await;
}

#[tokio::test]
async fn a_flush_that_waits_for_its_takeover_writes_nothing() {
    let t = with_one_slot().await;
    let gate = t.script.gate("note", Side::Run, Do::Give(json!("late")));
    let run = t.start(&[call("note")]).await;
    gate.is_reached().await;
    let mut takeover = t.engine.pool().begin().await.expect("a connection");
    assert_eq!(take_over(&mut takeover, -1).await, (1, 1));
    gate.open();
    wait_for_lock(t.engine.pool(), LANE).await;
    takeover.commit().await.expect("commits");
    let run = t.is(run, "completed").await;
    assert_eq!((output(&run), t.script.count("note", Side::Run)), (json!([{ "by": "note" }]), 2));
    assert_eq!(t.count("lane WHERE NOT alive").await, 1, "the worker went on with a new lane");
    t.finish().await;
}

#[tokio::test]
async fn a_takeover_spares_a_lane_that_is_just_flushing() {
    let t = with_one_slot().await;
    let gate = t.script.gate("note", Side::Run, Do::Ok);
    let run = t.start(&[call("note")]).await;
    gate.is_reached().await;
    t.execute(OLD_BEAT).await;
    let held = locked(&t, "SELECT FROM backstitch.run FOR UPDATE").await;
    gate.open();
    wait_for_lock(t.engine.pool(), LANE).await;
    let mut b = t.database().connect("b").await;
    assert_eq!(take_over(&mut b, 60_000).await, (0, 0), "it does not wait");
    held.rollback().await.expect("lets go");
    t.is(run, "completed").await;
    assert_eq!(t.script.count("note", Side::Run), 1);
    t.finish().await;
}

#[tokio::test]
async fn a_run_of_another_lane_is_not_written_to() {
    let t = with_one_slot().await;
    let gate = t.script.gate("reserve", Side::Run, Do::Give(json!("late")));
    let run = t.start(&[call("reserve")]).await;
    gate.is_reached().await;
    let other = lane(&t).await;
    t.execute(&format!("UPDATE backstitch.ready SET lane = {other}")).await;
    gate.open();
    // Its worker has let go of it when it has room for another.
    t.ends(&[call("note")], "completed").await;
    assert_eq!((t.run(run).await.status.word(), t.count("step WHERE outcome IS NULL").await), ("running", 1));
    t.execute("UPDATE backstitch.ready SET lane = NULL, fresh = false").await;
    assert_eq!(output(&t.is(run, "completed").await), json!([{ "by": "reserve" }]));
    t.finish().await;
}

#[tokio::test]
async fn a_cancel_that_comes_before_the_end_is_honoured() {
    let t = with_one_slot().await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let run = t.start(&[call("reserve")]).await;
    gate.is_reached().await;
    let audit = locked(&t, "LOCK TABLE backstitch.audit").await;
    let ops = caller(&t, "ops");
    let cancel = blocked(&t, "ops", async move { ops.cancel(run, &operator()).await }).await;
    gate.open();
    wait_for_lock(t.engine.pool(), LANE).await;
    audit.rollback().await.expect("lets go");
    cancel.await.expect("no panic").expect("it was in time");
    t.is(run, "compensated").await;
    assert_eq!(t.script.undone(), ["reserve"]);
    t.finish().await;
}

#[tokio::test]
async fn a_cancel_that_comes_after_the_end_is_refused() {
    let t = with_one_slot().await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let run = t.start(&[call("reserve")]).await;
    gate.is_reached().await;
    let ready = locked(&t, "SELECT FROM backstitch.ready FOR UPDATE").await;
    gate.open();
    wait_for_lock(t.engine.pool(), LANE).await;
    let ops = caller(&t, "ops");
    let cancel = blocked(&t, "ops", async move { ops.cancel(run, &operator()).await }).await;
    ready.rollback().await.expect("lets go");
    assert_eq!(cancel.await.expect("no panic").expect_err("it has ended").code(), "wrong_state");
    assert_eq!((t.is(run, "completed").await.status.word(), t.script.undone().len()), ("completed", 0));
    t.finish().await;
}

#[tokio::test]
async fn a_cancel_that_comes_before_the_pivot_is_honoured() {
    let t = with_one_slot().await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let run = t.start(&[call("reserve"), Op::Pivot, call("ship")]).await;
    gate.is_reached().await;
    let audit = locked(&t, "LOCK TABLE backstitch.audit").await;
    let ops = caller(&t, "ops");
    let cancel = blocked(&t, "ops", async move { ops.cancel(run, &operator()).await }).await;
    gate.open();
    wait_for_lock(t.engine.pool(), LANE).await;
    audit.rollback().await.expect("lets go");
    cancel.await.expect("no panic").expect("it was in time");
    t.is(run, "compensated").await;
    assert_eq!((t.script.undone(), t.script.count("ship", Side::Run)), (vec!["reserve"], 0));
    assert_eq!(t.count("step WHERE kind = 4").await, 0, "the pivot was not passed");
    t.finish().await;
}

#[tokio::test]
async fn a_cancel_that_comes_after_the_pivot_is_refused() {
    let t = with_one_slot().await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let run = t.start(&[call("reserve"), Op::Pivot, call("ship")]).await;
    gate.is_reached().await;
    let columns = "run_id, seq, direction, kind, name, issued_after, attempts, generation, undoable";
    let row = format!("'{run}', 1, 0, 4, 'pivot', 0, 1, 0, false");
    let pivot = locked(&t, &format!("INSERT INTO backstitch.step ({columns}) VALUES ({row})")).await;
    gate.open();
    wait_for_lock(t.engine.pool(), LANE).await;
    let ops = caller(&t, "ops");
    let cancel = blocked(&t, "ops", async move { ops.cancel(run, &operator()).await }).await;
    pivot.rollback().await.expect("lets go");
    // By now it may also have ended.
    let code = cancel.await.expect("no panic").expect_err("it is past its pivot").code();
    assert!(["past_pivot", "wrong_state"].contains(&code), "{code}");
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_park_behind_a_signal_takes_it() {
    let t = with_one_slot().await;
    let gate = t.script.gate("note", Side::Run, Do::Ok);
    let run = t.start(&[call("note"), signal("go", None)]).await;
    gate.is_reached().await;
    let mut sending = t.engine.pool().begin().await.expect("a connection");
    t.engine.signal_in(&mut sending, run, "go", None, None).await.expect("it is accepted");
    gate.open();
    wait_for_lock(t.engine.pool(), LANE).await;
    sending.commit().await.expect("commits");
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_signal_that_waits_for_a_park_wakes_the_run() {
    let t = with_one_slot().await;
    let gate = t.script.gate("note", Side::Run, Do::Ok);
    let run = t.start(&[call("note"), signal("go", Some(3_600_000))]).await;
    gate.is_reached().await;
    let ready = locked(&t, "SELECT FROM backstitch.ready FOR UPDATE").await;
    gate.open();
    wait_for_lock(t.engine.pool(), LANE).await;
    let sender = caller(&t, "sender");
    let sending = blocked(&t, "sender", async move { sender.signal(run, "go", None, None).await }).await;
    ready.rollback().await.expect("lets go");
    sending.await.expect("no panic").expect("it is accepted");
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn two_signals_with_one_key_are_one() {
    let t = TestEngine::new().await;
    let run = t.start(&[signal("go", None), signal("go", None)]).await;
    t.is(run, "waiting").await;
    let mut first = t.engine.pool().begin().await.expect("a connection");
    t.engine.signal_in(&mut first, run, "go", None, Some("event")).await.expect("it is accepted");
    let (engine, mut b) = (t.engine.clone(), t.database().connect("b").await);
    let second = blocked(&t, "b", async move {
        let mut tx = b.begin().await.expect("begins");
        let sent = engine.signal_in(&mut tx, run, "go", None, Some("event")).await;
        let still: Result<i32, _> = sqlx::query_scalar("SELECT 1").fetch_one(&mut *tx).await;
        (sent.is_ok(), still.is_ok(), tx.commit().await.is_ok())
    });
    let second = second.await;
    first.commit().await.expect("commits");
    assert_eq!(second.await.expect("no panic"), (true, true, true));
    assert_eq!(t.count("signal").await, 1);
    t.until(run, "the one is taken", |run| run.status == "waiting" && run.steps.iter().flatten().count() == 2).await;
    t.finish().await;
}

#[tokio::test]
async fn a_start_behind_its_twin_finds_its_run() {
    let t = TestEngine::idle().await;
    let start = || request("scripted", &[call("note")]).key("order-1");
    for commits in [false, true] {
        let mut first = t.engine.pool().begin().await.expect("a connection");
        let one = t.engine.start_in(&mut first, start()).await.expect("it is accepted");
        assert!(one.created);
        let client = caller(&t, "client");
        let second = blocked(&t, "client", async move { client.start(start()).await });
        let second = second.await;
        if commits {
            first.commit().await.expect("commits");
            let other = second.await.expect("no panic").expect("it is accepted");
            assert_eq!((other.created, other.run), (false, one.run));
        } else {
            first.rollback().await.expect("rolls back");
            let other = second.await.expect("no panic").expect("it is accepted");
            assert!(other.created && other.run != one.run);
            t.execute("TRUNCATE backstitch.run, backstitch.run_key, backstitch.ready").await;
        }
    }
    assert_eq!(t.count("run").await, 1);
    t.finish().await;
}

#[tokio::test]
async fn batches_with_shared_keys_do_not_deadlock() {
    let t = TestEngine::idle().await;
    let start = |key: &str| request("scripted", &[call("note")]).key(key);
    for round in 0..3 {
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        let mut blocker = t.engine.pool().begin().await.expect("a connection");
        t.engine.start_in(&mut blocker, start(&b)).await.expect("it is accepted");
        let (one, other) = (caller(&t, "one"), caller(&t, "other"));
        let (first, second) = (vec![start(&a), start(&b)], vec![start(&b), start(&a)]);
        let first = blocked(&t, "one", async move { one.start_batch(first).await }).await;
        let second = blocked(&t, "other", async move { other.start_batch(second).await }).await;
        blocker.rollback().await.expect("rolls back");
        for batch in [first, second] {
            batch.await.expect("no panic").expect("no deadlock").into_iter().for_each(|one| {
                one.expect("accepted");
            });
        }
    }
    assert_eq!(t.count("run").await, 6);
    t.finish().await;
}

#[tokio::test]
async fn of_two_retries_one_makes_the_run_go_on() {
    let t = TestEngine::new().await;
    t.script.on("note", Side::Run, [Do::Fatal("no")]);
    let run = t.ends(&[Op::Pivot, call("note")], "stuck").await.id;
    let audit = locked(&t, "LOCK TABLE backstitch.audit").await;
    let (one, other) = (caller(&t, "one"), caller(&t, "other"));
    let first = blocked(&t, "one", async move { one.retry(run, &operator()).await }).await;
    let second = blocked(&t, "other", async move { other.retry(run, &operator()).await }).await;
    audit.rollback().await.expect("lets go");
    let answers = [first.await.expect("no panic"), second.await.expect("no panic")];
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    t.is(run, "completed").await;
    assert_eq!((t.script.count("note", Side::Run), t.count("audit WHERE outcome = 'done'").await), (2, 1));
    t.finish().await;
}

#[tokio::test]
async fn compensate_during_a_retry_is_never_lost() {
    let t = TestEngine::new().await;
    let gate = Gate::new();
    t.script.on("ship", Side::Run, [Do::Fatal("no"), Do::Gate(gate.clone(), Do::Ok.into())]);
    let run = t.ends(&[call("reserve"), Op::Pivot, call("ship")], "stuck").await.id;
    let audit = locked(&t, "LOCK TABLE backstitch.audit").await;
    let (one, other) = (caller(&t, "one"), caller(&t, "other"));
    let retry = blocked(&t, "one", async move { one.retry(run, &operator()).await }).await;
    let compensate = blocked(&t, "other", async move { other.compensate(run, &operator()).await }).await;
    audit.rollback().await.expect("lets go");
    retry.await.expect("no panic").expect("it was first");
    compensate.await.expect("no panic").expect("a run under way can be compensated");
    gate.open();
    t.is(run, "compensated").await;
    assert_eq!(t.script.undone().last(), Some(&"reserve"));
    t.finish().await;
}

/// A run that is parked with a timer, and nobody there to wake it.
async fn parked(program: &[Op]) -> (TestEngine, RunId) {
    let mut t = TestEngine::new().await;
    let run = t.start(program).await;
    t.is(run, "waiting").await;
    t.drain_workers().await;
    (t, run)
}

#[tokio::test]
async fn a_signal_and_timer_together_wake_the_run_once() {
    for signal_first in [true, false] {
        let (mut t, run) = parked(&[signal("go", Some(60_000)), call("note")]).await;
        t.advance(61.0).await;
        let mut first = t.engine.pool().begin().await.expect("a connection");
        let waiting = if signal_first {
            t.engine
                .signal_in(&mut first, run, "go", Some(backstitch::engine::to_json(&1).expect("JSON")), None)
                .await
                .expect("accepted");
            // The timer passes over a run that somebody has locked, and waits for nobody.
            let mut b = t.database().connect("b").await;
            sqlx::query(rendered(FIRE)).bind(10_i64).execute(&mut b).await.expect("fires");
            assert_eq!(t.count("timer").await, 1);
            tokio::spawn(async {})
        } else {
            sqlx::query(rendered(FIRE)).bind(10_i64).execute(&mut *first).await.expect("fires");
            let sender = caller(&t, "b");
            blocked(&t, "b", async move { sender.signal(run, "go", None, None).await.expect("accepted") }).await
        };
        first.commit().await.expect("commits");
        waiting.await.expect("no panic");
        assert_eq!(t.count("ready").await, 1);
        t.add_worker(config("w1")).await;
        t.is(run, "completed").await;
        assert_eq!((t.script.count("note", Side::Run), t.count("timer").await), (1, 0));
        t.finish().await;
    }
}

#[tokio::test]
async fn a_stale_timer_does_not_wake_the_run() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("note", Side::Run, Do::Ok);
    let run = t.start(&[signal("a", Some(60_000)), call("note"), signal("b", Some(3_600_000))]).await;
    t.is(run, "waiting").await;
    t.send(run, "a", json!(1)).await;
    gate.is_reached().await;
    t.advance(61.0).await;
    t.ends(&[call("ship")], "completed").await;
    gate.open();
    let waits = t
        .until(run, "it waits for b", |run| run.waiting_on.as_ref().is_some_and(|on| on.name.as_deref() == Some("b")))
        .await;
    let due: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("SELECT due_at FROM backstitch.timer").fetch_one(t.engine.pool()).await.expect("one timer");
    assert_eq!(Some(due), waits.waiting_on.expect("it waits").until);
    t.send(run, "b", json!(2)).await;
    assert_eq!(output(&t.is(run, "completed").await), json!([1, { "by": "note" }, 2]));
    t.finish().await;
}

#[tokio::test]
async fn a_park_racing_its_timer_leaves_nothing_behind() {
    // The stale timer of the first wait is being fired while the run parks for the second.
    let t = with_one_slot().await;
    let gate = t.script.gate("note", Side::Run, Do::Ok);
    let run = t.start(&[signal("a", Some(60_000)), call("note"), signal("b", Some(3_600_000))]).await;
    t.is(run, "waiting").await;
    t.send(run, "a", json!(1)).await;
    gate.is_reached().await;
    // What fire_timers.sql does once it has overlooked the row in `ready`, which a signal has just put there.
    let mut firing = locked(&t, "DELETE FROM backstitch.timer").await;
    gate.open();
    wait_for_lock(t.engine.pool(), LANE).await;
    let insert = "INSERT INTO backstitch.ready (run_id, due_at, workflow_id, fresh, queue)
        SELECT id, now(), workflow_id, false, queue FROM backstitch.run ON CONFLICT (run_id) DO NOTHING";
    // Each waits for the other now: Postgres ends one of them, and either may be it.
    match sqlx::query(insert).execute(&mut *firing).await {
        Ok(_) => firing.commit().await.expect("commits"),
        Err(_) => firing.rollback().await.expect("rolls back"),
    }
    t.until(run, "it waits for b", |run| run.waiting_on.as_ref().is_some_and(|on| on.name.as_deref() == Some("b")))
        .await;
    assert_eq!(t.count("timer").await, 1);
    t.send(run, "b", json!(2)).await;
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn two_migrations_side_by_side_are_one() {
    let db = TestDatabase::unmigrated().await;
    let engine = |_| Engine::new(db.pool().clone(), Registry::new());
    assert!(!engine(0).missing_migrations().await.expect("it can be asked").is_empty());
    let (one, other) = (engine(1), engine(2));
    let (a, b) = tokio::join!(one.migrate(), other.migrate());
    a.and(b).expect("both are content");
    one.migrate().await.expect("once more does no harm");
    assert!(one.missing_migrations().await.expect("it can be asked").is_empty());
}
