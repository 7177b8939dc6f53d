//! Releases overlap: an older one can be migrated, and work, beside a newer schema that serves it; a migration that would strand
//! living workers is refused; and nothing is asked for that is not needed.

use backstitch::engine::{Engine, Registry, WorkerConfig};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::TestDatabase;

fn engine(db: &TestDatabase) -> Engine {
    Engine::new(db.pool().clone(), Registry::new())
}

async fn execute(db: &TestDatabase, sql: &str) {
    let done = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(db.pool()).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// As a newer release would have left it, whose newest migration serves releases from this one on.
async fn migrate_further(db: &TestDatabase, serves: &str) {
    let newer = "INSERT INTO backstitch.migration (version, description, success, checksum, execution_time, serves)";
    execute(db, &format!("{newer} SELECT 9000, 'newer', true, '', 0, {serves} FROM backstitch.migration")).await;
}

#[tokio::test]
async fn a_newer_schema_that_serves_this_release_is_left_alone() {
    let db = TestDatabase::new().await;
    migrate_further(&db, "max(version)").await;
    let engine = engine(&db);
    engine.migrate().await.expect("there is nothing to do");
    assert_eq!(engine.newer_migrations().await.expect("it can be asked"), [9000]);
    engine.work(WorkerConfig::default(), async {}).await.expect("it can work");
}

#[tokio::test]
async fn a_newer_schema_that_serves_only_later_releases_is_refused() {
    let db = TestDatabase::new().await;
    migrate_further(&db, "max(version) + 1").await;
    let refused = engine(&db).migrate().await.expect_err("it can't work on it");
    assert_eq!(refused.code(), "schema_too_new");
    let refused = engine(&db).work(WorkerConfig::default(), std::future::pending()).await.expect_err("nor do that");
    assert_eq!(refused.code(), "schema_too_new");
}

#[tokio::test]
async fn a_migration_waits_until_workers_that_it_strands_are_gone() {
    let db = TestDatabase::of_before(10).await;
    execute(&db, "INSERT INTO backstitch.worker (name, queues, workflows, slots) VALUES ('old', '{}', '{}', 1)").await;
    execute(&db, "INSERT INTO backstitch.lane (worker_id) SELECT id FROM backstitch.worker").await;
    let refused = engine(&db).migrate().await.expect_err("the old one lives");
    assert_eq!(refused.code(), "old_workers");
    assert!(refused.to_string().contains("stop old first"), "{refused}");
    execute(&db, "UPDATE backstitch.lane SET beat = beat - interval '2 minutes'").await;
    engine(&db).migrate().await.expect("it has been silent for long");
}

#[tokio::test]
async fn migrating_needs_no_right_when_nothing_is_missing() {
    let db = TestDatabase::new().await;
    let role = format!("bst_reader_{}", uuid::Uuid::new_v4().simple());
    execute(&db, &format!("CREATE ROLE {role}")).await;
    execute(&db, &format!("GRANT USAGE ON SCHEMA backstitch TO {role}")).await;
    execute(&db, &format!("GRANT SELECT ON ALL TABLES IN SCHEMA backstitch TO {role}")).await;
    let options: PgConnectOptions = db.url().parse().expect("a URL");
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(options.options([("role", &role)]));
    let migrated = Engine::new(pool.clone(), Registry::new()).migrate().await;
    pool.close().await;
    execute(&db, &format!("DROP OWNED BY {role}")).await;
    execute(&db, &format!("DROP ROLE {role}")).await;
    migrated.expect("it needs no right to create anything");
}
