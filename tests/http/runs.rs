//! Runs over HTTP: keys, batches, pages, waits, actions, and the headers around them.

use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Server};

#[tokio::test]
async fn a_key_starts_one_run() {
    let server = Server::idle().await;
    let body = json!({"workflow": "echo", "input": {"text": "a"}});
    let with_key = |body: &serde_json::Value| {
        Answer::to(server.request(Method::POST, "/v1/runs").header("idempotency-key", "k1").json(body))
    };
    let first = with_key(&body).await;
    assert_eq!((first.status, first.json["key"].as_str()), (201, Some("k1")));
    assert_eq!(first.header("location"), format!("/v1/runs/{}", first.json["id"].as_str().unwrap_or_default()));

    let mut same = body.clone();
    same["key"] = "k1".into();
    for again in [with_key(&body).await, server.post("/v1/runs", same.clone()).await, with_key(&same).await] {
        assert_eq!((again.status, &again.json["id"]), (200, &first.json["id"]));
    }
    let other = with_key(&json!({"workflow": "echo", "input": {"text": "b"}})).await;
    other.is_problem(409, "key_conflict");
    assert_eq!(other.json["run_id"], first.json["id"]);

    same["key"] = "k2".into();
    with_key(&same).await.is_problem(400, "invalid_request");
    assert_eq!(server.rows().await, 1);
}

#[tokio::test]
async fn each_item_of_a_batch_stands_alone() {
    let server = Server::idle().await;
    let echo = json!({"workflow": "echo", "input": {"text": "a"}, "key": "b1"});
    let answer = server.post("/v1/runs/batch", json!([echo, {"workflow": "nope", "input": 1}, 7, echo])).await;
    assert_eq!(answer.status, 200);
    let items = &answer.json["items"];
    assert_eq!(items[0]["status"], 201);
    assert_eq!(items[1]["error"]["code"], "unknown_workflow");
    assert_eq!(items[2]["error"]["code"], "invalid_request");
    assert_eq!(items[3]["id"], items[0]["id"]);
    assert_eq!(server.rows().await, 1);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let server = Server::idle().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(server.started("echo", json!({"text": n.to_string()})).await);
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/runs?limit=2&workflow=echo".to_owned());
    loop {
        let page = server.get(&path).await.json;
        let items = page["items"].as_array().expect("items");
        seen.extend(items.iter().map(|run| run["id"].as_str().expect("an id").to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/runs?limit=2&workflow=echo&cursor={cursor}");
    }
    ids.reverse();
    assert_eq!(seen, ids, "newest first");
}

#[tokio::test]
async fn a_result_is_202_until_the_end() {
    let server = Server::working().await;
    let id = server.started("patient", json!(null)).await;
    let early = server.get(&format!("/v1/runs/{id}/result?wait=50ms")).await;
    assert_eq!((early.status, &early.json["ended"]), (202, &json!(false)));
    let echo = server.started("echo", json!({"text": "hello"})).await;
    let late = server.get(&format!("/v1/runs/{echo}/result?wait=20s")).await;
    assert_eq!((late.status, &late.json["output"]["text"]), (200, &json!("hello")));
}

#[tokio::test]
async fn a_dry_run_changes_nothing_a_cancel_undoes() {
    let server = Server::working().await;
    let id = server.started("patient", json!(null)).await;
    server.until(&id, "waiting").await;
    let before = server.rows().await;
    let dry = server.post(&format!("/v1/runs/{id}/cancel"), json!({"reason": "r", "dry_run": true})).await;
    assert_eq!((dry.status, &dry.json["undo"][0]["activity"]), (200, &json!("hold")));
    assert_eq!(server.rows().await, before);

    let cancel = server.request(Method::POST, &format!("/v1/runs/{id}/cancel")).header("x-actor", "ann");
    assert_eq!(Answer::to(cancel.json(&json!({"reason": "changed my mind"}))).await.status, 202);
    let run = server.until(&id, "compensated").await;
    let undone: Vec<_> = run["steps"].as_array().expect("steps").iter().filter(|s| s["direction"] == "undo").collect();
    assert_eq!((undone.len(), &undone[0]["outcome"]), (1, &json!("ok")));
    let audit: (String, String) = sqlx::query_as("SELECT actor, reason FROM backstitch.audit")
        .fetch_one(server.pool())
        .await
        .expect("one audit row");
    assert_eq!(audit, ("ann".to_owned(), "changed my mind".to_owned()));
}

#[tokio::test]
async fn a_signal_is_taken_once_per_key() {
    let server = Server::working().await;
    let id = server.started("patient", json!(null)).await;
    for _ in 0..2 {
        let path = format!("/v1/runs/{id}/signals/go");
        let signal = server.request(Method::POST, &path).header("idempotency-key", "s1").json(&json!(false));
        let status = Answer::to(signal).await.status;
        assert_eq!(status, 202);
    }
    let run = server.until(&id, "compensated").await;
    assert_eq!(run["failure"]["code"], "told_not_to");
}

#[tokio::test]
async fn a_request_id_goes_in_and_out() {
    let server = Server::idle().await;
    let answer = Answer::to(server.request(Method::GET, "/v1/runs").header("x-request-id", "abc-1")).await;
    assert_eq!(answer.header("x-request-id"), "abc-1");
    let answer = Answer::to(server.request(Method::GET, "/nowhere").header("x-request-id", "abc-2")).await;
    assert_eq!(answer.json["request_id"], "abc-2");
    assert_eq!(server.get("/healthz").await.header("x-request-id").len(), 36);
}

#[tokio::test]
async fn a_started_run_is_shown_as_it_is() {
    let server = Server::idle().await;
    let body = json!({"workflow": "echo", "input": {"text": "a"}, "key": "k", "tags": {"a": "b"}});
    let started = server.post("/v1/runs", body.clone()).await;
    assert_eq!(started.status, 201, "{}", started.json);
    let id = started.json["id"].as_str().expect("an id");
    assert_eq!(started.json, server.get(&format!("/v1/runs/{id}")).await.json);
    assert_eq!(server.post("/v1/runs", body).await.json, started.json, "the key was known");
}
