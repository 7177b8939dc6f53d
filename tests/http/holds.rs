//! Holds over HTTP: set, listed, seen in a run, released; and what is refused.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server};

async fn put(server: &Server, path: &str, body: Value) -> Answer {
    Answer::to(server.request(Method::PUT, path).json(&body)).await
}

async fn delete(server: &Server, path: &str) -> Answer {
    Answer::to(server.request(Method::DELETE, path)).await
}

#[tokio::test]
async fn a_hold_is_listed_until_its_release() {
    let server = Server::working().await;
    let set = put(&server, "/v1/holds/workflow/patient", json!({"reason": "a bad deploy"})).await;
    assert_eq!((set.status, &set.json["kind"], &set.json["name"]), (200, &json!("workflow"), &json!("patient")));
    let again = put(&server, "/v1/holds/workflow/patient", json!({"reason": "another"})).await;
    assert_eq!((again.status, &again.json), (200, &set.json));
    assert_eq!(server.get("/v1/holds").await.json, json!({"items": [set.json], "next_cursor": null}));
    let id = server.started("patient", json!(null)).await;
    let run = server.get(&format!("/v1/runs/{id}")).await.json;
    assert_eq!((&run["waiting_on"]["kind"], &run["waiting_on"]["name"]), (&json!("hold"), &json!("patient")));
    assert_eq!(run["waiting_on"]["since"], set.json["since"]);
    let released = delete(&server, "/v1/holds/workflow/patient").await;
    assert_eq!((released.status, &released.json), (200, &set.json));
    server.until(&id, "waiting").await;
    delete(&server, "/v1/holds/workflow/patient").await.is_problem(404, "unknown_hold");
}

#[tokio::test]
async fn a_hold_of_an_unheard_activity_says_so() {
    let server = Server::idle().await;
    let held = put(&server, "/v1/holds/activity/hodl", json!({"reason": "r"})).await;
    assert!(held.json["note"].as_str().is_some_and(|note| note.contains("hodl")), "{}", held.json);
    let known = put(&server, "/v1/holds/activity/hold", json!({"reason": "r"})).await;
    assert_eq!((known.status, &known.json["note"]), (200, &Value::Null));
}

#[tokio::test]
async fn a_hold_of_something_unknown_is_refused() {
    let server = Server::idle().await;
    let why = json!({"reason": "r"});
    put(&server, "/v1/holds/run/x", why.clone()).await.is_problem(400, "invalid_request");
    put(&server, "/v1/holds/workflow/nobody", why.clone()).await.is_problem(404, "unknown_workflow");
    put(&server, "/v1/holds/queue/@activity%2Fx", why.clone()).await.is_problem(400, "invalid_request");
    put(&server, &format!("/v1/holds/queue/{}", "x".repeat(129)), why.clone()).await.is_problem(400, "invalid_request");
    put(&server, "/v1/holds/queue/default", json!({"reason": " "})).await.is_problem(400, "reason_required");
    put(&server, "/v1/holds/queue/default", json!({})).await.is_problem(400, "reason_required");
    put(&server, "/v1/holds/queue/default", json!({"reasn": "r"})).await.is_problem(400, "invalid_request");
    delete(&server, "/v1/holds/queue/default").await.is_problem(404, "unknown_hold");
    assert_eq!(server.get("/v1/holds").await.json["items"], json!([]));
}
