//! An engine on a database of its own, with workers in this process that a test can stop and kill.
//!
//! Each worker has its own runtime and pool, as a process would: killing it drops everything it does at once, and its
//! connections break. What its activities do is the test's script. At the end of each test: `t.finish().await`, which asks
//! for runs in limbo.

use std::time::Duration;

use backstitch::engine::{
    Engine, Operator, Registry, Run, RunId, RunStep, StartRun, StepState, WorkerConfig, guarded, to_json,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::{runtime::Runtime, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    TestDatabase,
    script::{Op, Script},
    wait_for, wait_until,
};

pub struct TestEngine {
    pub engine: Engine,
    pub script: Script,
    pub workers: Vec<TestWorker>,
    url: String,
    /// Dropped last, when nothing uses it.
    pub db: Option<TestDatabase>,
}

/// A worker on a runtime of its own.
pub struct TestWorker {
    runtime: Option<Runtime>,
    stop: CancellationToken,
    done: Option<JoinHandle<()>>,
}

impl TestWorker {
    /// As `kill -9` would: whatever it does ends here and now.
    pub async fn kill(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        let ending = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(5)));
        ending.await.expect("a runtime can be shut down");
    }

    /// As SIGTERM would; waits until it has ended.
    pub async fn drain(&mut self) {
        self.stop.cancel();
        if let Some(done) = self.done.take() {
            done.await.expect("the worker does not panic");
        }
        self.kill().await;
    }
}

impl Drop for TestWorker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A statement of the engine's store as an engine in the default schema sends it.
pub fn rendered(statement: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(statement.replace("{schema}", "backstitch"))
}

/// Small intervals, one lane, and takeovers only where a test asks for them.
pub fn config(name: &str) -> WorkerConfig {
    WorkerConfig {
        name: name.to_owned(),
        slots: 64,
        lanes: 1,
        takeover_after: Duration::from_secs(10),
        poll_interval: Duration::from_millis(20),
        drain: Duration::from_secs(10),
        ..WorkerConfig::default()
    }
}

/// The same, with takeover after a second of silence.
pub fn hasty(name: &str) -> WorkerConfig {
    WorkerConfig { takeover_after: Duration::from_secs(1), ..config(name) }
}

impl TestEngine {
    /// With one worker.
    pub async fn new() -> Self {
        let mut this = Self::idle().await;
        this.add_worker(config("w0")).await;
        this
    }

    /// Without a worker; the script's workflows are known.
    pub async fn idle() -> Self {
        let db = TestDatabase::new().await;
        let url = db.url().to_owned();
        let mut this = Self::on(&url).await;
        this.db = Some(db);
        this
    }

    /// On a migrated database that somebody else keeps.
    pub async fn on(url: &str) -> Self {
        let script = Script::default();
        let engine = Engine::new(pool(url, 8, "the test"), script.registry());
        let this = Self { db: None, url: url.to_owned(), engine, script, workers: Vec::new() };
        for name in ["scripted", "deadlined", "typed", "shifty"] {
            let known = "INSERT INTO backstitch.workflow (name, version) VALUES ($1, 1) ON CONFLICT DO NOTHING";
            sqlx::query(known).bind(name).execute(this.engine.pool()).await.expect("the schema is there");
        }
        this
    }

    /// Starts a worker and waits until it has its lanes. Gives its index.
    pub async fn add_worker(&mut self, config: WorkerConfig) -> usize {
        self.add_worker_with(config, self.script.registry()).await
    }

    /// The same over another way to the same database.
    pub async fn add_worker_through(&mut self, url: &str, config: WorkerConfig) -> usize {
        self.add_worker_on(url.to_owned(), config, self.script.registry()).await
    }

    pub async fn add_worker_with(&mut self, config: WorkerConfig, registry: Registry) -> usize {
        self.add_worker_on(self.url.clone(), config, registry).await
    }

    async fn add_worker_on(&mut self, url: String, config: WorkerConfig, registry: Registry) -> usize {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime can be built");
        let stop = CancellationToken::new();
        let (stopped, name, lanes) = (stop.clone(), config.name.clone(), config.lanes as i64);
        let done = runtime.spawn(async move {
            let engine = Engine::new(pool(&url, 12, WORKERS), registry);
            engine.worker(config).run(stopped.cancelled_owned()).await.expect("the worker finds its database");
        });
        self.workers.push(TestWorker { runtime: Some(runtime), stop, done: Some(done) });
        wait_for("the worker has its lanes", async || {
            let open = "SELECT count(*) FROM backstitch.lane l JOIN backstitch.worker w ON w.id = l.worker_id
                WHERE w.name = $1 AND l.alive";
            let open: i64 = sqlx::query_scalar(open).bind(&name).fetch_one(self.engine.pool()).await.expect("reads");
            if open >= lanes { Ok(()) } else { Err(format!("{open} lanes")) }
        })
        .await;
        self.workers.len() - 1
    }

    /// Starts a run of a program.
    pub async fn start(&self, program: &[Op]) -> RunId {
        self.start_of("scripted", program).await
    }

    pub async fn start_of(&self, workflow: &str, input: &(impl serde::Serialize + ?Sized)) -> RunId {
        let started = self.engine.start(request(workflow, input)).await;
        started.expect("the start is accepted").run
    }

    pub async fn run(&self, run: RunId) -> Run {
        self.engine.run(run).await.expect("the run can be read")
    }

    /// Waits until the run has this status, and gives it.
    #[track_caller]
    pub fn is(&self, run: RunId, status: &'static str) -> impl Future<Output = Run> {
        self.until(run, status, move |seen| seen.status == status)
    }

    /// Waits until the run is as it should be.
    #[track_caller]
    pub fn until(&self, run: RunId, what: &str, fact: impl Fn(&Run) -> bool) -> impl Future<Output = Run> {
        let engine = self.engine.clone();
        wait_for(what, async move || {
            let seen = engine.run(run).await.map_err(|error| error.to_string())?;
            if fact(&seen) { Ok(seen) } else { Err(format!("{} {:?} {:?}", seen.status, seen.failure, seen.steps)) }
        })
    }

    /// Starts a program and waits for its status.
    pub async fn ends(&self, program: &[Op], status: &'static str) -> Run {
        let run = self.start(program).await;
        self.is(run, status).await
    }

    pub async fn send(&self, run: RunId, name: &str, payload: serde_json::Value) {
        let payload = to_json(&payload).expect("a value has a JSON form");
        self.engine.signal(run, name, Some(payload), None).await.expect("the signal is accepted");
    }

    /// Moves the database's clock.
    pub async fn advance(&self, seconds: f64) {
        let query = "UPDATE backstitch.clock SET shift = shift + make_interval(secs => $1)";
        sqlx::query(query).bind(seconds).execute(self.engine.pool()).await.expect("the clock can be moved");
    }

    /// Drains all workers, and waits until the server has carried out what they had sent: that goes on without them, and would
    /// see a clock that is moved meanwhile.
    pub async fn drain_workers(&mut self) {
        for worker in &mut self.workers {
            worker.drain().await;
        }
        let query = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name IN ($1, 'backstitch lane')";
        wait_until("the workers' sessions have ended", async || {
            let sessions = sqlx::query_scalar::<_, i64>(query).bind(WORKERS).fetch_one(self.engine.pool());
            sessions.await.expect("counts") == 0
        })
        .await;
    }

    /// Declares all lanes dead, as if nobody had heard of them; gives how many runs became due again.
    pub async fn take_over_all(&self) -> i64 {
        let sql = rendered(include_str!("../../src/engine/store/sql/takeover.sql"));
        // A takeover passes over lanes that are flushing just now: so none may.
        let mut tx = self.engine.pool().begin().await.expect("a connection");
        let lock = "SELECT FROM backstitch.lane WHERE alive FOR UPDATE";
        sqlx::query(lock).execute(&mut *tx).await.expect("locks");
        let (_, runs): (i64, i64) = sqlx::query_as(sql).bind(-1_i64).fetch_one(&mut *tx).await.expect("takes over");
        tx.commit().await.expect("commits");
        runs
    }

    /// Counts rows: `t.count("step WHERE kind = 0")`.
    pub async fn count(&self, rows: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM backstitch.{rows}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(self.engine.pool()).await.expect("counts")
    }

    pub async fn execute(&self, sql: &str) -> u64 {
        let done = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(self.engine.pool()).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
    }

    pub fn database(&self) -> &TestDatabase {
        self.db.as_ref().expect("the test has a database of its own")
    }

    /// The end of a test: no run is in limbo.
    pub async fn finish(self) {
        let limbo = self.engine.limbo().await.expect("limbo can be asked for");
        assert!(limbo.is_empty(), "runs in limbo: {limbo:#?}");
        drop(self.workers);
        self.engine.pool().close().await;
        drop(self.db);
    }
}

/// A start, as the API would make it.
pub fn request(workflow: &str, input: &(impl serde::Serialize + ?Sized)) -> StartRun {
    StartRun::named(workflow, to_json(input).expect("an input has a JSON form"))
}

/// An operator with a reason.
pub fn operator() -> Operator {
    Operator { actor: "ann".to_owned(), reason: Some("a customer called".to_owned()), ..Default::default() }
}

/// What the sessions of workers' pools are called.
const WORKERS: &str = "a worker's";

fn pool(url: &str, connections: u32, whose: &str) -> sqlx::PgPool {
    let options: PgConnectOptions = url.parse().expect("the URL is one");
    let options = options.application_name(whose);
    let pool = guarded(PgPoolOptions::new()).max_connections(connections).acquire_timeout(Duration::from_secs(10));
    pool.connect_lazy_with(options)
}

/// The forward steps of a run that are activities.
pub fn forward(run: &Run) -> Vec<&RunStep> {
    steps(run, "forward")
}

/// Its undos, in the order in which they are listed.
pub fn undos(run: &Run) -> Vec<&RunStep> {
    steps(run, "undo")
}

fn steps<'a>(run: &'a Run, direction: &str) -> Vec<&'a RunStep> {
    let all = run.steps.iter().flatten();
    all.filter(|step| step.kind == "activity" && step.direction == direction).collect()
}

/// The outcome of an activity's step, `open` while it has none.
pub fn outcome<'a>(run: &'a Run, activity: &str, direction: &str) -> &'a str {
    let step = steps(run, direction).into_iter().find(|step| step.name == activity);
    step.map_or("missing", |step| StepState::from(step.outcome).word())
}

/// The run's output as a value.
pub fn output(run: &Run) -> serde_json::Value {
    run.output.as_ref().map_or(serde_json::Value::Null, |json| serde_json::from_str(json.get()).expect("JSON"))
}
