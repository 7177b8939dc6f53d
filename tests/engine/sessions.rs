//! Whatever a database or a role sets for its sessions, ours are as the engine relies on.

use std::time::Duration;

use backstitch::engine::{Engine, Registry, Verb, begin};
use sqlx::{Connection, PgConnection};

use crate::support::{TestDatabase, engine::*, script::*};

/// Sets it for all new sessions of the test's database.
async fn override_setting(t: &TestEngine, setting: &str) {
    let alter = format!(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$",
        setting.replace('\'', "''")
    );
    t.execute(&alter).await;
}

/// An engine whose sessions begin after that.
async fn anew(t: &TestEngine) -> TestEngine {
    TestEngine::on(t.database().url()).await
}

#[tokio::test]
async fn a_serializable_default_fails_nobody() {
    let t = TestEngine::idle().await;
    override_setting(&t, "default_transaction_isolation = 'serializable'").await;
    let mut fresh = anew(&t).await;
    fresh.add_worker(config("w0")).await;
    fresh.add_worker(config("w1")).await;
    let mut runs = Vec::new();
    for _ in 0..20 {
        runs.push(fresh.start(&[call("reserve"), signal("go", None)]).await);
    }
    let cancel = |run| {
        let engine = fresh.engine.clone();
        async move { engine.apply_verb(run, &Verb::Cancel, &operator()).await }
    };
    for cancelled in futures_util::future::join_all(runs.iter().map(|run| cancel(*run))).await {
        cancelled.expect("a cancel is no conflict with its neighbours");
    }
    for run in runs {
        fresh.until(run, "it has ended", |run| run.finished_at.is_some()).await;
    }
    assert_eq!(fresh.count("lane WHERE NOT alive").await, 0);
    drop(fresh);
    t.finish().await;
}

/// Whose connection is silent holds no lock for long, on a server that is set to wait for two hours.
#[tokio::test]
async fn a_service_that_is_gone_keeps_no_lock() {
    let t = TestEngine::idle().await;
    let pool = backstitch::config::pool(t.database().url(), 1).expect("a URL");
    let mut tx = begin(&pool).await.expect("it begins");
    let idle: String =
        sqlx::query_scalar("SHOW idle_in_transaction_session_timeout").fetch_one(&mut *tx).await.expect("reads");
    assert_eq!(idle, "10s");
    // Shown as 0 over a Unix socket, which needs none.
    let kept: String = sqlx::query_scalar("SELECT source FROM pg_settings WHERE name = 'tcp_keepalives_idle'")
        .fetch_one(&mut *tx)
        .await
        .expect("reads");
    assert_eq!(kept, "session", "the server asks whether the client is still there");
    tx.rollback().await.expect("it is answered");
    t.finish().await;
}

#[tokio::test]
async fn overridden_limits_and_modes_cost_nothing() {
    let t = TestEngine::idle().await;
    for setting in ["default_transaction_read_only = on", "statement_timeout = '200ms'", "lock_timeout = '100ms'"] {
        override_setting(&t, setting).await;
    }
    let mut fresh = anew(&t).await;
    fresh.add_worker(config("w0")).await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        let mut blocker = t.database().connect("blocker").await;
        let lock = "SET default_transaction_read_only = off; SET lock_timeout = 0; SET statement_timeout = 0;
            BEGIN READ WRITE; LOCK TABLE backstitch.step IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut blocker).await.expect("the table is ours");
        for _ in 0..5 {
            runs.push(fresh.start(&[call("reserve"), call("note")]).await);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for run in runs {
        fresh.is(run, "completed").await;
    }
    assert_eq!(fresh.count("attention").await, 0);
    let said = fresh.engine.server_settings().await.expect("it says").overrides;
    for name in ["default_transaction_read_only", "statement_timeout", "lock_timeout"] {
        assert!(said.iter().any(|line| line.starts_with(&format!("database: {name}="))), "{name}: {said:?}");
    }
    drop(fresh);
    t.finish().await;
}

#[tokio::test]
async fn a_database_that_is_not_utf8_is_refused() {
    let database = TestDatabase::unmigrated().await;
    // Named as the harness does it: by its age, one of a killed test is removed by another.
    let now: i64 = sqlx::query_scalar("SELECT extract(epoch FROM now())::bigint")
        .fetch_one(database.pool())
        .await
        .expect("it knows the time");
    let name = format!("bst_test_{}_{now}", uuid::Uuid::new_v4().simple());
    let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(database.pool()).await.expect("it is created");
    let options: sqlx::postgres::PgConnectOptions = database.url().parse().expect("the URL is one");
    let pool = sqlx::postgres::PgPoolOptions::new().connect_lazy_with(options.database(&name));
    let engine = Engine::new(pool.clone(), Registry::new());
    let refused = engine.migrate().await.expect_err("it can't hold all texts");
    assert_eq!(refused.code(), "unsupported_encoding");
    assert_eq!(engine.server_settings().await.expect("it says").encoding, "LATIN1");
    pool.close().await;
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    let mut admin = PgConnection::connect(database.url()).await.expect("it is there");
    sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut admin).await.expect("it is dropped");
}
