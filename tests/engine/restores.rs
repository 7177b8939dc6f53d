//! A database is restored from a backup while workers live that know what came after it. They are fenced, and what the backup
//! has goes on. The backup is a copy of the tables; ids are issued again after it, as after any restore.

use std::time::Duration;

use backstitch::engine::{RunId, WorkerConfig};
use sqlx::Connection;
use uuid::Uuid;

use crate::support::{Proxy, engine::*, script::*, wait_until};

/// Whose rows are brought back. Sequences go back as well.
const TABLES: [&str; 9] = ["workflow", "worker", "lane", "run", "step", "ready", "timer", "run_key", "signal"];

async fn back_up(t: &TestEngine) {
    t.execute("CREATE SCHEMA backup").await;
    for table in TABLES {
        t.execute(&format!("CREATE TABLE backup.{table} AS TABLE backstitch.{table}")).await;
    }
}

async fn restore(t: &TestEngine) {
    let mut tx = t.engine.pool().begin().await.expect("a connection");
    for table in TABLES {
        let rows = format!("INSERT INTO backstitch.{table} OVERRIDING SYSTEM VALUE TABLE backup.{table}");
        for statement in [format!("TRUNCATE backstitch.{table} RESTART IDENTITY"), rows] {
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *tx).await.expect("it is restored");
        }
    }
    for table in ["workflow", "worker", "lane"] {
        let next = format!(
            "SELECT setval(pg_get_serial_sequence('backstitch.{table}', 'id'), 1 + count(*), false) FROM backup.{table}"
        );
        sqlx::query(sqlx::AssertSqlSafe(next)).execute(&mut *tx).await.expect("sequences go back");
    }
    tx.commit().await.expect("commits");
}

#[tokio::test]
async fn a_worker_ahead_of_a_restored_database_is_fenced() {
    let mut t = TestEngine::idle().await;
    let proxy = Proxy::before(t.database().url()).await;
    let (first, second) = (t.script.gate("reserve", Side::Run, Do::Ok), t.script.gate("charge", Side::Run, Do::Ok));
    t.add_worker_through(proxy.url(), hasty("knows more")).await;
    let run = t.start(&[call("reserve"), call("charge"), call("note")]).await;
    first.is_reached().await;
    back_up(&t).await;
    first.open();
    second.is_reached().await;
    assert_eq!(t.count("step WHERE outcome = 1").await, 1, "the backup has not got it");
    proxy.refuse(true);
    proxy.cut();
    restore(&t).await;
    proxy.heal();
    wait_until("it has begun anew", async || t.script.count("reserve", Side::Run) == 2).await;
    second.open();
    t.is(run, "completed").await;
    assert_eq!(t.count("step WHERE outcome = 1").await, 3, "no step of the run is missing");
    assert_eq!(t.count("lane WHERE NOT alive").await, 1);
    t.finish().await;
}

#[tokio::test]
async fn a_restore_that_forgets_a_steps_own_commit_is_noticed() {
    let mut t = TestEngine::idle().await;
    let proxy = Proxy::before(t.database().url()).await;
    let (first, second) = (t.script.gate("book", Side::Run, Do::Ok), t.script.gate("charge", Side::Run, Do::Ok));
    // No heartbeat comes between: the lane has flushed, and beats again in six seconds.
    let slow = WorkerConfig { takeover_after: Duration::from_secs(30), ..config("knows more") };
    t.add_worker_through(proxy.url(), slow).await;
    let run = t.start(&[call("reserve"), call("book"), call("charge")]).await;
    first.is_reached().await;
    t.until(run, "its first step is on record", |run| outcome(run, "reserve", "forward") == "ok").await;
    back_up(&t).await;
    first.open();
    second.is_reached().await;
    proxy.refuse(true);
    proxy.cut();
    restore(&t).await;
    proxy.heal();
    second.open();
    wait_until("it has a new lane", async || t.count("lane").await == 2).await;
    assert_eq!(t.count("step WHERE outcome = 1").await, 1, "nothing was written beyond the backup");
    t.execute("UPDATE backstitch.lane SET alive = false WHERE id = 1").await;
    t.is(run, "completed").await;
    assert_eq!(t.count("step WHERE outcome = 1").await, 3, "no step of the run is missing");
    t.finish().await;
}

#[tokio::test]
async fn a_lane_whose_id_is_issued_again_is_fenced() {
    let mut t = TestEngine::idle().await;
    let proxy = Proxy::before(t.database().url()).await;
    let gate = Gate::new();
    t.script.always("reserve", Side::Run, Do::Gate(gate.clone(), Do::Ok.into()));
    let run = t.start(&[call("reserve"), call("charge"), call("note")]).await;
    back_up(&t).await;
    t.add_worker_through(proxy.url(), config("first")).await;
    gate.is_reached().await;
    let lane = "lane WHERE id = 1 AND alive";
    assert_eq!(t.count(lane).await, 1);
    proxy.refuse(true);
    proxy.cut();
    restore(&t).await;
    t.add_worker(config("second")).await;
    assert_eq!(t.count(lane).await, 1, "it is another one's now");
    gate.is_reached_by(2).await;
    proxy.heal();
    let of_first = "lane l JOIN backstitch.worker k ON k.id = l.worker_id WHERE k.name = 'first' AND l.alive";
    wait_until("the first has a new lane", async || t.count(of_first).await == 1).await;
    gate.open();
    t.is(run, "completed").await;
    assert_eq!(t.count("step WHERE lane = 1").await, 3, "the first has written nothing");
    assert_eq!(t.count("step").await, 3);
    t.finish().await;
}

/// Gives the lane's row to somebody else without a word to its worker, whose connections live on: behind a pooler they outlive
/// the server that they led to.
async fn give_lane_away(t: &TestEngine) {
    t.execute("UPDATE backstitch.lane SET token = gen_random_uuid(), beat = clock_timestamp()").await;
}

#[tokio::test]
async fn a_flush_without_the_lanes_token_writes_nothing() {
    let mut t = TestEngine::idle().await;
    t.add_worker(WorkerConfig { takeover_after: Duration::from_secs(4), ..config("one") }).await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let run = t.start(&[call("reserve")]).await;
    gate.is_reached().await;
    give_lane_away(&t).await;
    gate.open();
    t.is(run, "completed").await;
    assert_eq!(t.count("step WHERE lane = 1").await, 0, "its new lane has written it");
    assert_eq!(t.script.count("reserve", Side::Run), 2, "after a takeover");
    t.finish().await;
}

#[tokio::test]
async fn a_step_without_the_lanes_token_writes_nothing() {
    let mut t = TestEngine::idle().await;
    t.add_worker(WorkerConfig { takeover_after: Duration::from_secs(4), ..config("one") }).await;
    let gate = t.script.gate("book", Side::Run, Do::Ok);
    let run = t.start(&[call("book")]).await;
    gate.is_reached().await;
    give_lane_away(&t).await;
    gate.open();
    t.is(run, "completed").await;
    assert_eq!(t.count("step WHERE lane = 1").await, 0, "its new lane has written it");
    assert_eq!(t.script.count("book", Side::Run), 2, "after a takeover");
    t.finish().await;
}

#[tokio::test]
async fn a_claim_without_the_lanes_token_takes_nothing() {
    let mut t = TestEngine::idle().await;
    t.add_worker(WorkerConfig { takeover_after: Duration::from_secs(4), ..config("one") }).await;
    t.ends(&[call("note")], "completed").await;
    give_lane_away(&t).await;
    let run = t.start(&[call("note")]).await;
    t.is(run, "completed").await;
    assert_eq!(t.script.count("note", Side::Run), 2, "once for each run: nothing was begun in vain");
    t.finish().await;
}

#[tokio::test]
async fn a_release_without_the_lanes_token_frees_nothing() {
    let mut t = TestEngine::idle().await;
    let worker = t.add_worker(WorkerConfig { takeover_after: Duration::from_secs(4), ..config("one") }).await;
    // So short a sleep is slept in memory, and given up by a drain.
    let run = t.start(&[call("reserve"), Op::Sleep(900), call("note")]).await;
    wait_until("it sleeps", async || t.count("step WHERE outcome = 1").await == 1).await;
    give_lane_away(&t).await;
    t.workers[worker].drain().await;
    assert_eq!(t.count("ready WHERE lane IS NOT NULL").await, 1, "it is in the hands of the row's owner");
    t.add_worker(hasty("next")).await;
    t.is(run, "completed").await;
    t.finish().await;
}

const HAND_ON: &str = include_str!("../../src/engine/store/sql/hand_on.sql");
const RELEASE_PANICKED: &str = include_str!("../../src/engine/store/sql/release_panicked.sql");
const SET_ASIDE: &str = include_str!("../../src/engine/store/sql/set_suspects_aside.sql");
const GIVE_BACK: &str = include_str!("../../src/engine/store/sql/give_back_unknown.sql");

/// What each of the other statements that free runs does for a lane of this id, with this token; nothing is kept of it.
async fn freed(t: &TestEngine, run: RunId, token: Uuid) -> [u64; 4] {
    let mut tx = t.engine.pool().begin().await.expect("a connection");
    let lane: i32 = sqlx::query_scalar("SELECT lane FROM backstitch.ready").fetch_one(&mut *tx).await.expect("one run");
    let one = sqlx::query(rendered(HAND_ON)).bind(run).bind(lane).bind(0).bind(9_i16).bind(token);
    let two = sqlx::query(rendered(RELEASE_PANICKED)).bind(lane).bind(run).bind(token);
    let three = sqlx::query(rendered(SET_ASIDE)).bind(lane).bind([run]).bind(token);
    let four = sqlx::query(rendered(GIVE_BACK)).bind(lane).bind([Uuid::nil()]).bind(token);
    let mut freed = [0; 4];
    for (rows, statement) in freed.iter_mut().zip([one, two, three, four]) {
        let mut alone = tx.begin().await.expect("a savepoint");
        *rows = statement.execute(&mut *alone).await.expect("it is a statement").rows_affected();
        alone.rollback().await.expect("rolls back");
    }
    freed
}

#[tokio::test]
async fn nothing_frees_a_run_without_the_lanes_token() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let run = t.start(&[call("reserve")]).await;
    gate.is_reached().await;
    let token = sqlx::query_scalar("SELECT token FROM backstitch.lane").fetch_one(t.engine.pool()).await.expect("one");
    assert_eq!(freed(&t, run, token).await, [1; 4], "for the lane's worker each does what it is for");
    assert_eq!(freed(&t, run, Uuid::now_v7()).await, [0; 4]);
    gate.open();
    t.is(run, "completed").await;
    t.finish().await;
}
