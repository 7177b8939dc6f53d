//! Signals that come many at a time.

use backstitch::engine::{RunId, SendSignal};

use crate::support::{engine::*, script::*};

fn to(run: RunId, name: &str, key: Option<&str>) -> SendSignal {
    SendSignal { run, name: name.to_owned(), payload: None, key: key.map(str::to_owned) }
}

#[tokio::test]
async fn a_batch_of_signals_wakes_every_run() {
    let t = TestEngine::new().await;
    let mut runs = Vec::new();
    for _ in 0..20 {
        runs.push(t.start(&[signal("go", None), call("note")]).await);
    }
    for run in &runs {
        t.is(*run, "waiting").await;
    }
    let signals: Vec<SendSignal> = runs.iter().map(|run| to(*run, "go", None)).collect();
    let sent = t.engine.signal_batch(&signals).await.expect("the database is there");
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    for run in runs {
        t.is(run, "completed").await;
    }
    t.finish().await;
}

#[tokio::test]
async fn a_refused_signal_holds_up_no_other() {
    let t = TestEngine::new().await;
    let ended = t.ends(&[call("note")], "completed").await;
    let wait = |name| signal(name, None);
    let run = t.start(&[wait("one"), wait("two"), wait("three")]).await;
    t.is(run, "waiting").await;
    let unknown = RunId::now_v7();
    let signals = [
        to(run, "one", Some("a")),
        to(ended.id, "one", None),
        to(run, "one", Some("a")),
        to(run, "two", Some("b")),
        to(unknown, "one", None),
        to(run, &"x".repeat(200), None),
        to(run, "three", None),
    ];
    let sent = t.engine.signal_batch(&signals).await.expect("the database is there");
    let codes: Vec<&str> = sent.iter().map(|sent| sent.as_ref().map_or_else(|error| error.code(), |()| "ok")).collect();
    assert_eq!(codes, ["ok", "run_ended", "ok", "ok", "unknown_run", "invalid_request", "ok"]);
    t.is(run, "completed").await;
    assert_eq!(t.count("signal").await, 3, "a known key adds nothing");
    t.finish().await;
}

#[tokio::test]
async fn batches_of_signals_in_any_order_never_deadlock() {
    let t = TestEngine::idle().await;
    let mut runs = Vec::new();
    for _ in 0..50 {
        runs.push(t.start(&[signal("go", None)]).await);
    }
    let backwards: Vec<SendSignal> = runs.iter().rev().map(|run| to(*run, "go", None)).collect();
    let forwards: Vec<SendSignal> = runs.iter().map(|run| to(*run, "go", None)).collect();
    let sending = (0..20).map(|n| t.engine.signal_batch(if n % 2 == 0 { &forwards } else { &backwards }));
    for sent in futures_util::future::join_all(sending).await {
        sent.expect("no deadlock");
    }
    assert_eq!(t.count("signal").await, 20 * 50);
    t.finish().await;
}
