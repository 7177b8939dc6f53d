//! A caller keeps its transaction open after it has signalled a run in it. That run waits for it; no other one does: not those
//! of the same lane, not those whose timers come, not those of a lost worker.

use std::time::Duration;

use backstitch::engine::{RunId, Transaction};

use crate::support::{engine::*, script::*};

/// Signals the run in a transaction that is still open.
async fn signalled(t: &TestEngine, run: RunId) -> Transaction {
    let mut tx = t.engine.begin().await.expect("a connection");
    t.engine.signal_in(&mut tx, run, "go", None, None).await.expect("it is accepted");
    tx
}

async fn all_complete(t: &TestEngine, runs: &[RunId]) {
    for run in runs {
        t.is(*run, "completed").await;
    }
}

#[tokio::test]
async fn an_open_transaction_holds_up_only_its_own_run() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("charge", Side::Run, Do::Ok);
    let its_own = t.start(&[call("charge")]).await;
    gate.is_reached().await;
    let tx = signalled(&t, its_own).await;
    gate.open();
    let mut others = Vec::new();
    for _ in 0..4 {
        for _ in 0..10 {
            others.push(t.start(&[call("reserve"), call("note")]).await);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    all_complete(&t, &others).await;
    // For longer than a record may fail alone while others get through.
    for _ in 0..5 {
        t.ends(&[call("note")], "completed").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(t.run(its_own).await.status, "running");
    tx.commit().await.expect("commits");
    t.is(its_own, "completed").await;
    assert_eq!(t.script.count("charge", Side::Run), 1, "its record was kept");
    assert_eq!(t.count("lane").await, 1, "the lane was never lost");
    t.finish().await;
}

#[tokio::test]
async fn an_open_transaction_holds_up_only_its_own_transactional_step() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("book", Side::Run, Do::Ok);
    let its_own = t.start(&[call("book")]).await;
    gate.is_reached().await;
    let tx = signalled(&t, its_own).await;
    gate.open();
    for _ in 0..10 {
        t.ends(&[call("reserve"), call("note")], "completed").await;
    }
    assert_eq!(t.run(its_own).await.status, "running");
    tx.commit().await.expect("commits");
    t.is(its_own, "completed").await;
    assert_eq!(t.count("lane").await, 1, "the lane was never lost");
    t.finish().await;
}

#[tokio::test]
async fn an_open_transaction_holds_up_only_its_own_timer() {
    let t = TestEngine::new().await;
    let mut naps = Vec::new();
    for _ in 0..10 {
        naps.push(t.start(&[Op::Sleep(60_000), call("note")]).await);
    }
    for nap in &naps {
        t.is(*nap, "waiting").await;
    }
    let tx = signalled(&t, naps[0]).await;
    t.advance(61.0).await;
    all_complete(&t, &naps[1..]).await;
    assert_eq!(t.run(naps[0]).await.status, "waiting");
    tx.commit().await.expect("commits");
    t.is(naps[0], "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn an_open_transaction_holds_up_no_takeover() {
    let mut t = TestEngine::idle().await;
    let lost = t.add_worker(hasty("lost")).await;
    let gate = Gate::new();
    t.script.always("charge", Side::Run, Do::Gate(gate.clone(), Do::Ok.into()));
    let mut runs = Vec::new();
    for _ in 0..20 {
        runs.push(t.start(&[call("charge")]).await);
    }
    gate.is_reached_by(20).await;
    // The lane's session waits for the lock when its client is killed.
    let tx = signalled(&t, runs[0]).await;
    gate.open();
    tokio::time::sleep(Duration::from_millis(50)).await;
    t.workers[lost].kill().await;
    t.add_worker(hasty("next")).await;
    all_complete(&t, &runs[1..]).await;
    tx.commit().await.expect("commits");
    t.is(runs[0], "completed").await;
    t.finish().await;
}
