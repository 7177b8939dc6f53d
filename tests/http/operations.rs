//! Bulk operations over HTTP: a preview, the operation with its counts, its runs by page, and what is refused.

use backstitch::engine::MaintenanceConfig;
use serde_json::json;

use crate::server::Server;

const NOBODY: &str = "01998877-6655-7443-8221-100000000000";

#[tokio::test]
async fn an_operation_is_previewed_created_and_followed() {
    let server = Server::working().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(server.started("patient", json!(null)).await);
    }
    for id in &ids {
        server.until(id, "waiting").await;
    }
    let mut body =
        json!({"action": "cancel", "filter": {"workflow": "patient"}, "reason": "a bad batch", "dry_run": true});
    let before = server.rows().await;
    let preview = server.post("/v1/operations", body.clone()).await;
    assert_eq!((preview.status, &preview.json["total"]), (200, &json!(3)));
    assert_eq!(preview.json["statuses"], json!([{"status": "waiting", "count": 3}]));
    assert_eq!(preview.json["sample"][0]["plan"]["undo"][0]["activity"], "hold");
    assert_eq!(server.rows().await, before);

    body["dry_run"] = json!(false);
    let created = server.post("/v1/operations", body).await;
    let id = created.json["id"].as_str().expect("an id").to_owned();
    assert_eq!((created.status, created.header("location")), (202, format!("/v1/operations/{id}").as_str()));
    assert_eq!((&created.json["status"], &created.json["open"]), (&json!("pending"), &json!(3)));
    let maintenance = server.engine.maintenance(MaintenanceConfig::default());
    tokio::spawn(maintenance.run(server.stop.clone().cancelled_owned()));
    for id in &ids {
        server.until(id, "compensated").await;
    }
    let operation = loop {
        let seen = server.get(&format!("/v1/operations/{id}")).await.json;
        if seen["status"] == "completed" {
            break seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    };
    assert_eq!((&operation["done"], &operation["refused"], &operation["open"]), (&json!(3), &json!(0), &json!(0)));
    let first = server.get(&format!("/v1/operations/{id}/runs?outcome=done&limit=2")).await.json;
    let cursor = first["next_cursor"].as_str().expect("another page");
    let second = server.get(&format!("/v1/operations/{id}/runs?outcome=done&limit=2&cursor={cursor}")).await.json;
    let seen: Vec<&str> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().expect("items"))
        .map(|run| run["run_id"].as_str().expect("an id"))
        .collect();
    assert_eq!(seen, ids);
    assert_eq!(server.get("/v1/operations").await.json["items"][0]["id"], json!(id));
    server.post(&format!("/v1/operations/{id}/resume"), json!({})).await.is_problem(409, "wrong_state");
}

#[tokio::test]
async fn an_operation_is_paused_resumed_and_cancelled() {
    let server = Server::working().await;
    let run = server.started("patient", json!(null)).await;
    server.until(&run, "waiting").await;
    let body = json!({"action": "cancel", "filter": {"status": "waiting"}, "reason": "r", "rate": 1});
    let id = server.post("/v1/operations", body).await.json["id"].as_str().expect("an id").to_owned();
    for (verb, status) in [("pause", "paused"), ("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")] {
        let answer = server.post(&format!("/v1/operations/{id}/{verb}"), json!({"reason": "r"})).await;
        assert_eq!((answer.status, &answer.json["status"]), (200, &json!(status)), "{verb}");
    }
    assert_eq!(server.get(&format!("/v1/runs/{run}")).await.json["status"], "waiting");
}

#[tokio::test]
async fn a_wrong_operation_is_refused() {
    let server = Server::idle().await;
    let cases = [
        (json!({"action": "retry", "filter": {}, "reason": "r"}), "empty_filter"),
        (json!({"action": "retry", "filter": {"limit": 5}, "reason": "r"}), "empty_filter"),
        (json!({"action": "retry", "filter": {"status": "stuck"}}), "reason_required"),
        (json!({"action": "retry", "filter": {"status": "stuck"}, "reason": " ", "dry_run": true}), "reason_required"),
        (json!({"action": "retry", "filter": {"status": "dead"}, "reason": "r"}), "invalid_request"),
        (json!({"action": "retry", "filter": {"sattus": "stuck"}, "reason": "r"}), "invalid_request"),
        (json!({"action": "explode", "filter": {"status": "stuck"}, "reason": "r"}), "invalid_request"),
        (json!({"action": "skip", "filter": {"status": "stuck"}, "reason": "r"}), "invalid_request"),
        (json!({"action": "retry", "filter": {"status": "stuck"}, "reason": "r", "rate": 0}), "invalid_request"),
        (json!({"action": "retry", "reason": "r"}), "invalid_request"),
    ];
    for (body, code) in cases {
        server.post("/v1/operations", body).await.is_problem(400, code);
    }
    for id in [NOBODY, "no-id"] {
        server.get(&format!("/v1/operations/{id}")).await.is_problem(404, "unknown_operation");
        server.get(&format!("/v1/operations/{id}/runs")).await.is_problem(404, "unknown_operation");
        for verb in ["pause", "resume", "cancel"] {
            let path = format!("/v1/operations/{id}/{verb}");
            server.post(&path, json!({})).await.is_problem(404, "unknown_operation");
        }
    }
    server.get("/v1/operations?cursor=abc").await.is_problem(400, "bad_cursor");
    server.get("/v1/operations?limit=0").await.is_problem(400, "invalid_request");
    assert_eq!(server.get("/v1/operations").await.json["items"], json!([]));
}
