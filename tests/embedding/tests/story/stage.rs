//! A database of the test's own, instances of the service as processes, and the `backstitch` command against them.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use backstitch::engine::{Engine, NewKey, Registry, Role};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Stage {
    pub pool: PgPool,
    /// An admin's API key.
    pub key: String,
    url: String,
}

impl Stage {
    /// A fresh database with the service's and the engine's tables.
    pub async fn new() -> Self {
        let server = std::env::var("DATABASE_URL").expect("DATABASE_URL names a Postgres server");
        let options: PgConnectOptions = server.parse().expect("DATABASE_URL is a Postgres URL");
        let name = format!("tenants_{}", Uuid::now_v7().simple());
        let mut admin = PgConnection::connect_with(&options).await.expect("the server answers");
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&mut admin).await.expect("a database can be made");
        // The role may be called as the engine's schema, which would then come first in its search path.
        let search_path = AssertSqlSafe(format!("ALTER DATABASE {name} SET search_path TO public"));
        sqlx::query(search_path).execute(&mut admin).await.expect("a database can be set up");
        let options = options.database(&name);
        let url = sqlx::ConnectOptions::to_url_lossy(&options).to_string();
        let pool = PgPool::connect_with(options).await.expect("the database answers");
        sqlx::migrate!().run(&pool).await.expect("the service's migrations apply");
        let engine = Engine::new(pool.clone(), Registry::new());
        engine.migrate().await.expect("the engine's migrations apply");
        let key = NewKey { name: "story".into(), role: Role::Admin, expires_in: None };
        let key = engine.create_key(&key, "test").await.expect("a key can be made").token;
        Self { pool, key, url }
    }

    /// Starts an instance whose provider answers after `delay`.
    pub async fn start(&self, delay: Duration) -> Instance {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tenants"))
            .args([&self.url, "127.0.0.1:0", &delay.as_millis().to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the service starts");
        let stdout = child.stdout.take().expect("its output is a pipe");
        let line = BufReader::new(stdout).lines().next().expect("it says where it serves").expect("it is text");
        let base = line.strip_prefix("ready: ").expect("it is ready").to_owned();
        Instance { child, base, client: reqwest::Client::new() }
    }

    /// Waits until the query says true.
    pub async fn until(&self, query: &'static str) {
        let since = Instant::now();
        while !sqlx::query_scalar::<_, Option<bool>>(query).fetch_one(&self.pool).await.expect(query).unwrap_or(false) {
            assert!(since.elapsed() < PATIENCE, "not true within {PATIENCE:?}: {query}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.expect(query)
    }

    /// Runs the command line, which must succeed; gives what it printed.
    pub fn backstitch(&self, url: &str, arguments: &[&str]) -> String {
        let (code, said) = self.try_backstitch(url, arguments);
        assert_eq!(code, Some(0), "backstitch {arguments:?}: {said}");
        said
    }

    /// Runs the command line; gives its status, and what it printed or complained of.
    pub fn try_backstitch(&self, url: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let binary = std::env::var("BACKSTITCH_BIN").expect("BACKSTITCH_BIN names the command line's binary");
        let output = Command::new(binary)
            .args(arguments)
            .envs([("BACKSTITCH_URL", url), ("BACKSTITCH_API_KEY", &self.key)])
            .output()
            .expect("the command line runs");
        let text = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }
}

/// A running instance; killed when dropped.
pub struct Instance {
    child: Child,
    base: String,
    client: reqwest::Client,
}

impl Instance {
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.post_with_key(path, body, "").await
    }

    pub async fn post_with_key(&self, path: &str, body: &Value, key: &str) -> Value {
        let answer = self.client.post(self.url(path)).bearer_auth(key).json(body).send().await.expect("it answers");
        let status = answer.status();
        let text = answer.text().await.expect("it answers with text");
        assert!(status.is_success(), "POST {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Waits until the run has this status; gives the run.
    pub async fn wait_for(&self, run: Uuid, status: &str, key: &str) -> Value {
        let since = Instant::now();
        loop {
            let url = self.url(&format!("/ops/v1/runs/{run}"));
            let answer = self.client.get(url).bearer_auth(key).send().await.expect("it answers");
            let found: Value = answer.json().await.expect("a run is JSON");
            if found["status"] == status {
                return found;
            }
            assert!(since.elapsed() < PATIENCE, "the run is not {status}: {found}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it has ended");
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
