//! Starts that come at the same time share commits, and none is the others' business.

use std::time::Duration;

use backstitch::engine::{Error, RunId, RunStatus, StartRun, Started, WaitKind};
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

#[tokio::test]
async fn a_started_run_is_shown_as_it_was_accepted() {
    let t = TestEngine::new().await;
    let tags = [("a".to_owned(), "b".to_owned())].into();
    let wanted = StartRun { tags, parent_id: Some(RunId::now_v7()), ..start("k") };
    let started = t.engine.start(wanted.clone()).await.expect("it starts");
    t.is(started.run, "completed").await;
    // Read from its row; from then on it is known that somebody serves its queue.
    let mut seen = Vec::new();
    for _ in 0..2 {
        let run = t.engine.started_run(started, &wanted).await.expect("it is there");
        assert_eq!((run.id, run.status), (started.run, RunStatus::Pending));
        assert!(run.output.is_none() && run.started_at.is_none() && run.finished_at.is_none());
        seen.push(serde_json::to_value(run).expect("JSON"));
    }
    assert_eq!(seen[0], seen[1], "from its row, and from its request");
    assert_eq!(seen[0]["steps"], serde_json::json!([]));
    let unread = t.engine.started_run(Started { run: RunId::now_v7(), ..started }, &wanted).await;
    assert!(unread.is_ok(), "its row is not looked at: {unread:?}");

    let again = t.engine.start(wanted.clone()).await.expect("the key is known");
    let again = t.engine.started_run(again, &wanted).await.expect("it is there");
    assert_eq!((again.status, again.steps.map(|steps| steps.len())), (RunStatus::Completed, Some(1)), "as it stands");
    let now = t.engine.now().await.expect("the time");
    let later = StartRun { start_at: Some(now + chrono::TimeDelta::hours(1)), ..start("later") };
    let started = t.engine.start(later.clone()).await.expect("it starts");
    let later = t.engine.started_run(started, &later).await.expect("it is there");
    assert_eq!((later.status, later.waiting_on.map(|on| on.kind)), (RunStatus::Waiting, Some(WaitKind::Start)));
    let elsewhere = StartRun { queue: Some("elsewhere".to_owned()), ..start("elsewhere") };
    for _ in 0..2 {
        let started = Started { run: RunId::now_v7(), created: true, accepted_at: Some(now) };
        assert!(matches!(t.engine.started_run(started, &elsewhere).await, Err(Error::UnknownRun(_))));
    }
    let started = t.engine.start(elsewhere.clone()).await.expect("it starts");
    for _ in 0..2 {
        let run = t.engine.started_run(started, &elsewhere).await.expect("it is there");
        assert_eq!(run.waiting_on.map(|on| on.kind), Some(WaitKind::Queue), "nobody serves that queue");
    }
    t.finish().await;
}
