//! Workers and Postgres killed in mid-work: others take over, nothing is lost, nothing is recorded or booked twice.
//!
//! The effects are counted where they are made: transactional steps insert one row each into a table without a key, so that
//! a second effect would be seen.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use backstitch::{
    embedded::Embedded,
    engine::{Engine, Registry, RunId, WorkerConfig},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Proxy, Way, engine::*, script::*, wait_until};

#[tokio::test]
async fn a_step_cut_short_by_a_crash_is_verified() {
    let mut t = TestEngine::idle().await;
    let first = t.add_worker(hasty("first")).await;
    t.script.on("charge", Side::Run, [Do::Hang]);
    t.script.on("charge", Side::Verify, [Do::Happened(json!("charged"))]);
    let run = t.start(&[call("reserve"), call("charge"), call("ship")]).await;
    wait_until("the charge is under way", async || t.script.count("charge", Side::Run) == 1).await;
    t.add_worker(hasty("second")).await;
    let killed = Instant::now();
    t.workers[first].kill().await;
    let run = t.is(run, "completed").await;
    assert!(killed.elapsed() < Duration::from_secs(10), "a lane is taken over soon after a second of silence");
    assert_eq!(output(&run), json!([{ "by": "reserve" }, "charged", { "by": "ship" }]));
    assert_eq!((t.script.count("reserve", Side::Run), t.script.count("charge", Side::Run)), (1, 1));
    assert_eq!(forward(&run)[1].worker.as_deref(), Some("second"));
    t.finish().await;
}

#[tokio::test]
async fn crashes_in_turn_lose_no_run_and_repeat_no_effect() {
    let mut t = TestEngine::idle().await;
    t.execute("CREATE TABLE effect (at timestamptz DEFAULT now())").await;
    t.script.always("book", Side::Run, Do::Sql("INSERT INTO effect DEFAULT VALUES".into(), Do::Ok.into()));
    // Three attempts are soon used up by crashes: what was lost under way had happened.
    t.script.always("charge", Side::Verify, Do::Happened(json!("charged")));
    let mut at_work = t.add_worker(hasty("w0")).await;
    let mut runs = Vec::new();
    for round in 1..4 {
        for _ in 0..20 {
            let program = [call("reserve"), call("book"), Op::Sleep(100), call("charge"), call("book"), call("note")];
            runs.push(t.start(&program).await);
        }
        wait_until("some have got on", async || t.script.count("charge", Side::Run) >= 10 * round).await;
        let next = t.add_worker(hasty(&format!("w{round}"))).await;
        t.workers[at_work].kill().await;
        at_work = next;
    }
    for run in &runs {
        t.is(*run, "completed").await;
    }
    assert_eq!(t.count("step WHERE outcome <> 1 OR outcome IS NULL").await, 0);
    assert_eq!(count_effects(&t).await, 2 * runs.len() as i64);
    t.finish().await;
}

#[tokio::test]
async fn a_plan_cut_short_by_a_crash_is_finished() {
    let mut t = TestEngine::idle().await;
    let first = t.add_worker(hasty("first")).await;
    t.script.on("charge", Side::Undo, [Do::Hang]);
    let run = t.start(&[call("reserve"), call("charge"), call("ship"), Op::Fail("no".into())]).await;
    wait_until("the undo is under way", async || t.script.count("charge", Side::Undo) == 1).await;
    assert_eq!(t.run(run).await.status, "compensating");
    t.workers[first].kill().await;
    t.add_worker(hasty("second")).await;
    t.is(run, "compensated").await;
    assert_eq!(t.script.undone(), ["ship", "charge", "charge", "reserve"]);
    t.finish().await;
}

/// Runs `program` and loses the answer to the commit that inserts a row of `table`: the commit stands still at its end until
/// nothing comes back to the lane. It lands, the connection is cut, and the lane sends the same again.
async fn lose_an_answer(t: &mut TestEngine, program: &[Op], (table, rows): (&str, &str), end: &'static str) {
    const STAND_STILL: &str =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'
        AND datname = current_database()";
    t.execute(
        "CREATE FUNCTION public.stand_still() RETURNS trigger LANGUAGE plpgsql
         AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$",
    )
    .await;
    t.execute(&format!(
        "CREATE CONSTRAINT TRIGGER stand_still AFTER INSERT ON backstitch.{table} DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW WHEN ({rows}) EXECUTE FUNCTION public.stand_still()"
    ))
    .await;
    // A lane that took its own record for somebody else's would give the run back, and claim it once more.
    t.execute("CREATE TABLE public.claimed (run uuid)").await;
    t.execute(
        "CREATE FUNCTION public.note_claim() RETURNS trigger LANGUAGE plpgsql
         AS $$ BEGIN INSERT INTO public.claimed VALUES (NEW.run_id); RETURN NULL; END $$",
    )
    .await;
    t.execute(
        "CREATE TRIGGER note_claim AFTER UPDATE OF lane ON backstitch.ready FOR EACH ROW
         WHEN (NEW.lane IS NOT NULL AND NEW.lane IS DISTINCT FROM OLD.lane) EXECUTE FUNCTION public.note_claim()",
    )
    .await;
    let proxy = Proxy::before(t.database().url()).await;
    t.add_worker_through(proxy.url(), WorkerConfig { lanes: 1, ..config("w0") }).await;
    let mut held = t.engine.begin().await.expect("begins");
    sqlx::query("SELECT pg_advisory_xact_lock(1)").execute(&mut *held).await.expect("nobody else has it");
    let run = t.start(program).await;
    let stand_still =
        async || sqlx::query_scalar::<_, i64>(STAND_STILL).fetch_one(t.engine.pool()).await.expect("counts");
    wait_until("the commit stands still", async || stand_still().await == 1).await;
    proxy.freeze_way(Way::ToClient);
    held.rollback().await.expect("rolls back");
    wait_until("it has landed", async || t.count(table).await > 0).await;
    let before = t.script.calls().len();
    proxy.cut();
    t.is(run, end).await;
    assert_eq!(t.script.calls().len(), before + 1, "its worker did not know that");
    let claimed = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM public.claimed").fetch_one(t.engine.pool()).await;
    assert_eq!(claimed.expect("counts"), 1, "its lane has kept it");
    assert_eq!((t.count("attention").await, t.count("lane WHERE NOT alive").await), (0, 0));
}

#[tokio::test]
async fn a_plan_whose_answer_is_lost_is_made_once() {
    let mut t = TestEngine::idle().await;
    t.script.on("charge", Side::Run, [Do::Fatal("declined")]);
    let program = [call("reserve"), call("note"), call("charge")];
    lose_an_answer(&mut t, &program, ("compensation", "true"), "compensated").await;
    assert_eq!((t.script.count("reserve", Side::Undo), t.count("compensation").await), (1, 1));
    t.finish().await;
}

#[tokio::test]
async fn a_step_whose_answer_is_lost_is_recorded_once() {
    let mut t = TestEngine::idle().await;
    let program = [call("note"), call("reserve")];
    lose_an_answer(&mut t, &program, ("step", "NEW.seq = 0"), "completed").await;
    assert_eq!((t.script.count("note", Side::Run), t.count("step").await), (1, 2));
    t.finish().await;
}

#[tokio::test]
async fn repeated_disconnects_lose_no_run_and_repeat_no_effect() {
    let mut t = TestEngine::idle().await;
    t.execute("CREATE TABLE effect (at timestamptz DEFAULT now())").await;
    t.script.always("book", Side::Run, Do::Sql("INSERT INTO effect DEFAULT VALUES".into(), Do::Ok.into()));
    // Three attempts are soon used up by crashes: what was lost under way had happened.
    t.script.always("charge", Side::Verify, Do::Happened(json!("charged")));
    t.add_worker(hasty("w0")).await;
    t.add_worker(hasty("w1")).await;
    let mut runs = Vec::new();
    for _ in 0..12 {
        for _ in 0..10 {
            let program = [
                call("reserve"),
                call("book"),
                Op::Sleep(50),
                call("charge"),
                signal("go", Some(60_000)),
                call("book"),
            ];
            runs.push(t.start(&program).await);
        }
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
        t.execute(cut).await;
        for run in runs.iter().rev().take(10) {
            signal_patiently(&t, *run).await;
        }
    }
    for run in &runs {
        t.is(*run, "completed").await;
    }
    assert_eq!(t.count("step WHERE outcome <> 1 OR outcome IS NULL").await, 0);
    assert_eq!((t.count("signal").await, t.count("timer").await), (runs.len() as i64, 0));
    assert_eq!(count_effects(&t).await, 2 * runs.len() as i64);
    t.finish().await;
}

async fn signal_patiently(t: &TestEngine, run: RunId) {
    wait_until("the signal is accepted", async || match t.engine.signal(run, "go", None, Some("once")).await {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.code(), "database_unavailable", "{error:?}");
            false
        }
    })
    .await;
}

/// A server whose files go away with the test.
struct Server {
    dir: PathBuf,
    running: Option<Embedded>,
}

impl Server {
    async fn start() -> Self {
        let dir = std::env::temp_dir().join(format!("backstitch-test-{}", uuid::Uuid::new_v4()));
        let mut this = Self { dir, running: None };
        this.restart().await;
        this
    }

    async fn restart(&mut self) {
        self.running = Some(Embedded::start(&self.dir).await.expect("the server starts"));
    }

    fn url(&self) -> String {
        self.running.as_ref().expect("it runs").url()
    }

    /// As a crash of the machine's Postgres would.
    async fn crash(&mut self) {
        let server = self.running.take().expect("it runs");
        let pid = server.pid().expect("it runs").cast_signed();
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it is ours");
        wait_until("its end is noticed", async || server.pid().is_none()).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Ok(elsewhere) = std::fs::canonicalize(self.dir.join("pg")) {
            let _ = std::fs::remove_dir_all(elsewhere);
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[tokio::test]
async fn accepted_is_durable_through_a_crash_of_postgres() {
    let mut server = Server::start().await;
    Engine::new(sqlx::PgPool::connect(&server.url()).await.expect("it is there"), Registry::new())
        .migrate()
        .await
        .expect("migrates");
    let mut t = TestEngine::on(&server.url()).await;
    t.execute("CREATE TABLE effect (at timestamptz DEFAULT now())").await;
    t.script.always("book", Side::Run, Do::Sql("INSERT INTO effect DEFAULT VALUES".into(), Do::Ok.into()));
    // Three attempts are soon used up by crashes: what was lost under way had happened.
    t.script.always("charge", Side::Verify, Do::Happened(json!("charged")));
    t.add_worker(hasty("w0")).await;
    let options: PgConnectOptions = server.url().parse().expect("the URL is one");
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1)).connect_lazy_with(options);
    let impatient = Engine::new(pool, Registry::new());
    let program = [call("reserve"), call("book"), Op::Sleep(200), call("charge"), Op::Sleep(2_000), call("book")];
    let mut accepted = Vec::new();
    for crash in 0..3 {
        for _ in 0..15 {
            accepted.push(t.start(&program).await);
        }
        wait_until("some have got on", async || t.script.count("charge", Side::Run) > 10 * crash).await;
        server.crash().await;
        let refused = impatient.start(request("scripted", &program)).await.expect_err("there is no database");
        assert_eq!(refused.code(), "database_unavailable");
        server.restart().await;
    }
    let kept: Vec<RunId> = sqlx::query_scalar("SELECT id FROM backstitch.run ORDER BY id")
        .fetch_all(t.engine.pool())
        .await
        .expect("reads");
    accepted.sort();
    assert_eq!(kept, accepted, "what was acknowledged is there, and nothing else");
    for run in &accepted {
        t.is(*run, "completed").await;
    }
    assert_eq!(t.count("step WHERE outcome <> 1 OR outcome IS NULL").await, 0);
    assert_eq!(count_effects(&t).await, 2 * accepted.len() as i64);
    let twice =
        "step WHERE cardinality(attempt_log) > (SELECT count(DISTINCT entry::text) FROM unnest(attempt_log) entry)";
    assert_eq!(t.count(twice).await, 0, "what was sent again is logged once");
    t.finish().await;
}

async fn count_effects(t: &TestEngine) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM effect").fetch_one(t.engine.pool()).await.expect("counts")
}
