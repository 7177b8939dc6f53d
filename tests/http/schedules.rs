//! Schedules over HTTP: what is set, shown and refused.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server};

fn body() -> Value {
    json!({"cron": "0 9 * * 1", "time_zone": "Europe/Berlin", "workflow": "echo", "input": {"text": "a"}})
}

async fn put(server: &Server, name: &str, body: Value) -> Answer {
    Answer::to(server.request(Method::PUT, &format!("/v1/schedules/{name}")).json(&body)).await
}

#[tokio::test]
async fn a_schedule_is_set_shown_run_and_deleted() {
    let server = Server::idle().await;
    let mut dry = body();
    dry["dry_run"] = true.into();
    let would = put(&server, "report", dry).await;
    assert_eq!((would.status, would.json["next"].as_array().map(Vec::len)), (200, Some(3)), "{}", would.json);
    server.get("/v1/schedules/report").await.is_problem(404, "unknown_schedule");

    let made = put(&server, "report", body()).await;
    assert_eq!((made.status, made.header("location")), (201, "/v1/schedules/report"));
    assert_eq!((&made.json["overlap"], &made.json["catch_up"]), (&json!("skip"), &json!("latest")));
    assert_eq!(put(&server, "report", body()).await.status, 200);

    let run = server.post("/v1/schedules/report/run", json!({"reason": "now, please"})).await;
    assert_eq!(run.status, 202, "{}", run.json);
    let id = run.json["run_id"].as_str().expect("an id");
    assert_eq!(run.header("location"), format!("/v1/runs/{id}"));
    assert_eq!(server.get(&format!("/v1/runs/{id}")).await.json["tags"]["schedule"], "report");

    let paused = server.post("/v1/schedules/report/pause", json!({})).await;
    assert_eq!((paused.status, &paused.json["paused"]), (200, &json!(true)));
    let resumed = Answer::to(server.request(Method::POST, "/v1/schedules/report/resume")).await;
    assert_eq!((resumed.status, &resumed.json["paused"]), (200, &json!(false)));

    let shown = server.get("/v1/schedules/report?limit=1").await.json;
    assert_eq!(
        (&shown["slots"]["items"][0]["outcome"], &shown["slots"]["items"][0]["run_id"]),
        (&json!("started"), &json!(id))
    );
    let all = server.get("/v1/schedules").await.json;
    assert_eq!((all["items"].as_array().map(Vec::len), &all["next_cursor"]), (Some(1), &Value::Null));

    let deleted = Answer::to(server.request(Method::DELETE, "/v1/schedules/report?reason=enough")).await;
    assert_eq!((deleted.status, &deleted.json["name"]), (200, &json!("report")));
    server.get("/v1/schedules/report").await.is_problem(404, "unknown_schedule");
}

#[tokio::test]
async fn a_wrong_schedule_is_not_set() {
    let server = Server::idle().await;
    let with = |field: &str, value: Value| {
        let mut body = body();
        body[field] = value;
        body
    };
    for (body, status, code, says) in [
        (with("cron", json!("whenever")), 400, "invalid_request", "0 9 * * 1"),
        (with("time_zone", json!("Berlin")), 400, "invalid_request", "Europe/Berlin"),
        (with("overlap", json!("sometimes")), 400, "invalid_request", "allow"),
        (with("catch_up", json!("some")), 400, "invalid_request", "latest"),
        (with("crom", json!("x")), 400, "invalid_request", "crom"),
        (with("workflow", json!("nope")), 404, "unknown_workflow", "nope"),
        (with("input", json!(7)), 400, "invalid_input", "echo"),
    ] {
        let answer = put(&server, "report", body).await;
        answer.is_problem(status, code);
        assert!(answer.json["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{}", answer.json);
    }
    put(&server, "a%20name", body()).await.is_problem(400, "invalid_request");
    assert_eq!(server.get("/v1/schedules").await.json["items"], json!([]));
    for (method, path) in [
        (Method::POST, "/v1/schedules/none/pause"),
        (Method::POST, "/v1/schedules/none/resume"),
        (Method::POST, "/v1/schedules/none/run"),
        (Method::DELETE, "/v1/schedules/none"),
    ] {
        Answer::to(server.request(method, path)).await.is_problem(404, "unknown_schedule");
    }
    put(&server, "report", body()).await;
    server.get("/v1/schedules/report?limit=0").await.is_problem(400, "invalid_request");
    server.get("/v1/schedules/report?cursor=yesterday").await.is_problem(400, "bad_cursor");
}
