//! Bulk operations: what matched when it was asked for is what it is done to, once, however often the process dies.

use backstitch::engine::{
    Engine, Error, MaintenanceConfig, Operation, OperationRun, OperationStatus, Operator, RunFilter, RunId, Verb,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Session, engine::*, script::*, wait_for, wait_for_lock, wait_until};

/// A runner of the maintenance tasks, on a runtime of its own, as a process would have; ended by dropping it, in the middle
/// of whatever it does.
struct Runner {
    runtime: Option<tokio::runtime::Runtime>,
}

impl Runner {
    fn new(t: &TestEngine) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime can be built");
        let engine = engine_of(t, "runner", 8);
        runtime.spawn(async move {
            engine.maintenance(MaintenanceConfig::default()).run(CancellationToken::new().cancelled_owned()).await;
        });
        Self { runtime: Some(runtime) }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An engine whose connections `pg_stat_activity` shows under this name.
fn engine_of(t: &TestEngine, name: &str, connections: u32) -> Engine {
    let options: sqlx::postgres::PgConnectOptions = t.database().url().parse().expect("the URL is one");
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(connections);
    Engine::new(pool.connect_lazy_with(options.application_name(name)), backstitch::engine::Registry::new())
}

fn tagged(tag: &str) -> RunFilter {
    RunFilter { tag: Some(tag.to_owned()), ..RunFilter::default() }
}

/// Runs with a tag, which nobody works on: each waits in its queue and can be cancelled.
async fn pending(t: &TestEngine, count: usize) -> Vec<RunId> {
    let mut requests = Vec::new();
    for _ in 0..count {
        let mut request = request("scripted", &[signal("never", None)]);
        request.tags.insert("batch".to_owned(), "one".to_owned());
        requests.push(request);
    }
    let started = t.engine.start_batch(requests).await.expect("the batch is accepted");
    started.into_iter().map(|started| started.expect("the start is accepted").run).collect()
}

async fn cancel_all(t: &TestEngine, rate: Option<u32>) -> Operation {
    let created = t.engine.operate_on(&Verb::Cancel, &tagged("batch:one"), &operator(), rate).await;
    created.expect("the operation is accepted")
}

#[track_caller]
fn until(
    t: &TestEngine,
    id: Uuid,
    what: &'static str,
    fact: impl Fn(&Operation) -> bool,
) -> impl Future<Output = Operation> {
    let engine = t.engine.clone();
    wait_for(what, async move || {
        let seen = engine.operation(id).await.map_err(|error| error.to_string())?;
        if fact(&seen) { Ok(seen) } else { Err(format!("{seen:?}")) }
    })
}

#[track_caller]
fn completes(t: &TestEngine, id: Uuid) -> impl Future<Output = Operation> {
    until(t, id, "the operation completes", |seen| seen.status == OperationStatus::Completed)
}

async fn runs(t: &TestEngine, id: Uuid, outcome: Option<&str>) -> Vec<OperationRun> {
    let outcome = outcome.map(|word| word.parse().expect("an outcome"));
    t.engine.operation_runs(id, outcome, Some(200), None).await.expect("the runs can be read").items
}

/// How often each run was cancelled, by the audit.
async fn most_often(t: &TestEngine) -> (i64, i64) {
    let query = "SELECT count(*), coalesce(max(n), 0) FROM
        (SELECT count(*) AS n FROM backstitch.audit WHERE action = 'cancel' AND outcome = 'done' GROUP BY run_id) x";
    sqlx::query_as(query).fetch_one(t.engine.pool()).await.expect("the audit")
}

#[tokio::test]
async fn an_operation_covers_its_matches_and_records_refusals() {
    let mut t = TestEngine::idle().await;
    let matched = pending(&t, 30).await;
    t.add_worker(config("w0")).await;
    for run in &matched {
        t.is(*run, "waiting").await;
    }
    // Some have ended by the time that it is their turn.
    for run in &matched[..3] {
        t.engine.cancel(*run, &operator()).await.expect("the cancel is accepted");
        t.is(*run, "failed").await;
    }
    let created = cancel_all(&t, Some(1_000)).await;
    assert_eq!((created.status, created.total, created.open), (OperationStatus::Pending, 30, 30));
    let later = pending(&t, 1).await[0];
    let _runner = Runner::new(&t);
    let ended = completes(&t, created.id).await;
    assert_eq!((ended.done, ended.refused, ended.open), (27, 3, 0));
    assert_eq!(ended.refusals.iter().map(|r| (r.code.as_str(), r.count)).collect::<Vec<_>>(), [("wrong_state", 3)]);
    let refused: Vec<RunId> = runs(&t, created.id, Some("refused")).await.iter().map(|run| run.run_id).collect();
    assert_eq!(refused, matched[..3]);
    for run in &matched {
        t.is(*run, "failed").await;
    }
    t.is(later, "waiting").await;
    let by_operation = format!("audit WHERE operation_id = '{}' AND actor = 'ann' AND action = 'cancel'", created.id);
    assert_eq!(t.count(&format!("{by_operation} AND outcome = 'done'")).await, 27);
    assert_eq!(t.count(&format!("{by_operation} AND outcome = 'refused' AND code = 'wrong_state'")).await, 3);
    assert_eq!(t.count(&format!("audit WHERE subject = 'operation {}'", created.id)).await, 1);
    // Its counts are on record; where a server of the version before has ended it they are not, and are counted.
    assert_eq!(t.execute("UPDATE backstitch.operation SET done = NULL WHERE done = 27 AND refused = 3").await, 1);
    let seen = t.engine.operation(created.id).await.expect("the operation");
    assert_eq!((seen.done, seen.refused, seen.open), (27, 3, 0));
    t.finish().await;
}

#[tokio::test]
async fn a_killed_process_neither_skips_nor_repeats_runs() {
    let t = TestEngine::idle().await;
    pending(&t, 150).await;
    let created = cancel_all(&t, Some(400)).await;
    for at in [20, 70, 110] {
        let runner = Runner::new(&t);
        until(&t, created.id, "some are done", |seen| seen.done >= at).await;
        drop(runner);
    }
    let _runner = Runner::new(&t);
    let ended = completes(&t, created.id).await;
    assert_eq!((ended.done, ended.refused, ended.open), (150, 0, 0));
    assert_eq!(most_often(&t).await, (150, 1));
    t.finish().await;
}

#[tokio::test]
async fn two_processes_act_on_each_run_once() {
    let t = TestEngine::idle().await;
    pending(&t, 120).await;
    let created = cancel_all(&t, Some(1_000)).await;
    let _runners = (Runner::new(&t), Runner::new(&t), Runner::new(&t));
    let ended = completes(&t, created.id).await;
    assert_eq!((ended.done, ended.refused), (120, 0));
    assert_eq!(most_often(&t).await, (120, 1));
    t.finish().await;
}

#[tokio::test]
async fn a_verb_without_its_audit_record_is_not_done() {
    let t = TestEngine::idle().await;
    pending(&t, 3).await;
    let created = cancel_all(&t, None).await;
    // Each commit of a run fails at its very end, as a broken connection would have it. A sequence counts without it.
    t.execute("CREATE SEQUENCE backstitch.tries").await;
    t.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN PERFORM nextval('backstitch.tries'); RAISE EXCEPTION 'gone'; END $$",
    )
    .await;
    let trigger = "CREATE CONSTRAINT TRIGGER gone AFTER UPDATE ON backstitch.operation_run INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse()";
    t.execute(trigger).await;
    let _runner = Runner::new(&t);
    wait_until("it was tried twice", async || {
        let tries = "SELECT last_value FROM backstitch.tries";
        sqlx::query_scalar::<_, i64>(tries).fetch_one(t.engine.pool()).await.expect("reads") >= 6
    })
    .await;
    assert_eq!((t.count("run WHERE request <> 0").await, most_often(&t).await), (0, (0, 0)));
    t.execute("DROP TRIGGER gone ON backstitch.operation_run").await;
    assert_eq!(completes(&t, created.id).await.done, 3);
    assert_eq!(most_often(&t).await, (3, 1));
    t.finish().await;
}

#[tokio::test]
async fn the_rate_is_that_of_all_processes_together() {
    let t = TestEngine::idle().await;
    pending(&t, 61).await;
    let created = cancel_all(&t, Some(15)).await;
    let _runners = (Runner::new(&t), Runner::new(&t), Runner::new(&t));
    completes(&t, created.id).await;
    let span = "SELECT extract(epoch FROM max(at) - min(at))::float8 FROM backstitch.operation_run";
    let span: f64 = sqlx::query_scalar(span).fetch_one(t.engine.pool()).await.expect("reads");
    // Each for itself, three would take 1.3.
    assert!(span > 2.5, "sixty more runs at fifteen a second take four seconds: {span}");
    t.finish().await;
}

#[tokio::test]
async fn pausing_an_operation_waits_for_runs_in_progress() {
    let t = TestEngine::idle().await;
    let first = pending(&t, 20).await.into_iter().min().expect("there are some");
    let created = cancel_all(&t, Some(1)).await;
    let mut tx = t.engine.pool().begin().await.expect("a connection");
    let lock = "SELECT FROM backstitch.run WHERE id = $1 FOR UPDATE";
    sqlx::query(lock).bind(first).execute(&mut *tx).await.expect("the run's row is ours");
    let _runner = Runner::new(&t);
    wait_until("the run is in the middle", async || {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND application_name = 'runner' AND cardinality(pg_blocking_pids(pid)) > 0";
        sqlx::query_scalar::<_, i64>(query).fetch_one(t.engine.pool()).await.expect("reads") == 1
    })
    .await;
    let pausing = engine_of(&t, "pausing", 1);
    let pausing = tokio::spawn(async move { pausing.pause_operation(created.id, &operator()).await });
    wait_for_lock(t.engine.pool(), Session::Application("pausing")).await;
    tx.rollback().await.expect("the run's row is free");
    let paused = pausing.await.expect("no panic").expect("the pause is accepted");
    assert_eq!((paused.status, most_often(&t).await), (OperationStatus::Paused, (paused.done, 1)));
    assert_eq!(t.count(&format!("audit WHERE action = 'cancel' AND run_id = '{first}'")).await, 1);
    t.finish().await;
}

#[tokio::test]
async fn a_paused_operation_does_nothing_until_it_is_resumed() {
    let t = TestEngine::idle().await;
    pending(&t, 60).await;
    let created = cancel_all(&t, Some(20)).await;
    let _runner = Runner::new(&t);
    until(&t, created.id, "some are done", |seen| seen.done > 0).await;
    let paused = t.engine.pause_operation(created.id, &operator()).await.expect("the pause is accepted");
    assert_eq!(paused.status, OperationStatus::Paused);
    // Another operation gets its turns meanwhile, so the runner has passed this one over.
    let other = pending_of(&t, "two").await;
    let other =
        t.engine.operate_on(&Verb::Cancel, &tagged("batch:two"), &operator(), None).await.map(|o| (o.id, other));
    completes(&t, other.expect("the operation is accepted").0).await;
    let still = t.engine.operation(created.id).await.expect("the operation");
    assert_eq!((still.status, still.done), (OperationStatus::Paused, paused.done));
    t.engine.resume_operation(created.id, &operator()).await.expect("the resume is accepted");
    assert_eq!(completes(&t, created.id).await.done, 60);
    t.finish().await;
}

async fn pending_of(t: &TestEngine, batch: &str) -> RunId {
    let mut request = request("scripted", &[signal("never", None)]);
    request.tags.insert("batch".to_owned(), batch.to_owned());
    t.engine.start(request).await.expect("the start is accepted").run
}

#[tokio::test]
async fn a_cancelled_operation_leaves_the_rest_as_it_is() {
    let t = TestEngine::idle().await;
    pending(&t, 60).await;
    let created = cancel_all(&t, Some(20)).await;
    let runner = Runner::new(&t);
    until(&t, created.id, "some are done", |seen| seen.done > 0).await;
    let cancelled = t.engine.cancel_operation(created.id, &operator()).await.expect("the cancel is accepted");
    assert_eq!((cancelled.status, cancelled.finished_at.is_some()), (OperationStatus::Cancelled, true));
    assert!(cancelled.done < 60, "{cancelled:?}");
    let other = pending_of(&t, "two").await;
    let other =
        t.engine.operate_on(&Verb::Cancel, &tagged("batch:two"), &operator(), None).await.map(|o| (o.id, other));
    completes(&t, other.expect("the operation is accepted").0).await;
    drop(runner);
    assert_eq!(t.engine.operation(created.id).await.expect("the operation").done, cancelled.done);
    assert_eq!(t.count("run WHERE request = 1").await, cancelled.done + 1);
    let code = |result: Result<Operation, Error>| result.map(|_| ()).map_err(|error| error.code());
    assert_eq!(code(t.engine.cancel_operation(created.id, &operator()).await), Ok(()));
    assert_eq!(code(t.engine.resume_operation(created.id, &operator()).await), Err("wrong_state"));
    assert_eq!(code(t.engine.pause_operation(Uuid::nil(), &operator()).await), Err("unknown_operation"));
    t.finish().await;
}

#[tokio::test]
async fn what_is_asked_for_wrongly_creates_nothing_and_is_audited() {
    let t = TestEngine::idle().await;
    pending(&t, 2).await;
    let refused = async |filter: RunFilter, by: Operator, rate: Option<u32>| {
        let refused = t.engine.operate_on(&Verb::Retry { policy: None }, &filter, &by, rate).await;
        refused.map(|_| ()).map_err(|error| error.code())
    };
    let silent = Operator { reason: None, ..operator() };
    let page = RunFilter { limit: Some(10), ..RunFilter::default() };
    assert_eq!(refused(page, operator(), None).await, Err("empty_filter"));
    assert_eq!(refused(tagged("batch"), silent, None).await, Err("reason_required"));
    assert_eq!(refused(tagged("batch"), operator(), Some(0)).await, Err("invalid_request"));
    assert_eq!(refused(tagged("batch"), operator(), Some(10_001)).await, Err("invalid_request"));
    let nonsense = RunFilter { fingerprint: Some("dead".to_owned()), ..RunFilter::default() };
    assert_eq!(refused(nonsense, operator(), None).await, Err("invalid_request"));
    assert_eq!((t.count("operation").await, t.count("operation_run").await), (0, 0));
    assert_eq!(t.count("audit WHERE outcome = 'refused' AND subject = 'operation'").await, 5);
    t.finish().await;
}

#[tokio::test]
async fn a_preview_shows_plans_and_creates_nothing() {
    let mut t = TestEngine::idle().await;
    let runs = pending(&t, 12).await;
    t.add_worker(config("w0")).await;
    for run in &runs {
        t.is(*run, "waiting").await;
    }
    t.engine.cancel(runs[0], &operator()).await.expect("the cancel is accepted");
    t.is(runs[0], "failed").await;
    let preview = t.engine.preview_operation(&Verb::Cancel, &tagged("batch"), &operator()).await;
    let preview = preview.expect("the preview");
    assert_eq!((preview.total, preview.sample.len()), (12, 10));
    let mut statuses: Vec<_> = preview.statuses.iter().map(|s| (s.status.word(), s.count)).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [("failed", 1), ("waiting", 11)]);
    assert_eq!(preview.sample[0].code.as_deref(), Some("wrong_state"));
    assert!(preview.sample[1..].iter().all(|run| run.plan.is_some()));
    assert_eq!((t.count("operation").await, t.count("audit").await), (0, 1));
    for run in &runs[1..] {
        t.is(*run, "waiting").await;
    }
    t.finish().await;
}

#[tokio::test]
async fn an_operation_without_runs_is_completed_as_it_comes() {
    let t = TestEngine::idle().await;
    let created = cancel_all(&t, None).await;
    assert_eq!((created.status, created.total), (OperationStatus::Completed, 0));
    wait_until("it stays so", async || t.engine.operation(created.id).await.is_ok_and(|seen| seen.open == 0)).await;
    t.finish().await;
}
