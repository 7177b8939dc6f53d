//! Rows that nothing drops with a week of runs: what is old and of no use goes, what is recent or in use stays.
//!
//! Each row of a test says by its name what is to become of it.

use std::time::Duration;

use backstitch::engine::{NewKey, Role, Verb, WorkerConfig};
use serde_json::json;

use crate::support::{engine::*, script::*};

/// The id of a run of so many days ago.
async fn id_of(t: &TestEngine, days_ago: u64) -> uuid::Uuid {
    let now = t.engine.now().await.expect("a clock").timestamp().cast_unsigned();
    uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, now - days_ago * 24 * 3600, 0))
}

async fn keep(t: &TestEngine) {
    while t.engine.keep().await.expect("the database is there") {}
}

/// The names that are left in a table, joined.
async fn left(t: &TestEngine, name: &str, rows: &str) -> String {
    let sql =
        format!("SELECT coalesce(string_agg({name}::text, ' ' ORDER BY {name}::text), '') FROM backstitch.{rows}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(t.engine.pool()).await.expect("reads")
}

#[tokio::test]
async fn old_finished_records_go_recent_or_open_ones_stay() {
    let t = TestEngine::idle().await;
    t.execute(
        "INSERT INTO backstitch.audit (at, actor, action)
        SELECT backstitch.now() - age::interval, name, 'x' FROM (VALUES ('366 days', 'old'), ('364 days', 'recent')) v(age, name)",
    )
    .await;
    t.execute(
        "INSERT INTO backstitch.schedule_slot (schedule, slot, outcome, at)
        SELECT name, now(), outcome, backstitch.now() - age::interval
        FROM (VALUES ('31 days', 'started', 'old'), ('31 days', 'missed', 'old_too'), ('31 days', 'queued', 'open'),
            ('29 days', 'started', 'recent')) v(age, outcome, name)",
    )
    .await;
    // More of them than go in one turn.
    t.execute(
        "INSERT INTO backstitch.operation (id, action, filter, actor, rate, status, total, created_at, finished_at)
        SELECT gen_random_uuid(), '{}', '{}', name, 1, status, 2, backstitch.now() - interval '60 days',
            backstitch.now() - age::interval
        FROM (SELECT '31 days', 'old', 'completed' FROM generate_series(1, 12)
            UNION ALL VALUES ('29 days', 'recent', 'cancelled'), (NULL, 'open', 'paused')) v(age, name, status)",
    )
    .await;
    t.execute(
        "INSERT INTO backstitch.operation_run (operation_id, run_id, message)
        SELECT id, gen_random_uuid(), actor FROM backstitch.operation, generate_series(1, 2)",
    )
    .await;
    keep(&t).await;
    assert_eq!(left(&t, "actor", "audit").await, "recent");
    assert_eq!(left(&t, "schedule", "schedule_slot").await, "open recent");
    assert_eq!(left(&t, "actor", "operation").await, "open recent");
    assert_eq!(left(&t, "message", "operation_run").await, "open open recent recent");
    t.finish().await;
}

#[tokio::test]
async fn silent_workers_go_unless_they_hold_a_run() {
    let t = TestEngine::idle().await;
    let run = t.start(&[call("note")]).await;
    t.execute(
        "INSERT INTO backstitch.worker (name, queues, workflows, slots, started_at)
        SELECT name, '{}', '{}', 1, clock_timestamp() - age::interval
        FROM (VALUES ('gone', '2 days'), ('laneless', '2 days'), ('holds', '2 days'), ('silent', '2 days'),
            ('fenced', '2 days'), ('new', '1 hour')) v(name, age)",
    )
    .await;
    // A lane is judged by the real clock: moving the other one takes no lane away.
    t.execute(
        "INSERT INTO backstitch.lane (worker_id, alive, beat)
        SELECT w.id, w.name = 'silent', clock_timestamp() - CASE w.name WHEN 'fenced' THEN interval '1 hour' ELSE '2 days' END
        FROM backstitch.worker w WHERE w.name IN ('gone', 'holds', 'silent', 'fenced')",
    )
    .await;
    let lane =
        "(SELECT l.id FROM backstitch.lane l JOIN backstitch.worker w ON w.id = l.worker_id WHERE w.name = 'holds')";
    t.execute(&format!("UPDATE backstitch.ready SET lane = {lane} WHERE run_id = '{run}'")).await;
    t.advance(40.0 * 24.0 * 3600.0).await;
    keep(&t).await;
    let lanes = "lane l JOIN backstitch.worker w ON w.id = l.worker_id";
    assert_eq!(left(&t, "name", "worker").await, "fenced holds new silent");
    assert_eq!(left(&t, "name", lanes).await, "fenced holds silent");
    t.execute("UPDATE backstitch.ready SET lane = NULL").await;
    keep(&t).await;
    assert_eq!(left(&t, "name", "worker").await, "fenced new silent");
    t.finish().await;
}

#[tokio::test]
async fn records_of_deleted_runs_go_others_stay() {
    let t = TestEngine::idle().await;
    let (gone, there, new) = (id_of(&t, 40).await, id_of(&t, 39).await, id_of(&t, 0).await);
    let mut request = request("scripted", &[signal("go", None)]);
    request.id = Some(there);
    t.engine.start(request).await.expect("it is accepted");
    t.send(there, "go", json!(1)).await;
    t.engine.apply_verb(there, &Verb::Pause, &operator()).await.expect("a run that is due can be paused");
    t.execute(&format!(
        "INSERT INTO backstitch.compensation (run_id, cause, planned_at) VALUES ('{there}', '{{}}', now())"
    ))
    .await;
    // The newest may belong to a start that is not committed yet.
    for run in [gone, new] {
        for (table, columns, values) in [
            ("signal", "name, created_at", "'go', now()"),
            ("compensation", "cause, planned_at", "'{}', now()"),
            ("unhealthy", "status, workflow_id, since", "6, 1, now()"),
            ("paused", "at", "now()"),
        ] {
            t.execute(&format!("INSERT INTO backstitch.{table} (run_id, {columns}) VALUES ('{run}', {values})")).await;
        }
    }
    keep(&t).await;
    for table in ["signal", "compensation", "unhealthy", "paused"] {
        assert_eq!(left(&t, "run_id", table).await, format!("{there} {new}"), "{table}");
    }
    t.finish().await;
}

#[tokio::test]
async fn sessions_that_are_over_go_when_another_is_opened() {
    let t = TestEngine::idle().await;
    let new = NewKey { name: "ann".to_owned(), role: Role::Viewer, expires_in: None };
    let key = t.engine.create_key(&new, "ann").await.expect("it can be made");
    let sign_in = async || t.engine.sign_in(&key.token).await.expect("the key is good");
    sign_in().await;
    t.advance(7.0 * 3600.0).await;
    let open = sign_in().await;
    assert_eq!(t.count("session").await, 2);
    t.advance(7.0 * 3600.0).await;
    sign_in().await;
    assert_eq!(t.count("session").await, 2, "the first is over after twelve hours, the second is not");
    t.engine.session(&open.cookie).await.expect("it goes on");
    t.finish().await;
}

#[tokio::test]
async fn a_worker_cut_off_for_days_registers_again() {
    let mut t = TestEngine::idle().await;
    // It looks after its lane seldom, so that it learns nothing before it is to come back.
    t.add_worker(WorkerConfig { takeover_after: Duration::from_secs(3_600), ..config("cut_off") }).await;
    t.take_over_all().await;
    t.execute("UPDATE backstitch.lane SET beat = beat - interval '2 days'").await;
    t.execute("UPDATE backstitch.worker SET started_at = started_at - interval '3 days'").await;
    keep(&t).await;
    assert_eq!((t.count("worker").await, t.count("lane").await), (0, 0));
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'backstitch lane'";
    t.execute(cut).await;
    t.ends(&[call("note")], "completed").await;
    let workers = t.engine.workers().await.expect("they can be listed").items;
    let seen: Vec<_> = workers.iter().map(|worker| (worker.name.as_str(), worker.alive, worker.slots)).collect();
    assert_eq!((seen, workers[0].workflows.is_empty()), (vec![("cut_off", true, 64)], false));
    t.finish().await;
}
