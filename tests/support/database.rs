//! A database per test, cloned from a template that has been migrated once.
//!
//! Names say what may be swept away: `bst_test_<random>_<seconds>` and `bst_template_<hash of the migrations>_<seconds>`. A test drops its
//! own when it ends, also by a panic; what a killed run leaves is dropped by a later one. Several processes may share a server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;

use super::server;

/// One process at a time makes a template; the number means nothing else.
const TEMPLATE_LOCK: i64 = 0x6261_636b_7374;

/// A test database that is older than an hour has been left behind, a template that is not ours and older than a day is of no use.
const LEFT_BEHIND: &str = "
    SELECT datname::text FROM pg_database d
    WHERE datname ~ '^bst_(test|template)_[0-9a-f]+_[0-9]+$'
      AND split_part(datname, '_', 4)::bigint
          < extract(epoch FROM now()) - CASE split_part(datname, '_', 2) WHEN 'test' THEN 3600 ELSE 86400 END
      AND datname <> $1
      AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)";

static TEMPLATE: OnceCell<String> = OnceCell::const_new();

/// A database that belongs to one test and is dropped with this value.
///
/// Set BACKSTITCH_KEEP_TEST_DATABASES to have the databases of failed tests kept, with their URLs printed.
pub struct TestDatabase {
    name: String,
    url: String,
    pool: PgPool,
}

impl TestDatabase {
    /// A migrated, otherwise empty database.
    pub async fn new() -> Self {
        let template = TEMPLATE.get_or_init(template).await;
        Self::create(template).await
    }

    /// A database without any migration, for tests of the migrations themselves.
    pub async fn unmigrated() -> Self {
        Self::create("template0").await
    }

    /// A database as earlier versions made it, when engine and shop had one history: after this migration of it.
    pub async fn of_before(version: i64) -> Self {
        let db = Self::unmigrated().await;
        db.go_on_as_before(version).await;
        db
    }

    /// Applies more of the history that engine and shop had in common, as the version before would have.
    pub async fn go_on_as_before(&self, version: i64) {
        let mut migrator = sqlx::migrate!("./tests/upgrade/before");
        migrator.create_schema("backstitch");
        migrator.dangerous_set_table_name("backstitch.migration");
        migrator.run_to(version, self.pool()).await.expect("the old migrations apply");
    }

    /// A URL for this database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A small pool on this database, which connects when it is first used.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A connection of its own, with an `application_name` by which `pg_stat_activity` shows it.
    pub async fn connect(&self, application_name: &str) -> PgConnection {
        connect(&self.name, application_name).await
    }

    async fn create(template: &str) -> Self {
        let name = format!("bst_test_{}_{}", uuid::Uuid::new_v4().simple(), now_s().await);
        let mut admin = admin().await;
        execute(&mut admin, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        let options = options(&name).await;
        let url = options.to_url_lossy().to_string();
        let pool = PgPoolOptions::new().max_connections(8).acquire_timeout(Duration::from_secs(30));
        Self { url, pool: pool.connect_lazy_with(options), name }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("BACKSTITCH_KEEP_TEST_DATABASES").is_some() {
            eprintln!("the database of this test is kept: {}", self.url);
            return;
        }
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // The test's own runtime may be shutting down, and can't be blocked on from within: so another, elsewhere.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be built").block_on(async move {
                execute(&mut admin().await, &statement).await;
            });
        });
        if dropping.join().is_err() && !std::thread::panicking() {
            panic!("could not drop the test database {}", self.name);
        }
    }
}

/// Brings an empty database up to date. The only place in the tests that knows how.
pub async fn migrate(pool: &PgPool) {
    let engine = backstitch::engine::Engine::new(pool.clone(), backstitch::engine::Registry::new());
    let orders = backstitch::orders::Orders::new(engine, backstitch::orders::ShopSettings::default());
    orders.migrate().await.expect("the migrations apply to an empty database");
}

/// The name of a template that the present migrations have been applied to; makes it if there is none yet.
async fn template() -> String {
    let prefix = format!("bst_template_{}_", migrations_hash());
    let mut admin = admin().await;
    let found = match find_template(&mut admin, &prefix).await {
        Some(found) => found,
        None => {
            sqlx::query("SELECT pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut admin).await.expect("locks");
            // The holder of the lock before us may have made it.
            match find_template(&mut admin, &prefix).await {
                Some(found) => found,
                None => make_template(&mut admin, &prefix).await,
            }
        }
    };
    let left: Vec<String> = sqlx::query_scalar(LEFT_BEHIND).bind(&found).fetch_all(&mut admin).await.expect("reads");
    for name in left {
        // Another process may be doing the same: the second finds it gone.
        let statement = format!("DROP DATABASE IF EXISTS {name}");
        let _ = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut admin).await;
    }
    found
}

async fn find_template(admin: &mut PgConnection, prefix: &str) -> Option<String> {
    let query = "SELECT datname::text FROM pg_database WHERE starts_with(datname, $1) ORDER BY 1 LIMIT 1";
    sqlx::query_scalar(query).bind(prefix).fetch_optional(admin).await.expect("reads")
}

/// Made under another name and renamed when it is complete: what has the name is good to clone.
async fn make_template(admin: &mut PgConnection, prefix: &str) -> String {
    let now_s = now_s().await;
    let name = format!("{prefix}{now_s}");
    let unfinished = format!("bst_test_{}_{now_s}", uuid::Uuid::new_v4().simple());
    execute(admin, &format!("CREATE DATABASE {unfinished} TEMPLATE template0")).await;
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(options(&unfinished).await);
    migrate(&pool).await;
    pool.close().await;
    // Without connections (autovacuum's too), or cloning would have to wait for them.
    execute(admin, &format!("ALTER DATABASE {unfinished} WITH ALLOW_CONNECTIONS false")).await;
    execute(admin, &format!("ALTER DATABASE {unfinished} RENAME TO {name}")).await;
    name
}

/// Sixteen hex digits over names and contents of all migrations.
fn migrations_hash() -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let entries = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries(&dir).flat_map(|history| entries(&history)).collect();
    files.sort();
    assert!(!files.is_empty(), "there are migrations");
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(std::fs::read(&file).expect("a migration can be read"));
    }
    hex::encode(&hash.finalize()[..8])
}

/// Seconds since 1970 by the server's clock, which is the one that the sweeping goes by.
async fn now_s() -> i64 {
    let query = "SELECT extract(epoch FROM now())::bigint";
    sqlx::query_scalar(query).fetch_one(&mut admin().await).await.expect("reads")
}

async fn options(database: &str) -> PgConnectOptions {
    let options: PgConnectOptions = server::url().await.parse().expect("the server's URL is one");
    options.database(database)
}

async fn admin() -> PgConnection {
    let options: PgConnectOptions = server::url().await.parse().expect("the server's URL is one");
    connection(options.application_name("backstitch-tests")).await
}

async fn connect(database: &str, application_name: &str) -> PgConnection {
    connection(options(database).await.application_name(application_name)).await
}

async fn connection(options: PgConnectOptions) -> PgConnection {
    options.disable_statement_logging().connect().await.expect("the test server takes connections")
}

async fn execute(connection: &mut PgConnection, statement: &str) {
    let result = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(connection).await;
    result.unwrap_or_else(|error| panic!("{statement}: {error} (the tests' role must be able to create databases)"));
}
