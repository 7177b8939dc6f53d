//! Whatever a client gets wrong is answered with a problem that has a stable code, and changes nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, MAX_PAYLOAD, Server};

const NOBODY: &str = "01998877-6655-7443-8221-100000000000";

fn start(workflow: &str, input: Value) -> Value {
    json!({"workflow": workflow, "input": input})
}

#[tokio::test]
async fn a_wrong_start_starts_nothing() {
    let server = Server::idle().await;
    let long = "x".repeat(MAX_PAYLOAD);
    let cases = [
        (start("nobody_knows_it", json!(1)), 404, "unknown_workflow"),
        (start("echo", json!({"text": 5})), 400, "invalid_input"),
        (start("echo", json!({"text": long})), 413, "payload_too_large"),
        (start("nobody_knows_it", json!(long)), 413, "payload_too_large"),
        (json!({"workflow": "echo"}), 400, "invalid_request"),
        (json!({"workflow": "echo", "input": {"text": "a"}, "inptu": 1}), 400, "invalid_request"),
        (json!({"workflow": "echo", "input": {"text": "a"}, "key": ""}), 400, "invalid_request"),
        (json!({"workflow": "echo", "input": {"text": "a"}, "tags": {"a": "\u{0}"}}), 400, "invalid_request"),
        (json!({"workflow": "echo", "input": {"text": "a"}, "start_at": "soon"}), 400, "invalid_request"),
        (json!([]), 400, "invalid_request"),
    ];
    for (body, status, code) in cases {
        server.post("/v1/runs", body).await.is_problem(status, code);
    }
    assert_eq!(server.rows().await, 0);
}

#[tokio::test]
async fn malformed_and_undeclared_json_have_different_codes() {
    let server = Server::idle().await;
    let post = |kind: &'static str, body: &'static str| {
        Answer::to(server.request(Method::POST, "/v1/runs").header("content-type", kind).body(body))
    };
    post("application/json", "{\"workflow\":").await.is_problem(400, "malformed_json");
    post("application/json", "").await.is_problem(400, "malformed_json");
    post("text/plain", "{}").await.is_problem(415, "unsupported_media_type");
    Answer::to(server.request(Method::POST, "/v1/runs").body("{}")).await.is_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_compressed_body_is_not_taken_for_json() {
    let server = Server::idle().await;
    let post = |coding: &'static str| {
        let request = server.request(Method::POST, "/v1/runs").header("content-type", "application/json");
        let body = r#"{"workflow":"echo","input":{"text":"a"}}"#;
        Answer::to(request.header("content-encoding", coding).body(body))
    };
    for coding in ["gzip", "br", "identity, gzip"] {
        post(coding).await.is_problem(415, "unsupported_media_type");
    }
    assert_eq!(post("identity").await.status, 201);
}

#[tokio::test]
async fn a_wrong_value_is_told_with_its_field() {
    let server = Server::idle().await;
    let cases = [
        (
            "/v1/runs",
            json!({"workflow": "echo", "input": {"text": "a"}, "start_at": "+12000-01-01T00:00:00Z"}),
            "start_at",
        ),
        ("/v1/runs", json!({"workflow": "echo", "input": {"text": "a"}, "tags": {"a": 1}}), "tags.a"),
        ("/v1/runs", json!({"workflow": "echo", "input": {"text": "a\u{0}"}}), "input"),
        (
            "/v1/orders",
            json!({"customer_id": "c", "items": [{"sku": "\u{0}", "quantity": 1}], "payment": {"token": "t"}}),
            "items[0].sku",
        ),
    ];
    for (path, body, field) in cases {
        let answer = server.post(path, body).await;
        answer.is_problem(400, "invalid_request");
        assert_eq!(answer.json["field"], field, "{}", answer.json);
    }
}

#[tokio::test]
async fn the_size_of_a_body_is_checked_first() {
    let server = Server::idle().await;
    let rubbish = vec![b'{'; MAX_PAYLOAD + 1];
    for path in ["/v1/runs", "/v1/runs/no-id/signals/x", "/v1/orders", "/v1/webhooks/stripe"] {
        let request = server.request(Method::POST, path).body(rubbish.clone());
        Answer::to(request).await.is_problem(413, "payload_too_large");
    }
}

#[tokio::test]
async fn each_kind_of_404_has_its_code() {
    let server = Server::idle().await;
    for id in [NOBODY, "no-id"] {
        server.get(&format!("/v1/runs/{id}")).await.is_problem(404, "unknown_run");
        server.get(&format!("/v1/runs/{id}/result")).await.is_problem(404, "unknown_run");
        server.get(&format!("/v1/runs/{id}/events")).await.is_problem(404, "unknown_run");
        server.post(&format!("/v1/runs/{id}/signals/go"), json!(1)).await.is_problem(404, "unknown_run");
        server.post(&format!("/v1/runs/{id}/retry"), json!({})).await.is_problem(404, "unknown_run");
        server.get(&format!("/v1/orders/{id}")).await.is_problem(404, "unknown_order");
        server.post(&format!("/v1/orders/{id}/cancel"), json!({})).await.is_problem(404, "unknown_order");
    }
    server.get("/v1/items/nothing").await.is_problem(404, "unknown_item");
    server.get("/v2/runs").await.is_problem(404, "unknown_route");
    let wrong_method = Answer::to(server.request(Method::DELETE, "/v1/runs")).await;
    wrong_method.is_problem(405, "method_not_allowed");
    assert!(wrong_method.header("allow").contains("POST"));
}

#[tokio::test]
async fn list_parameters_out_of_range_are_refused() {
    let server = Server::idle().await;
    let cases = [
        ("limit=0", "invalid_request"),
        ("limit=201", "invalid_request"),
        ("limit=many", "invalid_request"),
        ("status=dead", "invalid_request"),
        ("since=yesterday", "invalid_request"),
        ("wrokflow=echo", "invalid_request"),
        ("cursor=abc", "bad_cursor"),
    ];
    for (query, code) in cases {
        server.get(&format!("/v1/runs?{query}")).await.is_problem(400, code);
    }
    server.get("/v1/orders?customer_id=c&cursor=abc").await.is_problem(400, "bad_cursor");
    server.get(&format!("/v1/runs/{NOBODY}/result?wait=soon")).await.is_problem(400, "invalid_request");
}

#[tokio::test]
async fn a_dangerous_action_without_a_reason_is_refused() {
    let server = Server::working().await;
    let id = server.started("patient", json!(null)).await;
    server.until(&id, "waiting").await;
    let before = server.rows().await;
    for action in ["cancel", "compensate"] {
        for body in [json!({}), json!({"reason": "  "})] {
            server.post(&format!("/v1/runs/{id}/{action}"), body).await.is_problem(400, "reason_required");
        }
    }
    server.post(&format!("/v1/runs/{id}/retry"), json!({})).await.is_problem(409, "wrong_state");
    assert_eq!(server.rows().await, before);
    assert_eq!(server.get(&format!("/v1/runs/{id}")).await.json["status"], "waiting");
}

#[tokio::test]
async fn pivots_refuse_cancels_and_ends_refuse_signals() {
    let server = Server::working().await;
    let id = server.started("patient", json!(null)).await;
    assert_eq!(server.post(&format!("/v1/runs/{id}/signals/go"), json!(true)).await.status, 202);
    // It waits for two things in turn: past the pivot is when it waits for the second.
    while server.get(&format!("/v1/runs/{id}")).await.json["waiting_on"]["name"] != "end" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    server.post(&format!("/v1/runs/{id}/cancel"), json!({"reason": "r"})).await.is_problem(409, "past_pivot");
    assert_eq!(server.post(&format!("/v1/runs/{id}/signals/end"), json!(1)).await.status, 202);
    server.until(&id, "completed").await;
    server.post(&format!("/v1/runs/{id}/signals/end"), json!(1)).await.is_problem(409, "run_ended");
}

#[tokio::test]
async fn bad_shapes_methods_and_nuls_are_refused() {
    let server = Server::idle().await;
    let run = format!("/v1/runs/{NOBODY}/cancel");
    server.post(&run, json!([null, null])).await.is_problem(400, "invalid_request");
    server.post("/v1/runs/batch", json!({})).await.is_problem(400, "invalid_request");
    Answer::to(server.request(Method::PUT, "/v1/runs")).await.is_problem(405, "method_not_allowed");
    for address in ["/v1/runs?workflow=%00", "/v1/items/%00", "/v1/orders?customer_id=a%00b"] {
        server.get(address).await.is_problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_nul_in_any_reason_is_refused() {
    let server = Server::idle().await;
    let id = server.started("patient", json!(null)).await;
    let run = |verb: &str| (Method::POST, format!("/v1/runs/{id}/{verb}"));
    let places = [
        run("retry"),
        run("cancel"),
        run("compensate"),
        run("pause"),
        run("resume"),
        run("abandon"),
        run("acknowledge"),
        run("fork"),
        run("steps/0/skip"),
        run("steps/0/resolve"),
        (Method::POST, format!("/v1/orders/{id}/cancel")),
        (Method::PUT, "/v1/holds/workflow/patient".to_owned()),
        (Method::DELETE, "/v1/holds/workflow/patient".to_owned()),
        (Method::PUT, "/v1/retention/patient".to_owned()),
        (Method::POST, format!("/v1/operations/{id}/pause")),
        (Method::POST, format!("/v1/operations/{id}/resume")),
        (Method::POST, format!("/v1/operations/{id}/cancel")),
        (Method::POST, "/v1/schedules/nightly/pause".to_owned()),
        (Method::POST, "/v1/schedules/nightly/resume".to_owned()),
        (Method::POST, "/v1/schedules/nightly/run".to_owned()),
    ];
    for (method, path) in places {
        let request = server.request(method, &path).json(&json!({"reason": "a\u{0}b"}));
        Answer::to(request).await.is_problem(400, "invalid_request");
    }
    let schedule = json!({"workflow": "patient", "cron": "0 3 * * *", "reason": "a\u{0}b"});
    let bulk = json!({"verb": "cancel", "filter": {"workflow": "patient"}, "reason": "a\u{0}b"});
    for (method, path, body) in [
        (Method::PUT, "/v1/schedules/nightly", schedule),
        (Method::DELETE, "/v1/schedules/nightly?reason=a%00b", json!({})),
        (Method::POST, "/v1/operations", bulk),
    ] {
        Answer::to(server.request(method, path).json(&body)).await.is_problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_browser_gets_a_page_where_nothing_is() {
    let server = Server::idle().await;
    let ask = async |path: &str, accept: &str| {
        let answer = server.request(Method::GET, path).header("accept", accept).send().await.expect("an answer");
        let headers = answer.headers().clone();
        let header =
            |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        (answer.status().as_u16(), header("content-type"), header("content-security-policy"), answer.text().await)
    };
    let (status, kind, policy, text) = ask("/nothing/at/all", "text/html,application/xhtml+xml,*/*;q=0.8").await;
    let text = text.expect("a page");
    assert_eq!((status, kind.as_str()), (404, "text/html; charset=utf-8"));
    assert!(
        text.contains("There is nothing at this address") && policy.contains("style-src 'self'"),
        "{policy}: {text}"
    );
    for (path, accept) in [("/nothing/at/all", "*/*"), ("/v1/nothing", "text/html"), ("/v1/runs/x", "text/html")] {
        let (status, kind, ..) = ask(path, accept).await;
        assert_eq!((status, kind.as_str()), (404, "application/problem+json"), "{path} for {accept}");
    }
}
