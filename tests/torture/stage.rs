//! Where it happens: Postgres that syncs, a proxy in front of it, the gateway simulator, an API without a worker, and workers.
//!
//! Each process has a database role of its own, by which `pg_stat_activity` tells whose a session is.

use std::{fs::File, path::PathBuf, process::Stdio, time::Duration};

use backstitch::{embedded::Embedded, gateway_sim};
use serde_json::json;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    process::Child,
    sync::{Mutex, MutexGuard},
};

use crate::{
    customers::Front,
    rng::Rng,
    support::{
        Proxy, process,
        shop::{Simulator, webhooks_to},
        wait_until_within,
    },
};

/// After so long without a sign of life a worker's runs are taken over.
pub(crate) const TAKEOVER_AFTER: Duration = Duration::from_secs(2);
/// Within this, work goes on again: what `TAKEOVER_AFTER` and the deadlines of a statement add up to at most.
pub(crate) const GOES_ON_WITHIN: Duration = Duration::from_secs(17);
const PAYMENT_WINDOW: &str = "6s";
const ROLES: [&str; 6] = ["api", "w0", "w1", "w2", "w3", "w4"];
pub(crate) const SKU: &str = "plenty";
const ON_HAND: i64 = 1_000_000;

/// Scenarios start many processes, and would spoil each other's timing.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

pub(crate) struct Stage {
    /// Past the proxy.
    pub(crate) pool: PgPool,
    pub(crate) proxy: Proxy,
    pub(crate) simulator: Simulator,
    pub(crate) front: Front,
    pub(crate) server: Embedded,
    pub(crate) workers: Vec<Child>,
    api: Child,
    log: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Stage {
    /// With so many workers.
    pub(crate) async fn set(scenario: &str, workers: usize) -> Self {
        let server = Embedded::temporary().await.expect("the server starts");
        Self::over(scenario, server, workers, &[]).await
    }

    /// Over this server, on which these statements are carried out before anybody connects but `migrate`.
    pub(crate) async fn over(scenario: &str, server: Embedded, workers: usize, before: &[&str]) -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
        process::run(&server.url(), &["migrate"]).await;
        let pool = direct(&server).await;
        let roles = ROLES.map(|role| format!("CREATE ROLE {role} SUPERUSER LOGIN"));
        for statement in roles.iter().map(String::as_str).chain(before.iter().copied()) {
            execute(&pool, statement).await;
        }
        let proxy = Proxy::before(&server.url()).await;
        let address = process::free_address();
        let signed = webhooks_to(format!("http://{address}/v1/webhooks/stripe"));
        let simulator = Simulator::start(gateway_sim::Config { hold: Duration::from_secs(2), ..signed }).await;
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("torture-{scenario}.log"));
        File::create(&log).expect("the log can be written");
        let front = Front::at(format!("http://{address}"));
        let api = serve(&proxy, &simulator, &front, &log);
        let mut stage = Self { pool, proxy, simulator, front, server, workers: Vec::new(), api, log, _alone: alone };
        for _ in 0..workers {
            stage.add_worker();
        }
        stage.open().await;
        stage
    }

    /// Another worker, with the next role.
    pub(crate) fn add_worker(&mut self) {
        let worker = self.start_worker(self.workers.len());
        self.workers.push(worker);
    }

    /// Another one in place of one that was killed.
    pub(crate) fn replace_worker(&mut self, number: usize) {
        self.workers[number] = self.start_worker(number);
    }

    fn start_worker(&self, number: usize) -> Child {
        let url = as_role(self.proxy.url(), ROLES[number + 1]);
        start(process::shop(&url, &self.simulator.url(), &["worker"]), &self.log)
    }

    /// Another API process in place of the one that is killed here.
    pub(crate) async fn kill_and_replace_api(&mut self) {
        self.api.kill().await.expect("SIGKILL is sent");
        self.api = serve(&self.proxy, &self.simulator, &self.front, &self.log);
        self.until_served().await;
    }

    pub(crate) async fn kill_worker(&mut self, number: usize) {
        self.workers[number].kill().await.expect("SIGKILL is sent");
    }

    pub(crate) fn worker(&self, number: usize) -> u32 {
        self.workers[number].id().expect("it has not been killed")
    }

    /// The one value that a query gives.
    pub(crate) async fn ask<T>(&self, query: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.expect("the query works")
    }

    pub(crate) async fn execute(&self, statement: &str) {
        execute(&self.pool, statement).await;
    }

    /// Ends all sessions of the processes: they connect again.
    pub(crate) async fn end_sessions(&self) {
        let ours = ROLES.map(|role| format!("'{role}'")).join(", ");
        self.execute(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ({ours})"))
            .await;
    }

    /// The database has been replaced by another of the same name.
    pub(crate) async fn reconnect(&mut self) {
        self.pool = direct(&self.server).await;
    }

    /// From now on this is the database's server; gives the one before.
    pub(crate) async fn move_to(&mut self, server: Embedded) -> Embedded {
        self.pool = direct(&server).await;
        self.proxy.lead_to(&server.url());
        std::mem::replace(&mut self.server, server)
    }

    /// What has happened so far, for the message of a failure.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// No process ends by itself; those that the test killed are known to have ended.
    pub(crate) fn all_alive(&mut self) {
        for process in self.workers.iter_mut().chain([&mut self.api]).filter(|process| process.id().is_some()) {
            let ended = process.try_wait().expect("it is ours");
            assert!(ended.is_none(), "a process ended by itself, {ended:?}: see {}", self.log.display());
        }
    }

    /// The end of a good test: the log of a bad one stays.
    pub(crate) async fn strike(self) {
        self.pool.close().await;
        drop((self.workers, self.api));
        self.server.stop().await;
        let _ = std::fs::remove_file(&self.log);
    }

    /// Waits until orders can be placed, and puts something on the shelf.
    async fn open(&mut self) {
        let registered = "SELECT count(*) > 0 FROM backstitch.workflow WHERE name = 'order'";
        let up = Duration::from_secs(40);
        wait_until_within(up, "the workers are up", async || self.ask(registered).await).await;
        self.until_served().await;
        let item = json!({"name": "Plenty", "price": 1000, "currency": "EUR", "on_hand": ON_HAND});
        assert!(self.front.put(&format!("/v1/items/{SKU}"), &item).await, "the shelf can't be filled");
    }

    async fn until_served(&self) {
        let ready = async || self.front.readiness().await == Some(200);
        wait_until_within(Duration::from_secs(40), "the API is up", ready).await;
    }
}

/// How often a scenario does its worst.
pub(crate) fn rounds() -> usize {
    std::env::var("BACKSTITCH_TORTURE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

/// Randomness that can be repeated.
pub(crate) fn dice() -> Rng {
    let seed = std::env::var("BACKSTITCH_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u32>);
    println!("BACKSTITCH_TEST_SEED={seed}");
    Rng::new(u64::from(seed))
}

async fn direct(server: &Embedded) -> PgPool {
    let patient = PgPoolOptions::new().max_connections(5).acquire_timeout(Duration::from_secs(20));
    patient.connect(&server.url()).await.expect("it takes connections")
}

async fn execute(pool: &PgPool, statement: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(pool).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// On a connection of its own.
pub(crate) async fn execute_alone(url: &str, statement: &str) {
    let mut alone = PgConnection::connect(url).await.expect("it takes connections");
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut alone).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// The one number that a query gives, on a connection of its own.
pub(crate) async fn ask_alone(url: &str, query: &'static str) -> i32 {
    let mut alone = PgConnection::connect(url).await.expect("it takes connections");
    sqlx::query_scalar(query).fetch_one(&mut alone).await.expect("the query works")
}

fn as_role(url: &str, role: &str) -> String {
    url.parse::<PgConnectOptions>().expect("a URL").username(role).to_url_lossy().to_string()
}

fn serve(proxy: &Proxy, simulator: &Simulator, front: &Front, log: &PathBuf) -> Child {
    let address = front.url.trim_start_matches("http://");
    let serve = ["serve", "--no-worker", "--listen", address];
    start(process::shop(&as_role(proxy.url(), ROLES[0]), &simulator.url(), &serve), log)
}

fn start(mut command: tokio::process::Command, log: &PathBuf) -> Child {
    let log = File::options().append(true).open(log).expect("the log is there");
    command
        .env("BACKSTITCH_TAKEOVER_AFTER", format!("{}s", TAKEOVER_AFTER.as_secs()))
        .env("BACKSTITCH_PAYMENT_WINDOW", PAYMENT_WINDOW)
        .env("BACKSTITCH_REFUND_TIERS", "2s:70")
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("it starts")
}
