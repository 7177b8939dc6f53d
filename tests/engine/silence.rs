//! Silence has an end: a network that relays nothing, a process that is stopped within a transaction, an outage that silences
//! everybody. The worker concerned goes on or goes; nobody else waits for it.

use std::time::{Duration, Instant};

use backstitch::engine::{Engine, WorkerConfig, begin, guarded};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;

use crate::{
    races::locked,
    support::{Proxy, Session, engine::*, script::*, wait_for_lock, wait_until, wait_until_within},
};

/// One step after the other, so that a worker that stands still is noticed at once.
fn steps() -> Vec<Op> {
    vec![call("reserve"), call("charge"), call("note")]
}

fn patient(name: &str) -> WorkerConfig {
    WorkerConfig { takeover_after: Duration::from_secs(4), ..config(name) }
}

async fn dead_lanes(t: &TestEngine) -> i64 {
    t.count("lane WHERE NOT alive").await
}

#[tokio::test]
async fn a_stopped_transaction_holds_up_no_other_takeover() {
    let mut t = TestEngine::idle().await;
    let stopped = t.add_worker(hasty("stopped")).await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let its = t.start(&steps()).await;
    gate.is_reached().await;
    let lost = t.add_worker(hasty("lost")).await;
    // Both hold a run, and both are lost; the row of one lane stays locked by a session that does nothing.
    let held = locked(&t, "SELECT FROM backstitch.lane ORDER BY id LIMIT 1 FOR UPDATE").await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let other = t.start(&steps()).await;
    gate.is_reached().await;
    t.workers[stopped].kill().await;
    t.workers[lost].kill().await;
    t.add_worker(hasty("next")).await;
    t.is(other, "completed").await;
    assert_eq!(t.run(its).await.status, "running", "its lane's row is still locked");
    held.rollback().await.expect("lets go");
    t.is(its, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_lane_cut_off_within_a_transaction_is_taken_over() {
    let mut t = TestEngine::idle().await;
    let proxy = Proxy::before(t.database().url()).await;
    t.add_worker_through(proxy.url(), hasty("cut off")).await;
    // Its park waits within its transaction; when it could go on, nobody hears it.
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let run = t.start(&[call("reserve"), Op::Sleep(1_500), call("note")]).await;
    gate.is_reached().await;
    let timers = locked(&t, "LOCK TABLE backstitch.timer IN SHARE MODE").await;
    gate.open();
    wait_for_lock(t.engine.pool(), Session::Application("backstitch lane")).await;
    proxy.freeze_all();
    timers.rollback().await.expect("lets go");
    t.add_worker(hasty("next")).await;
    t.is(run, "completed").await;
    proxy.cut();
    t.workers[0].kill().await;
    t.finish().await;
}

#[tokio::test]
async fn a_worker_with_frozen_connections_goes_on_over_new_ones() {
    let mut t = TestEngine::idle().await;
    let proxy = Proxy::before(t.database().url()).await;
    let worker = t.add_worker_through(proxy.url(), hasty("frozen")).await;
    let waits = t.start(&[signal("go", None), Op::Sleep(100), call("note")]).await;
    t.is(waits, "waiting").await;
    t.ends(&steps(), "completed").await;
    let frozen_at = Instant::now();
    proxy.freeze();
    // What the lane does, and what the pumps do: timers over the pool.
    let run = t.start(&steps()).await;
    t.send(waits, "go", serde_json::json!(null)).await;
    let limit = Duration::from_secs(1 + 15);
    for run in [run, waits] {
        wait_until_within(limit, "the run has ended", async || t.run(run).await.status == "completed").await;
    }
    assert!(frozen_at.elapsed() < limit, "{:?}", frozen_at.elapsed());
    t.workers[worker].drain().await;
    t.finish().await;
}

/// The lane finds another connection, so nobody takes these runs over.
#[tokio::test]
async fn a_steps_transaction_without_an_answer_is_given_up() {
    let mut t = TestEngine::idle().await;
    let proxy = Proxy::before(t.database().url()).await;
    t.add_worker_through(proxy.url(), hasty("frozen")).await;
    let mut runs = Vec::new();
    let mut gates = Vec::new();
    for end in [Do::Ok, Do::Failed("busy")] {
        let gate = t.script.gate("book", Side::Run, end);
        runs.push(t.start(&[call("book"), call("note")]).await);
        gate.is_reached().await;
        gates.push(gate);
    }
    proxy.freeze();
    gates.iter().for_each(Gate::open);
    for run in runs {
        let limit = Duration::from_secs(25);
        wait_until_within(limit, "the run has ended", async || t.run(run).await.status == "completed").await;
    }
    assert_eq!(t.script.count("book", Side::Run), 4);
    t.workers[0].drain().await;
    t.finish().await;
}

#[tokio::test]
async fn a_begin_without_an_answer_is_given_up() {
    let t = TestEngine::idle().await;
    let proxy = Proxy::before(t.database().url()).await;
    let pool = guarded(PgPoolOptions::new()).max_connections(1).connect_lazy(proxy.url()).expect("a URL");
    begin(&pool).await.expect("the network works").rollback().await.expect("it is answered");
    wait_until("it is back", async || pool.num_idle() == 1).await;
    proxy.freeze();
    let given_up = tokio::time::timeout(Duration::from_secs(15), begin(&pool)).await.expect("it has an end");
    assert_eq!(given_up.err().map(|error| error.code()), Some("database_unavailable"));
    let next = tokio::time::timeout(Duration::from_secs(15), begin(&pool)).await.expect("the pool has room");
    next.expect("over another connection").rollback().await.expect("it is answered");
    t.finish().await;
}

#[tokio::test]
async fn a_transaction_begins_where_idle_connections_are_cut() {
    let t = TestEngine::idle().await;
    let proxy = Proxy::before(t.database().url()).await;
    let pool = guarded(PgPoolOptions::new()).max_connections(3).connect_lazy(proxy.url()).expect("a URL");
    for _ in 0..3 {
        let open = [begin(&pool).await, begin(&pool).await, begin(&pool).await];
        for transaction in open {
            transaction.expect("over a connection of its own").rollback().await.expect("it is answered");
        }
        wait_until("all are back", async || pool.num_idle() == 3).await;
        proxy.cut();
    }
    t.finish().await;
}

#[tokio::test]
async fn a_worker_without_answers_says_so_and_stops_in_time() {
    let t = TestEngine::idle().await;
    let proxy = Proxy::before(t.database().url()).await;
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1)).connect_lazy(proxy.url()).expect("a URL");
    let (engine, stop) = (Engine::new(pool, t.script.registry()), CancellationToken::new());
    let config = WorkerConfig { drain: Duration::from_secs(1), ..hasty("silent") };
    let worker = tokio::spawn(engine.clone().work(config, stop.clone().cancelled_owned()));
    t.ends(&steps(), "completed").await;
    assert_eq!(engine.worker_stalled_for(), None);
    proxy.freeze_all();
    wait_until_within(Duration::from_secs(25), "it says so", async || engine.worker_stalled_for().is_some()).await;
    proxy.refuse(true);
    wait_until("it says that the database is away", async || engine.worker_stalled_for().is_none()).await;
    let stopping = Instant::now();
    stop.cancel();
    worker.await.expect("no panic").expect("it ends well");
    // A second of draining, five for what is given back, and as long for a busy machine.
    assert!(stopping.elapsed() < Duration::from_secs(12), "{:?}", stopping.elapsed());
    assert_eq!(engine.worker_stalled_for(), None, "no worker is at work");
    t.finish().await;
}

#[tokio::test]
async fn an_outage_for_all_lets_nobody_be_declared_dead() {
    let mut t = TestEngine::idle().await;
    let (first, second) = (Proxy::before(t.database().url()).await, Proxy::before(t.database().url()).await);
    let gate = Gate::new();
    t.script.always("reserve", Side::Run, Do::Gate(gate.clone(), Do::Ok.into()));
    t.add_worker_through(first.url(), patient("first")).await;
    t.add_worker_through(second.url(), patient("second")).await;
    let mut runs = Vec::new();
    for _ in 0..130 {
        runs.push(t.start(&steps()).await);
    }
    gate.is_reached_by(66).await;
    for proxy in [&first, &second] {
        proxy.refuse(true);
        proxy.cut();
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    first.heal();
    wait_until("the first is back", async || first.connections() > 1).await;
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    second.heal();
    gate.open();
    for run in runs {
        t.is(run, "completed").await;
    }
    assert_eq!(dead_lanes(&t).await, 0);
    assert_eq!(t.script.count("reserve", Side::Run), 130, "no attempt was made twice");
    t.finish().await;
}
