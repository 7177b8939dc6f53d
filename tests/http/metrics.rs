//! `/metrics` and `/readyz`: what a process shows of itself is what happened, and the truth when the database is away.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Method;
use serde_json::json;
use sqlx::postgres::PgPoolOptions;

use crate::{
    server::{Server, WORKER},
    support::wait_for,
};

/// The names that outside checks rely on.
const PROMISED: [&str; 15] = [
    "runs_started_total",
    "runs_ended_total",
    "steps_total",
    "step_duration_seconds",
    "claim_delay_seconds",
    "runs",
    "oldest_due_seconds",
    "lanes_fenced_total",
    "flush_steps",
    "flush_seconds",
    "timer_lateness_seconds",
    "outbox_lag_seconds",
    "refunds_waiting_seconds",
    "attention_runs",
    "database_up",
];

async fn scrape(server: &Server) -> String {
    let answer = server.request(Method::GET, "/metrics").send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    answer.text().await.expect("a text")
}

/// The value of one series; none while it is not there.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok())
}

#[tokio::test]
async fn metrics_have_the_promised_names() {
    let server = Server::working().await;
    let echo = server.started("echo", json!({"text": "a"})).await;
    let patient = server.started("patient", json!(null)).await;
    server.until(&echo, "completed").await;
    server.until(&patient, "waiting").await;
    assert_eq!(server.post(&format!("/v1/runs/{patient}/signals/go"), json!(false)).await.status, 202);
    server.until(&patient, "compensated").await;

    let text = scrape(&server).await;
    for name in PROMISED {
        assert!(text.contains(&format!("# HELP backstitch_{name} ")), "{name} has no help:\n{text}");
        assert!(text.contains(&format!("# TYPE backstitch_{name} ")), "{name} has no type:\n{text}");
    }
    let at_least_one = [
        "backstitch_runs_started_total",
        r#"backstitch_runs_ended_total{status="completed"}"#,
        r#"backstitch_runs_ended_total{status="compensated"}"#,
        r#"backstitch_steps_total{activity="hold",direction="forward",outcome="ok"}"#,
        r#"backstitch_steps_total{activity="hold",direction="undo",outcome="ok"}"#,
        r#"backstitch_step_duration_seconds_count{activity="hold"}"#,
        "backstitch_claim_delay_seconds_count",
        "backstitch_flush_seconds_count",
        "backstitch_flush_steps_sum",
        "backstitch_worker_slots",
        "backstitch_workers_alive",
        r#"backstitch_http_requests_total{route="/v1/runs",method="POST",status="201"}"#,
        r#"backstitch_http_request_duration_seconds_count{route="/v1/runs",method="POST"}"#,
        concat!("backstitch_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"),
    ];
    for series in at_least_one {
        assert!(value(&text, series).is_some_and(|value| value >= 1.0), "{series}:\n{text}");
    }
    assert_eq!(value(&text, "backstitch_database_up"), Some(1.0), "{text}");
    assert_eq!(value(&text, "backstitch_limbo_runs"), Some(0.0), "{text}");
}

#[tokio::test]
async fn labels_are_bounded() {
    let server = Server::working().await;
    let run = server.started("echo", json!({"text": "a"})).await;
    server.until(&run, "completed").await;
    for path in ["/v1/nothing/1", "/v1/nothing/2", &format!("/v1/runs/{run}")] {
        server.get(path).await;
    }
    let odd = Method::from_bytes(b"BREW").expect("a method");
    let _ = server.request(odd, "/v1/runs").send().await.expect("an answer");
    let text = scrape(&server).await;
    assert!(!text.contains(&run) && !text.contains(&run.replace('-', "")), "{text}");
    let routes: BTreeSet<_> = text.split("route=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(routes.contains("/v1/runs/{id}") && routes.contains("none"), "{routes:?}");
    assert!(!routes.iter().any(|route| route.contains("nothing")), "{routes:?}");
    assert!(text.contains(r#"method="other""#) && !text.contains("BREW"), "{text}");
}

#[tokio::test]
async fn metrics_survive_an_outage_of_the_database() {
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(300));
    let server = Server::over(pool.connect_lazy("postgres://nobody@127.0.0.1:1/nothing").expect("a URL")).await;
    assert_eq!(server.get("/v1/runs").await.status, 503);
    let text = scrape(&server).await;
    assert_eq!(value(&text, "backstitch_database_up"), Some(0.0), "{text}");
    let requests = r#"backstitch_http_requests_total{route="/v1/runs",method="GET",status="503"}"#;
    assert!(value(&text, requests).is_some_and(|value| value >= 1.0), "{text}");
    assert!(!text.contains("backstitch_attention_runs"), "an old number would pass for a true one:\n{text}");
}

#[tokio::test]
async fn many_scrapes_ask_the_database_one_time() {
    let server = Server::working().await;
    let seen = || async {
        let query = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()";
        sqlx::query_scalar::<_, i64>(query).fetch_one(server.pool()).await.expect("a count")
    };
    scrape(&server).await;
    // Each reading ends its transaction by a rollback, and little else here does.
    let texts = futures_util::future::join_all((0..50).map(|_| scrape(&server))).await;
    assert!(texts.iter().all(|text| value(text, "backstitch_database_up") == Some(1.0)));
    wait_for("the statistics are in", async || {
        let rollbacks = seen().await;
        if rollbacks >= 1 { Ok(()) } else { Err(format!("{rollbacks}")) }
    })
    .await;
    assert!(seen().await <= 5, "{} readings", seen().await);
}

#[tokio::test]
async fn a_process_with_a_silent_worker_is_unready() {
    let mut server = Server::working_as(WORKER).await;
    wait_for("the worker has its lanes", async || {
        let ready = server.get("/readyz").await;
        if ready.status == 200 { Ok(()) } else { Err(ready.json.to_string()) }
    })
    .await;
    let silence = "UPDATE backstitch.lane SET alive = false";
    let worker = server.worker.take().expect("a worker of its own");
    worker.cancel();
    wait_for("all beats have stopped", async || {
        sqlx::query(silence).execute(server.pool()).await.expect("an update");
        let ready = server.get("/readyz").await;
        let said = ready.json["checks"]["worker"].as_str().unwrap_or_default().to_owned();
        if ready.status == 503 && said == "it has no lane" { Ok(()) } else { Err(ready.json.to_string()) }
    })
    .await;
    assert_eq!(server.get("/healthz").await.status, 200);
}
