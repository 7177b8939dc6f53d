//! Differences between the books over HTTP and on their page: who may mend them, and how one is mended by a form.

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::server::Server;

/// A difference of 10.00 EUR at the gateway.
async fn insert(server: &Server, kind: &'static str, payment: &str) -> Uuid {
    let id = Uuid::now_v7();
    let query = "INSERT INTO shop.difference
            (id, kind, about, payment_id, order_id, expected, actual, currency, state, first_seen, last_seen)
        VALUES ($1, $2, $3, $3, $1, 0, 1000, 'EUR', 'open', shop.now(), shop.now())";
    sqlx::query(query).bind(id).bind(kind).bind(payment).execute(server.pool()).await.expect("a row");
    id
}

/// A worker has registered the workflows once.
async fn know_books(server: &Server) {
    let query = "INSERT INTO backstitch.workflow (name, version) VALUES ('reconcile', 1), ('mend_difference', 1)";
    sqlx::query(query).execute(server.pool()).await.expect("the workflows");
}

#[tokio::test]
async fn differences_are_listed_page_by_page() {
    let server = Server::idle().await;
    let mut ids = Vec::new();
    for payment in ["pi_1", "pi_2", "pi_3"] {
        ids.insert(0, insert(&server, "captured_twice", payment).await.to_string());
    }
    let first = server.get("/v1/differences?state=open&limit=2").await.json;
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let second = server.get(&format!("/v1/differences?state=open&limit=2&cursor={cursor}")).await.json;
    let listed: Vec<_> = [&first, &second].iter().flat_map(|page| page["items"].as_array().expect("items")).collect();
    assert_eq!(listed.iter().map(|item| item["id"].as_str().expect("an id")).collect::<Vec<_>>(), ids);
    assert_eq!((&listed[0]["mend"], &second["next_cursor"]), (&json!("refund"), &json!(null)));
    assert_eq!(server.get("/v1/differences?state=gone").await.json["items"], json!([]));
    server.get("/v1/differences?state=closed").await.is_problem(400, "invalid_request");
    server.get("/v1/differences?cursor=x").await.is_problem(400, "bad_cursor");
    server.get(&format!("/v1/differences/{}", Uuid::nil())).await.is_problem(404, "unknown_difference");
    server.get(&format!("/v1/reconciliation?run_id={}", Uuid::nil())).await.is_problem(404, "unknown_run");
    let status = server.get("/v1/reconciliation").await.json;
    assert_eq!(status, json!({"comparison": null, "open": [{"kind": "captured_twice", "count": 3}]}));
    let metrics =
        server.request(Method::GET, "/metrics").send().await.expect("an answer").text().await.expect("a text");
    assert!(metrics.contains("backstitch_shop_differences{kind=\"captured_twice\"} 3"), "{metrics}");
    assert!(metrics.contains("backstitch_shop_differences{kind=\"refund_missing\"} 0"), "{metrics}");
}

#[tokio::test]
async fn a_mend_needs_a_reason_and_begins_once() {
    let server = Server::idle().await;
    know_books(&server).await;
    let id = insert(&server, "amount_differs", "pi_1").await;
    let path = format!("/v1/differences/{id}/mend");
    server.post(&path, json!({})).await.is_problem(400, "reason_required");
    server.post(&path, json!({"reason": "r", "mend": "void"})).await.is_problem(400, "invalid_request");
    let dry = server.post(&path, json!({"dry_run": true})).await;
    assert_eq!((dry.status, &dry.json["dry_run"]), (200, &json!(true)));
    assert_eq!(dry.json["plan"], "nothing moves: a difference of 10.00 EUR is accepted");
    assert_eq!(dry.json["difference"]["mend_run"], json!(null));
    let begun = server.post(&path, json!({"reason": "it was a test"})).await;
    assert_eq!((begun.status, &begun.json["difference"]["reason"]), (202, &json!("it was a test")));
    server.post(&path, json!({"reason": "again"})).await.is_problem(409, "difference_being_mended");
    sqlx::query("UPDATE shop.difference SET state = 'gone'").execute(server.pool()).await.expect("it is gone");
    server.post(&path, json!({"reason": "again"})).await.is_problem(409, "difference_not_open");
    let audit = server.get("/v1/audit").await.json;
    assert_eq!(audit["items"].as_array().expect("entries").len(), 1, "{audit}");
    assert_eq!(audit["items"][0]["action"], "mend_difference");
}

#[tokio::test]
async fn the_page_shows_differences_and_mends_by_form() {
    let server = Server::idle().await;
    know_books(&server).await;
    let id = insert(&server, "captured_twice", "pi_1").await;
    let page = async |path: &str| {
        let answer = server.request(Method::GET, path).header("accept", "text/html").send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    let (status, text) = page("/differences").await;
    assert_eq!(status, 200);
    for part in ["captured twice", "10.00 EUR", "pi_1", &format!("/differences/{id}/mend"), "Write off…"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (_, form) = page(&format!("/differences/{id}/write-off")).await;
    assert!(form.contains("nothing moves: a difference of 10.00 EUR is accepted"), "{form}");
    let (_, form) = page(&format!("/differences/{id}/mend")).await;
    assert!(form.contains("the gateway refunds 10.00 EUR of payment pi_1"), "{form}");
    let csrf = form.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    let send = async |reason: &str| {
        let fields = [("csrf", csrf), ("reason", reason)];
        let request = server.request(Method::POST, &format!("/differences/{id}/mend")).form(&fields);
        let answer = request.header("accept", "text/html").send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    assert_eq!(send("").await.0, 400);
    let (_, done) = send("paid twice by mistake").await;
    assert!(done.contains("Begun. A run does it") || done.is_empty(), "{done}");
    let (status, refused) = send("again").await;
    assert!(status == 409 && refused.contains("is mending the difference"), "{status} {refused}");
    let difference = server.get(&format!("/v1/differences/{id}")).await.json;
    assert_eq!(difference["reason"], "paid twice by mistake");
}

#[tokio::test]
async fn only_operators_compare_and_mend() {
    let server = Server::idle().await;
    know_books(&server).await;
    let started = server.post("/v1/reconciliation", json!(null)).await;
    assert_eq!(started.status, 202, "{}", started.json);
    let run = started.json["run_id"].as_str().expect("a run");
    assert_eq!(server.get(&format!("/v1/runs/{run}")).await.json["workflow"], "reconcile");
    let not_begun = server.get(&format!("/v1/reconciliation?run_id={run}")).await;
    assert_eq!((not_begun.status, &not_begun.json["comparison"]), (200, &json!(null)));
    let rows = backstitch::shop::description().access;
    for path in ["/v1/reconciliation", "/v1/differences/{id}/mend"] {
        let row = backstitch::http::auth::roles::row(rows, "POST", path).expect("a row");
        assert_eq!(row.2, backstitch::http::auth::roles::Access::Least(backstitch::engine::Role::Operator));
    }
}
