//! Every verb in every status: what is allowed is done, and what is not changes nothing and is audited.

use backstitch::engine::{
    Declared, RunFilter, RunId, Verb,
    core::{model::Status, transition::allowed},
};
use serde_json::json;
use sqlx::Row;

use crate::support::{engine::*, script::*};

/// The tables that a verb may write, but for the audit.
const TABLES: [&str; 8] = ["run", "ready", "timer", "step", "signal", "compensation", "attention", "unhealthy"];

fn verbs() -> Vec<Verb> {
    vec![
        Verb::Retry { policy: None },
        Verb::Cancel,
        Verb::Compensate,
        Verb::Pause,
        Verb::Resume,
        Verb::Skip { seq: 0, direction: None, output: Some(json!(1)) },
        Verb::Resolve { seq: 0, direction: None, outcome: Declared::Ok, output: None, evidence: None },
        Verb::Abandon,
        Verb::Acknowledge,
    ]
}

/// A run in this status, with nobody who moves it on.
async fn run_that_is(t: &mut TestEngine, status: Status) -> RunId {
    let apply = async |t: &TestEngine, run, action| {
        t.engine.apply_verb(run, &action, &operator()).await.expect("it is allowed");
        run
    };
    t.add_worker(config("w")).await;
    t.script.always("ship", Side::Undo, Do::Fatal("gone"));
    let failing = [call("reserve"), Op::Fail("no".into())];
    let stuck = [call("note"), call("ship"), Op::Fail("no".into())];
    let waiting = [call("note"), signal("go", None)];
    let run = match status {
        Status::Active => t.start(&waiting).await,
        Status::Waiting => t.start(&waiting).await,
        Status::Paused => {
            let run = t.start(&waiting).await;
            t.is(run, "waiting").await;
            apply(t, run, Verb::Pause).await
        }
        Status::Compensating => t.start(&[call("note"), call("ship"), Op::Fail("no".into())]).await,
        Status::Stuck => t.ends(&stuck, "stuck").await.id,
        Status::Completed => t.ends(&[call("note")], "completed").await.id,
        Status::Compensated => t.ends(&failing, "compensated").await.id,
        Status::Failed => {
            t.script.on("note", Side::Run, [Do::Fatal("no")]);
            t.ends(&[call("note")], "failed").await.id
        }
        Status::Abandoned => {
            let run = t.ends(&stuck, "stuck").await.id;
            apply(t, run, Verb::Abandon).await
        }
    };
    match status {
        Status::Active | Status::Waiting => drop(t.is(run, "waiting").await),
        Status::Compensating => drop(t.is(run, "stuck").await),
        _ => {}
    }
    t.workers[0].drain().await;
    match status {
        // Due, and nobody there to take it.
        Status::Active => t.send(run, "other", json!(1)).await,
        Status::Compensating => drop(apply(t, run, Verb::Retry { policy: None }).await),
        _ => {}
    }
    if status == Status::Active {
        t.execute("UPDATE backstitch.run SET status = 0, wait_kind = NULL").await;
    }
    run
}

/// Everything that is on record, as text.
async fn everything(t: &TestEngine) -> Vec<String> {
    let mut rows = Vec::new();
    for table in TABLES {
        let sql = format!("SELECT '{table} ' || x::text FROM backstitch.{table} x ORDER BY 1");
        let found = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(t.engine.pool()).await.expect("it can be read");
        rows.extend(found.iter().map(|row| row.get::<String, _>(0)));
    }
    rows
}

#[tokio::test]
async fn a_refused_verb_changes_nothing_and_is_audited() {
    for status in Status::ALL.iter().copied() {
        for verb in verbs() {
            let word = verb.word();
            if allowed(status).contains(&word) {
                continue;
            }
            let mut t = TestEngine::idle().await;
            let run = run_that_is(&mut t, status).await;
            let before = everything(&t).await;
            let refused = t.engine.apply_verb(run, &verb, &operator()).await.map(|plan| plan.says);
            let refused = refused.expect_err(&format!("{word} of a run that is {status}"));
            assert_eq!(refused.code(), "wrong_state", "{word} of a run that is {status}: {refused}");
            assert!(refused.to_string().contains("allowed"), "it says what is allowed: {refused}");
            assert_eq!(everything(&t).await, before, "{word} of a run that is {status}");
            let row = format!(
                "audit WHERE outcome = 'refused' AND action = '{word}' AND code = 'wrong_state' AND run_id = '{run}'"
            );
            assert_eq!(t.count(&row).await, 1, "{word} of a run that is {status}");
        }
    }
}

#[tokio::test]
async fn a_dry_run_of_any_verb_changes_nothing_at_all() {
    for status in Status::ALL.iter().copied() {
        let mut t = TestEngine::idle().await;
        let run = run_that_is(&mut t, status).await;
        let (before, audited) = (everything(&t).await, t.count("audit").await);
        let mut by = operator();
        by.dry_run = true;
        for verb in verbs() {
            let _ = t.engine.apply_verb(run, &verb, &by).await;
        }
        let _ = t.engine.fork(run, 0, None, &by).await;
        assert_eq!((everything(&t).await, t.count("audit").await), (before, audited), "{status}");
    }
}

#[tokio::test]
async fn what_is_unhealthy_is_told_apart_from_what_is_not() {
    let told_apart = "SELECT count(*) FROM backstitch.run r FULL JOIN backstitch.unhealthy e ON e.run_id = r.id
        WHERE (r.status IN (2, 3, 4, 6, 7, 8)) IS DISTINCT FROM (e.run_id IS NOT NULL) OR e.status <> r.status
            OR e.code IS DISTINCT FROM r.failure ->> 'code' AND r.status <> 2";
    for status in Status::ALL.iter().copied() {
        let mut t = TestEngine::idle().await;
        let run = run_that_is(&mut t, status).await;
        let wrong = async || sqlx::query_scalar::<_, i64>(told_apart).fetch_one(t.engine.pool()).await.expect("counts");
        assert_eq!(wrong().await, 0, "{status}");
        for verb in verbs() {
            let _ = t.engine.apply_verb(run, &verb, &operator()).await;
            assert_eq!(wrong().await, 0, "after {} of what was {status}", verb.word());
        }
    }
}

#[tokio::test]
async fn the_commit_that_fails_a_run_marks_it_unhealthy() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("ship", Side::Undo, Do::Fatal("gone"));
    let run = t.start(&[call("reserve"), call("ship"), Op::Fail("no".into())]).await;
    gate.is_reached().await;
    let row = async |run: RunId| {
        let query = "SELECT e.status = r.status, e.code, e.step_name, e.since FROM backstitch.unhealthy e
            JOIN backstitch.run r ON r.id = e.run_id WHERE r.id = $1";
        let row: (bool, Option<String>, Option<String>, chrono::DateTime<chrono::Utc>) =
            sqlx::query_as(query).bind(run).fetch_one(t.engine.pool()).await.expect("it is unhealthy");
        assert!(row.0, "its status is the run's");
        (row.1.unwrap_or_default(), row.2, row.3)
    };
    let listed = async |status: &str| {
        let filter = RunFilter { status: Some(status.parse().expect("a status")), ..RunFilter::default() };
        let page = t.engine.list(&filter).await.expect("a page");
        page.items.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    let undoing = row(run).await;
    assert_eq!((undoing.0.as_str(), listed("compensating").await), ("no", vec![run]));
    t.advance(60.0).await;
    gate.open();
    t.is(run, "stuck").await;
    let stuck = row(run).await;
    assert_eq!((stuck.0.as_str(), stuck.1.as_deref()), ("undo_failed", Some("ship")));
    assert!((stuck.2 - undoing.2).num_seconds() >= 60, "since then, and not since the plan: {stuck:?}");
    assert_eq!((listed("stuck").await, listed("compensating").await), (vec![run], vec![]));
    t.engine.retry(run, &operator()).await.expect("a stuck run can be retried");
    t.is(run, "compensated").await;
    assert_eq!((row(run).await.0.as_str(), listed("compensated").await), ("no", vec![run]));
    t.finish().await;
}

#[tokio::test]
async fn an_incomplete_verb_is_refused_and_audited() {
    let mut t = TestEngine::idle().await;
    let run = run_that_is(&mut t, Status::Waiting).await;
    let mut silent = operator();
    silent.reason = Some("  ".to_owned());
    let code = async |run, action, by| t.engine.apply_verb(run, &action, by).await.expect_err("refused").code();
    assert_eq!(code(run, Verb::Abandon, &silent).await, "reason_required");
    assert_eq!(code(RunId::nil(), Verb::Pause, &silent).await, "unknown_run");
    let skip = Verb::Skip { seq: 99, direction: None, output: None };
    assert_eq!(code(run, skip, &operator()).await, "unknown_step");
    assert_eq!(t.count("audit WHERE outcome = 'refused' AND message IS NOT NULL AND actor = 'ann'").await, 3);
    t.finish().await;
}
