//! Without its database a server says so, at once and with a code; and it says when it is about to go.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use sqlx::postgres::PgPoolOptions;

use crate::{
    server::{Answer, Server},
    support::TestDatabase,
};

#[tokio::test]
async fn without_a_database_requests_are_told_so_and_only_readiness_fails() {
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
async fn a_schema_that_is_behind_is_not_ready() {
    let database = TestDatabase::unmigrated().await;
    let server = Server::over(database.pool().clone()).await;
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status, &ready.json["status"]), (503, &json!("not ready")));
    assert!(ready.json["checks"]["migrations"].as_str().is_some_and(|text| text.contains("migrate")), "{}", ready.json);
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_ends_long_waits_early() {
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
