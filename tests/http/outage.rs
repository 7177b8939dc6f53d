//! Without its database a server says so, at once and with a code; and it says when it is about to go.

use std::time::{Duration, Instant};

use backstitch::{
    embedded::{Embedded, Options},
    engine::WorkerConfig,
};
use reqwest::Method;
use serde_json::json;
use sqlx::postgres::PgPoolOptions;

use crate::{
    server::{Answer, Server},
    support::{Proxy, TestDatabase, wait_for, wait_until_within},
};

#[tokio::test]
async fn without_a_database_only_liveness_is_fine() {
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(300));
    let server = Server::over(pool.connect_lazy("postgres://nobody@127.0.0.1:1/nothing").expect("a URL")).await;
    let start = server.post("/v1/runs", json!({"workflow": "echo", "input": {"text": "a"}})).await;
    start.is_problem(503, "database_unavailable");
    assert!(!start.header("retry-after").is_empty());
    assert!(!start.json.to_string().contains("127.0.0.1"), "no host in the answer");
    for path in ["/v1/runs", "/v1/items/a", "/v1/orders?customer_id=c"] {
        server.get(path).await.is_problem(503, "database_unavailable");
    }
    assert_eq!(server.get("/healthz").await.status, 200);
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status, &ready.json["checks"]["database"]), (503, &json!("database_unavailable")));
}

#[tokio::test]
async fn readiness_and_metrics_recover_after_an_outage() {
    let dir = std::env::temp_dir().join(format!("backstitch-test-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&dir).expect("the temporary directory is writable");
    let start = || Embedded::start_with(&dir, Options::default().set("shared_buffers", "16MB"));
    let postgres = start().await.expect("the server starts");
    let pool = PgPoolOptions::new().max_connections(8).acquire_timeout(Duration::from_secs(1));
    let server = Server::working_over(pool.connect_lazy(&postgres.url()).expect("a URL")).await;
    let ready = async |status: u16, what: &str| {
        wait_for(what, async || {
            let ready = server.get("/readyz").await;
            if ready.status == status { Ok(ready.json) } else { Err(ready.json.to_string()) }
        })
        .await
    };
    let metrics = async || {
        let answer = server.request(Method::GET, "/metrics").send().await.expect("an answer");
        answer.text().await.expect("a text")
    };
    let all_well = ready(200, "the process is ready").await;
    assert_eq!(all_well["checks"]["worker"], "ok");

    postgres.stop().await;
    let said = ready(503, "the process is not ready").await;
    assert_ne!(said["checks"]["database"], "ok", "{said}");
    assert_eq!(server.get("/healthz").await.status, 200);
    wait_for("metrics say that the database is away", async || {
        let text = metrics().await;
        if text.contains("backstitch_database_up 0") { Ok(()) } else { Err(text) }
    })
    .await;

    let postgres = start().await.expect("the server starts again");
    ready(200, "the process is ready again").await;
    wait_for("metrics say that the database is back", async || {
        let text = metrics().await;
        if text.contains("backstitch_database_up 1") { Ok(()) } else { Err(text) }
    })
    .await;
    let run = server.started("echo", json!({"text": "a"})).await;
    server.until(&run, "completed").await;
    server.stop.cancel();
    postgres.stop().await;
    let _ = std::fs::remove_dir_all(&dir);
}

#[tokio::test]
async fn a_full_or_read_only_database_is_unavailable() {
    let server = Server::idle().await;
    let refuse = "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'as the test says' USING ERRCODE = TG_ARGV[0]; END $$";
    sqlx::raw_sql(refuse).execute(server.pool()).await.expect("is created");
    for code in ["53100", "53200", "58030", "25006", "57014", "40001", "55P03"] {
        let trigger = format!(
            "DROP TRIGGER IF EXISTS refuse ON backstitch.run; CREATE TRIGGER refuse BEFORE INSERT ON backstitch.run
             FOR EACH ROW EXECUTE FUNCTION public.refuse('{code}')"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(trigger)).execute(server.pool()).await.expect("is created");
        let start = server.post("/v1/runs", json!({"workflow": "echo", "input": {"text": "a"}})).await;
        start.is_problem(503, "database_unavailable");
        assert!(!start.header("retry-after").is_empty(), "{code}");
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_has_an_unknown_outcome() {
    let database = TestDatabase::new().await;
    let proxy = Proxy::before(database.url()).await;
    let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(10));
    let server = Server::working_over(pool.connect_lazy(proxy.url()).expect("a URL")).await;
    wait_for("the workflow is known", async || {
        let start = server.post("/v1/runs", json!({"workflow": "echo", "input": {"text": "a"}})).await;
        if start.status == 201 { Ok(()) } else { Err(start.json.to_string()) }
    })
    .await;
    let start = async |key: &str| {
        let request = server.request(Method::POST, "/v1/runs").header("idempotency-key", key);
        Answer::to(request.json(&json!({"workflow": "echo", "input": {"text": "a"}}))).await
    };
    let count = async |key: &str| {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM backstitch.run WHERE key = $1").bind(key);
        count.fetch_one(database.pool()).await.expect("counts")
    };
    let mut unknown = 0;
    for round in 0..40_u64 {
        let key = format!("cut-{round}");
        proxy.delay(Duration::from_millis(15));
        let (answer, ()) = tokio::join!(start(&key), async {
            tokio::time::sleep(Duration::from_millis(5 + 3 * round)).await;
            proxy.cut();
        });
        proxy.heal();
        if answer.status == 503 {
            let happened = count(&key).await;
            match answer.json["code"].as_str() {
                Some("database_unavailable") => assert_eq!(happened, 0, "it said that nothing has happened"),
                code => assert_eq!(code, Some("outcome_unknown")),
            }
            unknown += u32::from(answer.json["code"] == "outcome_unknown");
        }
        let again = start(&key).await;
        assert!(matches!(again.status, 200 | 201), "{} {}", again.status, again.json);
        assert_eq!(count(&key).await, 1);
    }
    assert!(unknown > 0, "a cut at each moment meets one within the write");
}

#[tokio::test]
async fn a_schema_that_is_behind_is_not_ready() {
    let database = TestDatabase::unmigrated().await;
    let server = Server::over(database.pool().clone()).await;
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status, &ready.json["status"]), (503, &json!("not ready")));
    assert!(ready.json["checks"]["migrations"].as_str().is_some_and(|text| text.contains("migrate")), "{}", ready.json);
}

#[tokio::test]
async fn a_stopping_server_ends_long_waits() {
    let server = Server::working().await;
    assert_eq!(server.get("/readyz").await.status, 200);
    let id = server.started("patient", json!(null)).await;
    let begun = Instant::now();
    let wait = Answer::to(server.request(Method::GET, &format!("/v1/runs/{id}/result?wait=25s")));
    let (answer, ()) = tokio::join!(wait, async {
        server.until(&id, "waiting").await;
        server.stop.cancel();
    });
    assert_eq!(answer.status, 202);
    assert!(begun.elapsed() < Duration::from_secs(15), "it did not wait to the end");
}

#[tokio::test]
async fn a_server_whose_writes_hang_is_not_ready_and_answers() {
    let dir = std::env::temp_dir().join(format!("backstitch-test-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&dir).expect("the temporary directory is writable");
    let postgres = Embedded::start_with(&dir, Options::default().set("shared_buffers", "16MB")).await.expect("starts");
    let pool = PgPoolOptions::new().max_connections(8).acquire_timeout(Duration::from_secs(1));
    let admin = PgPoolOptions::new().connect_lazy(&postgres.url()).expect("a URL");
    let server = Server::working_over(pool.connect_lazy(&postgres.url()).expect("a URL")).await;
    let run = server.started("echo", json!({"text": "a"})).await;
    server.until(&run, "completed").await;
    // A standby that every commit waits for, and that does not answer.
    let standby = async |names: &str| {
        for statement in
            [format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"), "SELECT pg_reload_conf()".into()]
        {
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&admin).await.expect("it is set");
        }
    };
    standby("silent").await;
    let start = json!({"workflow": "echo", "input": {"text": "b"}, "key": "b"});
    let began = Instant::now();
    let (answer, ()) = tokio::join!(server.post("/v1/runs", start.clone()), async {
        wait_for("it is not ready", async || {
            let ready = server.get("/readyz").await;
            let said = &ready.json["checks"]["database"];
            if (ready.status, said) == (503, &json!("writes_hang")) { Ok(()) } else { Err(ready.json.to_string()) }
        })
        .await;
    });
    answer.is_problem(503, "outcome_unknown");
    assert!(
        !answer.header("retry-after").is_empty() && began.elapsed() < Duration::from_secs(25),
        "{:?}",
        began.elapsed()
    );
    standby("").await;
    wait_for("it is ready again", async || {
        let ready = server.get("/readyz").await;
        if ready.status == 200 { Ok(()) } else { Err(ready.json.to_string()) }
    })
    .await;
    let again = server.post("/v1/runs", start).await;
    assert!(matches!(again.status, 200 | 201), "{}", again.json);
    server.until(again.json["id"].as_str().expect("an id"), "completed").await;
    server.stop.cancel();
    postgres.stop().await;
    let _ = std::fs::remove_dir_all(&dir);
}

#[tokio::test]
async fn a_worker_that_makes_no_progress_is_not_healthy() {
    let database = TestDatabase::new().await;
    let proxy = Proxy::before(database.url()).await;
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1));
    let server = Server::over(pool.connect_lazy(proxy.url()).expect("a URL")).await;
    let config = WorkerConfig { takeover_after: Duration::from_secs(1), ..WorkerConfig::default() };
    tokio::spawn(server.engine.worker(config).run(server.stop.clone().cancelled_owned()));
    let run = wait_for("the workflow is known", async || {
        let start = server.post("/v1/runs", json!({"workflow": "echo", "input": {"text": "a"}})).await;
        start.json["id"].as_str().map(str::to_owned).ok_or_else(|| start.json.to_string())
    })
    .await;
    // Workflows are known before their worker is at work: frozen between the two, it would never begin.
    server.until(&run, "completed").await;
    assert_eq!(server.get("/healthz").await.status, 200);
    proxy.freeze_all();
    wait_until_within(Duration::from_secs(30), "it is not healthy", async || {
        server.get("/healthz").await.status == 503
    })
    .await;
    proxy.heal();
    proxy.cut();
    wait_until_within(Duration::from_secs(30), "it is healthy again", async || {
        server.get("/healthz").await.status == 200
    })
    .await;
}
