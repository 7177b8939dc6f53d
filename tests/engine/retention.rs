//! What is kept and what goes: by age and workflow, never what is open, and nobody notices.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backstitch::engine::{Engine, Error, Registry, RunId, Verb};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Session, engine::*, script::*, wait_for_lock, wait_until};

const DAY: f64 = 24.0 * 3600.0;

/// Does all that there is to do, though others may be in its way now and then.
async fn keep(t: &TestEngine) {
    while t.engine.keep().await.expect("the database is there") {}
}

async fn partitions(t: &TestEngine) -> Vec<String> {
    let query =
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'backstitch.run'::regclass ORDER BY 1";
    sqlx::query_scalar(query).fetch_all(t.engine.pool()).await.expect("reads")
}

async fn is_there(t: &TestEngine, run: RunId) -> bool {
    match t.engine.run(run).await {
        Ok(_) => true,
        Err(Error::UnknownRun(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

fn days(days: u64) -> Option<Duration> {
    Some(Duration::from_secs(days * 24 * 3600))
}

#[tokio::test]
async fn ended_runs_go_with_their_week_others_never() {
    let t = TestEngine::new().await;
    let ended = t.engine.start(request("scripted", &[call("reserve")]).key("k")).await.expect("it is accepted").run;
    t.is(ended, "completed").await;
    let waits = t.start(&[call("reserve"), signal("go", None), call("ship")]).await;
    t.is(waits, "waiting").await;
    let seen = t.ends(&[call("reserve")], "completed").await.id;
    let attention = "INSERT INTO backstitch.attention (run_id, code, message, since) SELECT id, 'x', 'x', now()
        FROM backstitch.run WHERE id = '";
    t.execute(&format!("{attention}{seen}'")).await;

    t.advance(20.0 * DAY).await;
    keep(&t).await;
    assert!(is_there(&t, ended).await, "it is not old enough");
    let before = partitions(&t).await;
    t.advance(20.0 * DAY).await;
    keep(&t).await;
    let after = partitions(&t).await;
    assert!(!after.contains(&before[0]), "{} is dropped: {after:?}", before[0]);
    assert!(!is_there(&t, ended).await);
    assert_eq!(t.count(&format!("step WHERE run_id = '{ended}'")).await, 0);
    assert_eq!(t.count("run_key").await, 0, "its key is free");
    assert!(is_there(&t, seen).await, "it wants attention");

    // What was carried over goes on as if nothing had been.
    t.send(waits, "go", json!(null)).await;
    let run = t.is(waits, "completed").await;
    assert_eq!(forward(&run).len(), 2);
    assert_eq!(t.count("run_default").await, 2);
    t.execute("DELETE FROM backstitch.attention").await;
    keep(&t).await;
    assert!(!is_there(&t, seen).await && is_there(&t, waits).await, "one ended long ago, the other just now");
    t.advance(31.0 * DAY).await;
    keep(&t).await;
    assert_eq!((t.count("run").await, t.count("step").await, t.count("signal").await), (0, 0, 0));
    t.finish().await;
}

#[tokio::test]
async fn what_waits_for_an_operator_stays_however_old_it_is() {
    let t = TestEngine::new().await;
    let paused = t.start(&[call("reserve"), signal("go", None), call("ship")]).await;
    t.is(paused, "waiting").await;
    t.engine.apply_verb(paused, &Verb::Pause, &operator()).await.expect("it can be paused");
    t.script.on("charge", Side::Run, [Do::Fatal("no_card")]);
    let stuck = t.ends(&[Op::Pivot, call("charge")], "stuck").await.id;
    // Nothing but how they stand says that they are not over.
    t.execute("DELETE FROM backstitch.attention").await;
    assert_eq!((t.count("ready").await, t.count("timer").await), (0, 0));
    t.engine.set_retention("scripted", days(2), &operator()).await.expect("it can be set");
    let ended = t.ends(&[call("note")], "completed").await.id;
    let first = partitions(&t).await[0].clone();
    for days in [3.0, 45.0] {
        t.advance(days * DAY).await;
        keep(&t).await;
        assert!(!is_there(&t, ended).await, "what has ended is gone after {days} days");
        assert!(is_there(&t, paused).await && is_there(&t, stuck).await, "after {days} days more");
    }
    assert!(!partitions(&t).await.contains(&first), "their week is dropped");
    t.engine.apply_verb(paused, &Verb::Resume, &operator()).await.expect("it can be resumed");
    t.send(paused, "go", json!(null)).await;
    assert_eq!(forward(&t.is(paused, "completed").await).len(), 2);
    t.engine.retry(stuck, &operator()).await.expect("it can be retried");
    t.is(stuck, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_reopened_run_stays_until_it_ends_again() {
    let mut t = TestEngine::idle().await;
    t.add_worker(config("w0")).await;
    let requested = t.ends(&[call("reserve")], "completed").await.id;
    let ended = t.ends(&[call("reserve")], "completed").await.id;
    t.drain_workers().await;
    t.engine.compensate(requested, &operator()).await.expect("a completed run can be compensated");
    t.engine.set_retention("scripted", days(2), &operator()).await.expect("it can be set");
    let first = partitions(&t).await[0].clone();
    for days in [3.0, 45.0] {
        t.advance(days * DAY).await;
        keep(&t).await;
        assert_eq!((is_there(&t, requested).await, is_there(&t, ended).await), (true, false), "after {days} days more");
    }
    assert!(!partitions(&t).await.contains(&first), "their week is dropped");
    t.add_worker(config("w1")).await;
    t.is(requested, "compensated").await;
    assert_eq!(t.script.undone(), ["reserve"]);
    t.finish().await;
}

#[tokio::test]
async fn rows_that_reach_a_dropped_week_are_carried_over() {
    let mut t = TestEngine::idle().await;
    t.add_worker(config("w0")).await;
    let due = t.ends(&[call("reserve")], "completed").await.id;
    let anew = t.ends(&[call("reserve")], "completed").await.id;
    let ended = t.ends(&[Op::Fail("no".into())], "failed").await.id;
    t.drain_workers().await;
    assert_eq!(t.count("unhealthy").await, 1);
    t.advance(45.0 * DAY).await;
    let make = "SELECT backstitch.make_partition(4)";
    while sqlx::query_scalar(make).fetch_one(t.engine.pool()).await.expect("it is made if it is lacking") {}
    // One is made due, and one has ended anew, in a commit that comes after the look at what stays.
    let mut tx = t.engine.pool().begin().await.expect("a transaction");
    t.engine.apply_verb_in(&mut tx, due, &Verb::Compensate, &operator()).await.expect("it can be compensated");
    let anew_now = "UPDATE backstitch.run SET finished_at = backstitch.now() WHERE id = $1";
    sqlx::query(anew_now).bind(anew).execute(&mut *tx).await.expect("writes");
    let options: sqlx::postgres::PgConnectOptions = t.database().url().parse().expect("the URL is one");
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1);
    let keeper = Engine::new(pool.connect_lazy_with(options.application_name("keeper")), Registry::new());
    let keeping = tokio::spawn(async move { while keeper.keep().await.expect("the database is there") {} });
    wait_for_lock(t.engine.pool(), Session::Application("keeper")).await;
    tx.commit().await.expect("it is committed");
    keeping.await.expect("no panic");
    assert_eq!((is_there(&t, due).await, is_there(&t, anew).await), (true, true));
    keep(&t).await;
    assert!(!is_there(&t, ended).await);
    assert_eq!(t.count("unhealthy").await, 0, "what was known of it is gone with it");
    t.add_worker(config("w1")).await;
    t.is(due, "compensated").await;
    t.finish().await;
}

#[tokio::test]
async fn a_workflow_can_have_its_own_retention() {
    let t = TestEngine::new().await;
    let by = operator();
    let run = t.ends(&[call("note")], "completed").await.id;
    let all = t.engine.set_retention("scripted", days(90), &by).await.expect("it can be set");
    assert_eq!(all.iter().map(|set| set.keep_s).collect::<Vec<_>>(), [30 * 24 * 3600, 90 * 24 * 3600]);
    t.advance(45.0 * DAY).await;
    keep(&t).await;
    assert!(is_there(&t, run).await, "its week is gone, and it is not");
    assert_eq!(t.count("run_default").await, 1);
    t.engine.set_retention("scripted", None, &by).await.expect("it can be taken back");
    keep(&t).await;
    assert!(!is_there(&t, run).await);

    let run = t.ends(&[call("note")], "completed").await.id;
    t.engine.set_retention("scripted", days(2), &by).await.expect("it can be set");
    t.advance(1.0 * DAY).await;
    keep(&t).await;
    assert!(is_there(&t, run).await);
    t.advance(1.5 * DAY).await;
    keep(&t).await;
    assert!(!is_there(&t, run).await, "before its week");

    let refused = t.engine.set_retention("nobody_knows", days(2), &by).await;
    assert!(matches!(refused, Err(Error::UnknownWorkflow(_))), "{refused:?}");
    let refused = t.engine.set_retention("scripted", Some(Duration::from_secs(5)), &by).await;
    assert!(matches!(refused, Err(Error::InvalidRequest(_))), "{refused:?}");
    assert_eq!(t.count("audit WHERE subject LIKE 'retention %' AND outcome = 'done'").await, 3);
    assert_eq!(t.count("audit WHERE subject LIKE 'retention %' AND outcome = 'refused'").await, 2);
    t.finish().await;
}

#[tokio::test]
async fn partitions_are_made_ahead_of_the_time() {
    let t = TestEngine::idle().await;
    let lacking = "SELECT count(*) FROM generate_series(0, 4) n WHERE to_regclass('backstitch.run_' || to_char(
        (backstitch.week_of(backstitch.now()) + n * interval '168 hours') AT TIME ZONE 'UTC', 'YYYY_MM_DD')) IS NULL";
    let lacking = async || sqlx::query_scalar::<_, i64>(lacking).fetch_one(t.engine.pool()).await.expect("reads");
    assert_eq!(lacking().await, 0, "the migration has made them");
    t.advance(70.0 * DAY).await;
    assert_eq!(lacking().await, 5);
    keep(&t).await;
    assert_eq!(lacking().await, 0);
    t.finish().await;
}

#[tokio::test]
async fn a_run_older_than_any_partition_works_as_any_other() {
    let t = TestEngine::new().await;
    let timestamp = uuid::Timestamp::from_unix(uuid::NoContext, 1_500_000_000, 0);
    let mut old = request("scripted", &[call("reserve"), call("ship")]);
    old.id = Some(uuid::Uuid::new_v7(timestamp));
    let run = t.engine.start(old).await.expect("it is accepted").run;
    let run = t.is(run, "completed").await;
    assert_eq!((forward(&run).len(), t.count("run_default").await, t.count("step_default").await), (2, 1, 2));
    t.finish().await;
}

#[tokio::test]
async fn starts_go_on_while_partitions_are_made_and_dropped() {
    let t = TestEngine::idle().await;
    let (stop, mut callers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for _ in 0..4 {
        let (engine, stop) = (t.engine.clone(), stop.clone());
        callers.spawn(async move {
            let mut started = 0;
            while !stop.load(Ordering::Relaxed) {
                engine.start(request("scripted", &[call("note")])).await.expect("a start never fails for that");
                started += 1;
            }
            started
        });
    }
    let first = partitions(&t).await[0].clone();
    wait_until("the first week has runs", async || t.count("run").await > 50).await;
    for _ in 0..8 {
        t.advance(7.0 * DAY).await;
        keep(&t).await;
    }
    wait_until("the first week is dropped", async || {
        keep(&t).await;
        !partitions(&t).await.contains(&first)
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let started: i64 = callers.join_all().await.into_iter().sum();
    assert!(started > 50, "{started}");
    assert_eq!(
        (t.count("run").await, t.count("ready").await),
        (started, started),
        "none has ended: all were carried over"
    );
    t.finish().await;
}

#[tokio::test]
async fn a_week_in_an_operators_hands_is_left_alone() {
    let t = TestEngine::new().await;
    let run = t.ends(&[call("reserve")], "completed").await.id;
    t.advance(45.0 * DAY).await;
    t.engine.compensate(run, &operator()).await.expect("a completed run can be compensated");
    keep(&t).await;
    let run = t.is(run, "compensated").await.id;
    keep(&t).await;
    assert!(is_there(&t, run).await, "it ended just now");
    t.finish().await;
}

#[tokio::test]
async fn a_detached_week_is_dropped_by_the_next_turn() {
    let t = TestEngine::new().await;
    let week = partitions(&t).await[0].clone();
    let kept = t.start(&[call("reserve"), signal("go", None), call("ship")]).await;
    t.is(kept, "waiting").await;
    let mut ended = Vec::new();
    for key in ["goes", "late", "seen"] {
        let run = t.engine.start(request("scripted", &[call("reserve")]).key(key)).await.expect("it is accepted").run;
        t.is(run, "completed").await;
        ended.push(run);
    }
    let [goes, late, seen] = ended[..] else { panic!("{ended:?}") };
    // This week is old enough then, and the next one is not: nothing else brings a turn to what is detached.
    t.advance(37.0 * DAY).await;

    // What a view stands on can be detached and not dropped, so the turn ends between its two commits.
    t.execute(&format!("CREATE VIEW standing AS SELECT id FROM {week}")).await;
    while t.engine.keep().await.is_ok_and(|more| more) {}
    assert!(!partitions(&t).await.contains(&week), "{week} is detached");
    assert_eq!(t.count(&format!("{} WHERE finished_at IS NOT NULL", week.replace("backstitch.", ""))).await, 3);
    assert!(is_there(&t, kept).await && !is_there(&t, late).await);

    // An operator acted on one as the week was looked through, and it had ended before the week was locked.
    t.execute(&format!("UPDATE {week} SET finished_at = backstitch.now() WHERE id = '{late}'")).await;
    let attention = "INSERT INTO backstitch.attention (run_id, code, message, since) VALUES ('";
    t.execute(&format!("{attention}{seen}', 'x', 'x', now())")).await;
    t.execute("DROP VIEW standing").await;
    keep(&t).await;
    let left =
        format!("SELECT to_regclass('{week}') IS NULL AND to_regclass('{}') IS NULL", week.replace("run_", "step_"));
    let is_dropped: bool =
        sqlx::query_scalar(sqlx::AssertSqlSafe(left)).fetch_one(t.engine.pool()).await.expect("reads");
    assert!(is_dropped && !is_there(&t, goes).await);
    assert_eq!((t.count("run_default").await, t.count("step_default").await), (3, 4));

    // Those that stayed are as they were: each has its key, and goes on.
    for (key, run, created) in [("goes", goes, true), ("late", late, false), ("seen", seen, false)] {
        let again = t.engine.start(request("scripted", &[call("reserve")]).key(key)).await.expect("it is accepted");
        assert_eq!((again.created, again.run == run), (created, !created), "{key}");
    }
    t.engine.compensate(late, &operator()).await.expect("a completed run can be compensated");
    t.is(late, "compensated").await;
    t.send(kept, "go", json!(null)).await;
    assert_eq!(forward(&t.is(kept, "completed").await).len(), 2);
    t.finish().await;
}
