//! Whatever operators do: it and its audit are one commit, a dry run of it is nothing at all, and twice is once.

use std::time::Duration;

use backstitch::engine::{Error, HoldKind, NewKey, Operator, Role, RunFilter, RunId, ScheduleSpec, Verb, to_json};
use futures_util::{FutureExt, future::BoxFuture};
use sqlx::Row;
use uuid::Uuid;

use crate::support::{engine::*, script::*};

/// All that operators change.
const TABLES: [&str; 16] = [
    "audit",
    "run",
    "ready",
    "timer",
    "step",
    "signal",
    "attention",
    "unhealthy",
    "paused",
    "hold",
    "schedule",
    "retention",
    "operation",
    "operation_run",
    "schedule_slot",
    "api_key",
];

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

/// What operators do beside verbs, each with what it is done to.
struct Stage {
    t: TestEngine,
    /// Waits.
    run: RunId,
    /// Has ended.
    ended: RunId,
    operation: Uuid,
}

fn spec(cron: &str) -> ScheduleSpec {
    ScheduleSpec {
        cron: cron.to_owned(),
        time_zone: "UTC".to_owned(),
        workflow: "scripted".to_owned(),
        input: to_json(&[call("note")]).expect("a program has a JSON form"),
        queue: None,
        overlap: Default::default(),
        catch_up: Default::default(),
        paused: None,
    }
}

impl Stage {
    async fn new() -> Self {
        let mut t = TestEngine::idle().await;
        t.add_worker(config("w0")).await;
        let mut waits = request("scripted", &[call("note"), signal("go", None)]);
        waits.tags.insert("batch".to_owned(), "one".to_owned());
        let run = t.engine.start(waits).await.expect("it is accepted").run;
        t.is(run, "waiting").await;
        let ended = t.ends(&[call("note")], "completed").await.id;
        t.workers[0].drain().await;
        let by = operator();
        let operation = t.engine.operate_on(&Verb::Cancel, &batch(), &by, None).await.expect("it is accepted").id;
        t.engine.hold(HoldKind::Queue, "held", &by).await.expect("it is held");
        t.engine.set_schedule("s", &spec("0 * * * *"), &by).await.expect("it is set");
        Self { t, run, ended, operation }
    }

    /// Does it all, and asks after each what was made of it.
    async fn each(&self, by: &Operator, ask: impl AsyncFn(&str, Result<(), Error>)) {
        let (engine, week) = (&self.t.engine, Duration::from_secs(7 * 24 * 3600));
        for verb in [Verb::Pause, Verb::Cancel, Verb::Compensate, Verb::Abandon] {
            ask(verb.word(), engine.apply_verb(self.run, &verb, by).await.map(drop)).await;
        }
        ask("signal", engine.operator_signal(self.run, "go", None, None, by).await).await;
        ask("fork", engine.fork(self.ended, 0, None, by).await.map(drop)).await;
        ask("hold", engine.hold(HoldKind::Activity, "charge", by).await.map(drop)).await;
        ask("release", engine.release(HoldKind::Queue, "held", by).await.map(drop)).await;
        ask("set a schedule", engine.set_schedule("s", &spec("5 * * * *"), by).await.map(drop)).await;
        ask("pause a schedule", engine.pause_schedule("s", by).await.map(drop)).await;
        ask("run a schedule", engine.run_schedule("s", by).await.map(drop)).await;
        ask("delete a schedule", engine.delete_schedule("s", by).await.map(drop)).await;
        ask("set a retention", engine.set_retention("scripted", Some(week), by).await.map(drop)).await;
        ask("operate", engine.operate_on(&Verb::Cancel, &batch(), by, None).await.map(drop)).await;
        ask("pause an operation", engine.pause_operation(self.operation, by).await.map(drop)).await;
        ask("cancel an operation", engine.cancel_operation(self.operation, by).await.map(drop)).await;
    }
}

fn batch() -> RunFilter {
    RunFilter { tag: Some("batch".to_owned()), ..RunFilter::default() }
}

#[tokio::test]
async fn what_can_not_be_audited_is_not_done() {
    let stage = Stage::new().await;
    let t = &stage.t;
    let new = NewKey { name: "ops".to_owned(), role: Role::Operator, expires_in: None };
    let key = t.engine.create_key(&new, "ann").await.expect("a key").key.id;
    t.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full'; END $$")
        .await;
    t.execute("CREATE TRIGGER full_up BEFORE INSERT ON backstitch.audit FOR EACH ROW EXECUTE FUNCTION refuse()").await;
    let before = everything(t).await;
    let is_not_done = async |what: &str, done: Result<(), Error>| {
        assert!(matches!(done, Err(Error::Database(_))), "{what}: {done:?}");
        assert_eq!(everything(t).await, before, "{what}");
    };
    stage.each(&operator(), is_not_done).await;
    is_not_done("create a key", t.engine.create_key(&new, "ann").await.map(drop)).await;
    is_not_done("revoke a key", t.engine.revoke_key(&key, "ann").await.map(drop)).await;
    stage.t.finish().await;
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_is_not_audited() {
    let stage = Stage::new().await;
    let before = everything(&stage.t).await;
    let by = Operator { dry_run: true, ..operator() };
    let changes_nothing = async |what: &str, done: Result<(), Error>| {
        assert!(done.is_ok(), "{what} would be done: {done:?}");
        assert_eq!(everything(&stage.t).await, before, "{what}");
    };
    stage.each(&by, changes_nothing).await;
    stage.t.finish().await;
}

#[tokio::test]
async fn what_is_asked_for_twice_is_done_and_audited_once() {
    let stage = Stage::new().await;
    let (t, engine, by) = (&stage.t, &stage.t.engine, operator());
    let new = NewKey { name: "ops".to_owned(), role: Role::Operator, expires_in: None };
    let key = engine.create_key(&new, "ann").await.expect("a key").key.id;
    let twice = async |what: &str, ask: &dyn Fn() -> BoxFuture<'static, Result<(), Error>>| {
        let before = everything(t).await;
        ask().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let once = everything(t).await;
        assert_ne!(once, before, "{what}");
        ask().await.unwrap_or_else(|error| panic!("{what} again: {error}"));
        assert_eq!(everything(t).await, once, "{what}");
    };
    macro_rules! twice {
        ($what:literal, |$engine:ident, $by:ident| $ask:expr) => {
            twice($what, &|| {
                let ($engine, $by) = (engine.clone(), by.clone());
                async move { $ask.await.map(drop) }.boxed()
            })
            .await;
        };
    }
    let (run, ended, operation) = (stage.run, stage.ended, stage.operation);
    twice!("pause", |engine, by| engine.apply_verb(run, &Verb::Pause, &by));
    twice!("resume", |engine, by| engine.apply_verb(run, &Verb::Resume, &by));
    twice!("cancel", |engine, by| engine.cancel(run, &by));
    twice!("compensate", |engine, by| engine.compensate(ended, &by));
    twice!("hold", |engine, by| engine.hold(HoldKind::Activity, "charge", &by));
    twice!("pause a schedule", |engine, by| engine.pause_schedule("s", &by));
    twice!("resume a schedule", |engine, by| engine.resume_schedule("s", &by));
    twice!("pause an operation", |engine, by| engine.pause_operation(operation, &by));
    twice!("resume an operation", |engine, by| engine.resume_operation(operation, &by));
    twice!("cancel an operation", |engine, by| engine.cancel_operation(operation, &by));
    let revoke = || {
        let (engine, key) = (engine.clone(), key.clone());
        async move { engine.revoke_key(&key, "ann").await.map(drop) }.boxed()
    };
    twice("revoke a key", &revoke).await;
    stage.t.finish().await;
}
