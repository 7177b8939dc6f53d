//! Clients that hang up: at any moment, on any route, nothing stays open, what is acknowledged is there, and others are served.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::{
    server::Server,
    support::{Proxy, TestDatabase, no_transaction_is_open, wait_until},
};

/// Sends a request and hangs up after a while, without having read a byte.
async fn hang_up(server: &Server, method: &str, path: &str, body: &Value, after: Duration) {
    let address = server.url().trim_start_matches("http://").to_owned();
    let mut connection = TcpStream::connect(&address).await.expect("the server listens");
    let body = if method == "GET" { String::new() } else { body.to_string() };
    let key = uuid::Uuid::new_v4();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nidempotency-key: hung-up-{key}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await.expect("it is taken");
    tokio::time::sleep(after).await;
}

/// A server whose database is some milliseconds away, so that a request hangs up within its statements.
async fn far_from_its_database() -> (Server, TestDatabase, Proxy) {
    let database = TestDatabase::new().await;
    let proxy = Proxy::before(database.url()).await;
    let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(10));
    let server = Server::working_over(pool.connect_lazy(proxy.url()).expect("a URL")).await;
    wait_until("the worker has registered", async || {
        server.post("/v1/runs", json!({"workflow": "echo", "input": {"text": "a"}})).await.status == 201
    })
    .await;
    (server, database, proxy)
}

#[tokio::test]
async fn hang_ups_on_any_route_leave_nothing_open() {
    let (server, database, proxy) = far_from_its_database().await;
    let run = server.started("patient", json!(null)).await;
    let document = server.get("/openapi.json").await.json;
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let path = path.replace("{run_id}", &run).replace("{id}", &run).replace(['{', '}'], "");
        for method in operations.as_object().expect("operations").keys() {
            routes.push((method.to_uppercase(), path.clone()));
        }
    }
    assert!(routes.len() > 30, "{routes:?}");
    proxy.delay(Duration::from_millis(3));
    let body = json!({"workflow": "echo", "input": {"text": "a"}, "reason": "a test", "name": "a"});
    for (method, path) in &routes {
        // Each round trip takes six milliseconds: these are within the first few.
        let hang_ups =
            [1, 8, 14, 20, 27].map(|after| hang_up(&server, method, path, &body, Duration::from_millis(after)));
        futures_util::future::join_all(hang_ups).await;
    }
    proxy.delay(Duration::ZERO);
    no_transaction_is_open(database.pool(), "the hang-ups").await;
    for _ in 0..40 {
        let started = server.started("echo", json!({"text": "a"})).await;
        let there = "SELECT EXISTS (SELECT FROM backstitch.run WHERE id = $1::uuid)";
        let there: bool = sqlx::query_scalar(there).bind(&started).fetch_one(database.pool()).await.expect("reads");
        assert!(there, "{started} was acknowledged and is not there");
    }
}

#[tokio::test]
async fn writes_end_although_the_client_hangs_up() {
    let (server, database, proxy) = far_from_its_database().await;
    proxy.delay(Duration::from_millis(20));
    // Who calls is known then, without a look at the database.
    assert_eq!(server.get("/v1/runs").await.status, 200);
    for _ in 0..5 {
        let body = json!({"workflow": "echo", "input": {"text": "a"}});
        hang_up(&server, "POST", "/v1/runs", &body, Duration::from_millis(25)).await;
    }
    wait_until("they were started", async || {
        let count = "SELECT count(*) FROM backstitch.run WHERE key LIKE 'hung-up-%'";
        sqlx::query_scalar::<_, i64>(count).fetch_one(database.pool()).await.expect("reads") == 5
    })
    .await;
    server.stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_hang_up_do_not_starve_the_others() {
    let (server, _database, _proxy) = far_from_its_database().await;
    let aborts = async {
        loop {
            let nothing = json!(null);
            let some = (0..10).map(|n| hang_up(&server, "GET", "/v1/runs", &nothing, Duration::from_millis(n % 4)));
            futures_util::future::join_all(some).await;
        }
    };
    let good = async {
        for _ in 0..10 {
            assert_eq!(server.get("/v1/runs").await.status, 200);
        }
    };
    tokio::select! {
        () = aborts => {}
        answers = timeout(Duration::from_secs(30), good) => answers.expect("ten good answers, beside the aborts"),
    }
}
