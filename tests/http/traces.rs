//! `traceparent`: a caller that sends one finds its trace again in the run that it started.

use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Server};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test]
async fn a_run_belongs_to_its_requests_trace() {
    let server = Server::working().await;
    let start = |traceparent: String| {
        let body = json!({"workflow": "echo", "input": {"text": "a"}});
        Answer::to(server.request(Method::POST, "/v1/runs").header("traceparent", traceparent).json(&body))
    };
    let traced = start(format!("00-{TRACE}-b7ad6b7169203331-01")).await;
    assert_eq!((traced.status, traced.json["trace_id"].as_str()), (201, Some(TRACE)), "{}", traced.json);
    let id = traced.json["id"].as_str().expect("an id");
    assert_eq!(server.get(&format!("/v1/runs/{id}")).await.json["trace_id"], TRACE);

    // What is no trace context is treated as if it had not come.
    let odd = start("00-nonsense".to_owned()).await;
    let id = odd.json["id"].as_str().expect("an id").replace('-', "");
    assert_eq!((odd.status, odd.json["trace_id"].as_str()), (201, Some(id.as_str())));
}

#[tokio::test]
async fn a_batch_belongs_to_its_requests_trace() {
    let server = Server::working().await;
    let item = json!({"workflow": "echo", "input": {"text": "a"}});
    let request = server.request(Method::POST, "/v1/runs/batch").json(&json!([item, item]));
    let answer = Answer::to(request.header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-00"))).await;
    for item in answer.json["items"].as_array().expect("items") {
        let id = item["id"].as_str().expect("an id");
        assert_eq!(server.get(&format!("/v1/runs/{id}")).await.json["trace_id"], TRACE);
    }
}
