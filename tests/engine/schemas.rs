//! Engines in schemas of one database: they neither see nor hold up each other.

use std::time::Duration;

use backstitch::engine::{Engine, Run};
use sqlx::{AssertSqlSafe, postgres::PgListener};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{TestDatabase, engine::*, script::*};

/// Two engines in one database, each with a worker.
struct Pair {
    one: Engine,
    two: Engine,
    _stop: DropGuard,
    db: TestDatabase,
}

impl Pair {
    async fn new() -> Self {
        let db = TestDatabase::unmigrated().await;
        let script = Script::default();
        let engine =
            |schema| Engine::new(db.pool().clone(), script.registry()).with_schema(schema).expect("it is a good name");
        let (one, two) = (engine("one"), engine("two"));
        let (a, b) = tokio::join!(one.migrate(), two.migrate());
        a.and(b).expect("both are migrated");
        let stop = CancellationToken::new();
        for engine in [&one, &two] {
            tokio::spawn(engine.worker(config("w")).run(stop.clone().cancelled_owned()));
        }
        let this = Self { one, two, _stop: stop.drop_guard(), db };
        for engine in [&this.one, &this.two] {
            while !engine.workers().await.expect("reads").items.iter().any(|worker| worker.alive) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        this
    }

    async fn number(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(self.db.pool()).await.expect("a number")
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(self.db.pool()).await.expect("it is done");
    }
}

/// Starts a run under a key and waits for its end.
async fn complete(engine: &Engine, key: &str) -> Run {
    let started = engine.start(request("scripted", &[call("reserve")]).key(key)).await.expect("it is accepted");
    assert!(started.created, "{key} is new here");
    let result = engine.result(started.run, Duration::from_secs(30)).await.expect("a result");
    assert_eq!(result.status, "completed");
    engine.run(started.run).await.expect("it can be read")
}

#[tokio::test]
async fn engines_of_two_schemas_share_nothing() {
    let pair = Pair::new().await;
    let (one, two) = (complete(&pair.one, "order-1").await, complete(&pair.two, "order-1").await);
    assert_ne!(one.id, two.id);
    assert_eq!(pair.one.run(two.id).await.expect_err("it is the other's").code(), "unknown_run");
    for schema in ["one", "two"] {
        assert_eq!(pair.number(&format!("SELECT count(*) FROM {schema}.run")).await, 1);
        assert_eq!(pair.number(&format!("SELECT count(*) FROM {schema}.step")).await, 1);
        assert_eq!(pair.number(&format!("SELECT count(*) FROM {schema}.worker")).await, 1);
    }
    let others = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('backstitch', 'shop')";
    assert_eq!(pair.number(others).await, 0);
    assert_eq!(pair.one.limbo().await.expect("reads"), Vec::new());
}

#[tokio::test]
async fn a_hint_is_heard_in_its_own_schema_only() {
    let pair = Pair::new().await;
    let mut listeners = Vec::new();
    for channel in ["one_due", "two_due"] {
        let mut listener = PgListener::connect(pair.db.url()).await.expect("it connects");
        listener.listen(channel).await.expect("it listens");
        listeners.push(listener);
    }
    complete(&pair.one, "a").await;
    let hint = tokio::time::timeout(Duration::from_secs(10), listeners[0].recv()).await.expect("it is hinted");
    assert_eq!(hint.expect("a hint").channel(), "one_due");
    let hint = tokio::time::timeout(Duration::from_millis(500), listeners[1].recv()).await;
    assert!(hint.is_err(), "{hint:?}");
}

#[tokio::test]
async fn a_lock_of_one_schema_does_not_hold_up_another() {
    let pair = Pair::new().await;
    let mut holder = pair.db.connect("holder").await;
    for lock in ["one retention", "one held_and_due", "backstitch migrations of one"] {
        let query = "SELECT pg_advisory_lock(hashtextextended($1, 0))";
        sqlx::query(query).bind(lock).execute(&mut holder).await.expect("nobody has it");
    }
    // A week without partitions is to be made in both.
    for statement in ["UPDATE one.clock SET shift = '21 days'", "UPDATE two.clock SET shift = '21 days'"] {
        pair.execute(statement).await;
    }
    assert!(!pair.one.keep().await.expect("it gives up"), "its turn is taken");
    assert!(pair.two.keep().await.expect("it is done"), "nobody is in the way");
    // The newest is to be applied in both again.
    for statement in ["DELETE FROM one.migration WHERE version = 54", "DELETE FROM two.migration WHERE version = 54"] {
        pair.execute(statement).await;
    }
    let waiting = tokio::time::timeout(Duration::from_millis(500), pair.one.migrate()).await;
    assert!(waiting.is_err(), "it waits for the lock");
    pair.two.migrate().await.expect("nobody is in the way");
    complete(&pair.one, "a").await;
    complete(&pair.two, "a").await;
}

#[tokio::test]
async fn retention_keeps_to_its_own_schema() {
    let pair = Pair::new().await;
    let (one, two) = (complete(&pair.one, "a").await, complete(&pair.two, "a").await);
    let weeks = async |schema: &str| {
        pair.number(&format!("SELECT count(*) FROM pg_inherits WHERE inhparent = '{schema}.run'::regclass")).await
    };
    let before = weeks("two").await;
    assert_eq!(weeks("one").await, before);
    pair.execute("UPDATE one.clock SET shift = '60 days'").await;
    while pair.one.keep().await.expect("it is done") {}
    while pair.two.keep().await.expect("it is done") {}
    assert_eq!(pair.one.run(one.id).await.expect_err("it is gone").code(), "unknown_run");
    assert_eq!(pair.two.run(two.id).await.expect("it stays").status, "completed");
    assert_eq!(weeks("two").await, before);
    // The key is free again.
    complete(&pair.one, "a").await;
}
