//! Starts that come at the same time share commits, and none is the others' business.

use std::time::Duration;

use backstitch::engine::StartRun;
use futures_util::future::join_all;

use crate::support::{engine::*, script::call};

fn start(key: &str) -> StartRun {
    request("scripted", &[call("note")]).key(key)
}

#[tokio::test]
async fn starts_that_come_together_share_commits() {
    let t = TestEngine::idle().await;
    let starts = join_all((0..300).map(|at| t.engine.start(start(&format!("k{at}"))))).await;
    let mut runs: Vec<_> = starts.into_iter().map(|started| started.expect("it starts").run).collect();
    runs.sort_unstable();
    runs.dedup();
    assert_eq!((runs.len(), t.count("run").await), (300, 300), "each has a run of its own");
    let commits = "SELECT count(DISTINCT xmin::text) FROM backstitch.run";
    let commits: i64 = sqlx::query_scalar(commits).fetch_one(t.engine.pool()).await.expect("a count");
    assert!(commits < 100, "{commits} commits");
}

#[tokio::test]
async fn a_key_that_comes_twice_at_once_is_one_run() {
    let t = TestEngine::idle().await;
    let starts = join_all((0..60).map(|at| t.engine.start(start(&format!("k{}", at % 3))))).await;
    let starts: Vec<_> = starts.into_iter().map(|started| started.expect("it starts")).collect();
    assert_eq!(t.count("run").await, 3);
    assert_eq!(starts.iter().filter(|started| started.created).count(), 3);
    for (at, started) in starts.iter().enumerate() {
        assert_eq!(started.run, starts[at % 3].run);
    }
}

#[tokio::test]
async fn a_refused_start_takes_no_other_along() {
    let t = TestEngine::idle().await;
    let taken = t.engine.start(start("first")).await.expect("it starts").run;
    let starts = join_all((0..60).map(|at| {
        let request = match at % 20 {
            7 => StartRun { id: Some(taken), ..start(&format!("k{at}")) },
            9 => StartRun::named("nobody's", start("k").input),
            _ => start(&format!("k{at}")),
        };
        t.engine.start(request)
    }))
    .await;
    for (at, started) in starts.iter().enumerate() {
        let wanted = match at % 20 {
            7 => Err("invalid_request"),
            9 => Err("unknown_workflow"),
            _ => Ok(()),
        };
        assert_eq!(started.as_ref().map(drop).map_err(|error| error.code()), wanted, "{at}");
    }
    assert_eq!(t.count("run").await, 55);
}

#[tokio::test]
async fn a_start_that_waits_holds_up_no_other() {
    let t = TestEngine::idle().await;
    let mut open = t.engine.begin().await.expect("a transaction");
    for at in 0..4 {
        t.engine.start_in(&mut open, start(&format!("held{at}"))).await.expect("it is started in there");
    }
    let waiting: Vec<_> = (0..4)
        .map(|at| {
            let engine = t.engine.clone();
            tokio::spawn(async move { engine.start(start(&format!("held{at}"))).await })
        })
        .collect();
    let others = join_all((0..40).map(|at| t.engine.start(start(&format!("k{at}")))));
    let others = tokio::time::timeout(Duration::from_secs(20), others).await.expect("they don't wait for it");
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    assert!(waiting.iter().all(|start| !start.is_finished()), "the key's owner is not known yet");
    open.rollback().await.expect("it is rolled back");
    for start in join_all(waiting).await {
        assert!(start.expect("it ends").expect("it starts").created);
    }
    assert_eq!(t.count("run").await, 44);
}
