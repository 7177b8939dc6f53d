//! Retention and export over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server};

async fn put(server: &Server, workflow: &str, body: Value) -> Answer {
    Answer::to(server.request(Method::PUT, &format!("/v1/retention/{workflow}")).json(&body)).await
}

#[tokio::test]
async fn retention_is_set_and_planned() {
    let server = Server::working().await;
    let id = server.started("echo", json!({"text": "a"})).await;
    server.until(&id, "completed").await;
    let set = put(&server, "echo", json!({"keep": "90d", "reason": "the auditors want it"})).await;
    assert_eq!(set.status, 200, "{}", set.json);
    assert_eq!(set.json["items"][1]["keep_s"], 90 * 24 * 3600);
    put(&server, "echo", json!({"keep": "12h", "dry_run": true})).await;
    let listed = server.get("/v1/retention").await.json;
    assert_eq!(
        (listed["items"].as_array().map(Vec::len), &listed["items"][1]["keep_s"]),
        (Some(2), &json!(90 * 24 * 3600))
    );
    let plan = server.get("/v1/retention/plan").await.json;
    let (go, stay) = plan["partitions"].as_array().expect("partitions").iter().fold((0, 0), |(go, stay), partition| {
        (go + partition["go"].as_i64().unwrap_or(0), stay + partition["stay"].as_i64().unwrap_or(0))
    });
    assert_eq!((go, stay), (0, 1));
    assert_eq!(put(&server, "echo", json!({"keep": null})).await.json["items"].as_array().map(Vec::len), Some(1));

    put(&server, "echo", json!({"keep": "soon"})).await.is_problem(400, "invalid_request");
    put(&server, "echo", json!({"keep": "1s"})).await.is_problem(400, "invalid_request");
    put(&server, "nope", json!({"keep": "9d"})).await.is_problem(404, "unknown_workflow");
}

#[tokio::test]
async fn an_export_has_the_whole_run() {
    let server = Server::working().await;
    let id = server.started("patient", json!(null)).await;
    server.until(&id, "waiting").await;
    server.post(&format!("/v1/runs/{id}/cancel"), json!({"reason": "changed my mind"})).await;
    server.until(&id, "compensated").await;
    let export = server.get(&format!("/v1/runs/{id}/export")).await;
    assert_eq!((export.status, &export.json["format"]), (200, &json!("backstitch.run/1")));
    assert_eq!(export.json["run"]["id"], json!(id));
    assert!(
        export.json["run"]["steps"]
            .as_array()
            .is_some_and(|steps| steps.iter().any(|step| step["direction"] == "undo"))
    );
    assert!(export.json["compensation"]["planned_at"].is_string(), "{}", export.json);
    assert_eq!(export.json["audit"][0]["reason"], "changed my mind");
    assert_eq!((&export.json["slot"], &export.json["children"]), (&Value::Null, &json!([])));

    let signalled = server.started("patient", json!(null)).await;
    server.post(&format!("/v1/runs/{signalled}/signals/go"), json!(true)).await;
    let export = server.get(&format!("/v1/runs/{signalled}/export")).await.json;
    assert_eq!((&export["signals"][0]["name"], &export["signals"][0]["payload"]), (&json!("go"), &json!(true)));

    let schedule = json!({"cron": "0 9 * * 1", "workflow": "echo", "input": {"text": "a"}});
    Answer::to(server.request(Method::PUT, "/v1/schedules/report").json(&schedule)).await;
    let run = server.post("/v1/schedules/report/run", json!({})).await.json;
    let export = server.get(&format!("/v1/runs/{}/export", run["run_id"].as_str().expect("an id"))).await.json;
    assert_eq!((&export["slot"]["schedule"], &export["slot"]["slot"]), (&json!("report"), &run["slot"]));
    server.get("/v1/runs/0199aaaa-0000-7000-8000-000000000000/export").await.is_problem(404, "unknown_run");
}
