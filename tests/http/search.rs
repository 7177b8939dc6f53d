//! What needs attention, why, the audit and the fleet over HTTP; and what is refused of each.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server};

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().expect("items").iter().filter_map(|item| item["id"].as_str()).collect()
}

/// A run that waits, one that was cancelled, and one that needs attention.
async fn a_few_runs(server: &Server) -> [String; 3] {
    let waits = server.started("patient", json!(null)).await;
    server.until(&waits, "waiting").await;
    let cancelled = server.started("patient", json!(null)).await;
    server.until(&cancelled, "waiting").await;
    let cancel = server.request(Method::POST, &format!("/v1/runs/{cancelled}/cancel")).header("x-actor", "ann");
    assert_eq!(Answer::to(cancel.json(&json!({"reason": "changed my mind"}))).await.status, 202);
    server.until(&cancelled, "compensated").await;
    let noted = server.started("echo", json!({"text": "a"})).await;
    server.until(&noted, "completed").await;
    sqlx::query(
        "INSERT INTO backstitch.attention (run_id, seq, code, message, since, kind, fingerprint, workflow_id, step_name)
         SELECT id, 0, 'declined', 'the mail was refused', backstitch.now(), 'best_effort', 255, workflow_id, 'mail'
         FROM backstitch.run WHERE id = $1::text::uuid",
    )
    .bind(&noted)
    .execute(server.pool())
    .await
    .expect("an entry");
    [waits, cancelled, noted]
}

#[tokio::test]
async fn attention_leads_to_its_runs() {
    let server = Server::working().await;
    let [_, _, noted] = a_few_runs(&server).await;
    let groups = server.get("/v1/attention?kind=best_effort&workflow=echo").await.json;
    let group = &groups["items"][0];
    assert_eq!((&group["count"], &group["example"]), (&json!(1), &json!(noted)));
    assert_eq!(
        (&group["step"], &group["code"], &group["workflow"]),
        (&json!("mail"), &json!("declined"), &json!("echo"))
    );
    assert_eq!(
        (&group["fingerprint"], &group["message"]),
        (&json!("00000000000000ff"), &json!("the mail was refused"))
    );
    for filter in ["fingerprint=00000000000000ff", "attention=true", "step=mail", "error=declined&version=1"] {
        let found = server.get(&format!("/v1/runs?{filter}")).await.json;
        assert_eq!(ids(&found), [&noted], "{filter}");
    }
    let run = server.get(&format!("/v1/runs/{noted}")).await.json;
    assert_eq!(run["attention"][0]["kind"], "best_effort");
    assert_eq!(server.get("/v1/attention?workflow=patient").await.json["items"], json!([]));
}

#[tokio::test]
async fn why_says_what_a_run_waits_for() {
    let server = Server::working().await;
    let [waits, cancelled, noted] = a_few_runs(&server).await;
    let why = server.get(&format!("/v1/runs/{waits}/why")).await.json;
    assert_eq!(
        (&why["status"], &why["who"], &why["waiting_on"]["name"]),
        (&json!("waiting"), &json!("caller"), &json!("go"))
    );
    assert!(why["sentences"].to_string().contains("the signal go"), "{why}");
    assert!(why["actions"].as_array().expect("verbs").contains(&json!("cancel")), "{why}");
    let why = server.get(&format!("/v1/runs/{cancelled}/why")).await.json;
    assert_eq!((&why["status"], &why["who"], &why["next"]), (&json!("compensated"), &json!("nobody"), &Value::Null));
    let why = server.get(&format!("/v1/runs/{noted}/why")).await.json;
    assert!(why["sentences"].to_string().contains("the mail was refused"), "{why}");
}

#[tokio::test]
async fn the_audit_has_filters() {
    let server = Server::working().await;
    let [waits, cancelled, _] = a_few_runs(&server).await;
    let all = server.get("/v1/audit").await.json;
    let entry = &all["items"][0];
    assert_eq!(
        (&entry["actor"], &entry["action"], &entry["run_id"]),
        (&json!("ann"), &json!("cancel"), &json!(cancelled))
    );
    assert_eq!((&entry["outcome"], &entry["reason"]), (&json!("done"), &json!("changed my mind")));
    let count = async |query: &str| {
        let page = server.get(&format!("/v1/audit?{query}")).await.json;
        page["items"].as_array().expect("items").len()
    };
    assert_eq!(
        count(&format!("run_id={cancelled}&actor=ann&action=cancel&outcome=done&since=2020-01-01T00:00:00Z")).await,
        1
    );
    for none in ["actor=ben", "action=retry", "since=2999-01-01T00:00:00Z", &format!("run_id={waits}"), "cursor=1"] {
        assert_eq!(count(none).await, 0, "{none}");
    }
}

#[tokio::test]
async fn the_fleet_is_shown() {
    let server = Server::working().await;
    let [..] = a_few_runs(&server).await;
    let workflows = server.get("/v1/workflows").await.json;
    assert_eq!(workflows["items"][0]["name"], "echo");
    assert_eq!(workflows["items"][0]["versions"][0]["workers"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&workflows["activities"][0]["name"], &workflows["activities"][0]["undoable"]),
        (&json!("hold"), &json!(true))
    );
    assert_eq!(workflows["activities"][0]["policy"]["max_attempts"], 8);
    let queues = server.get("/v1/queues").await.json;
    assert_eq!((&queues["items"][0]["name"], &queues["items"][0]["due"]), (&json!("default"), &json!(0)));
    let workers = server.get("/v1/workers").await.json;
    assert_eq!((&workers["items"][0]["alive"], &workers["items"][0]["slots"]), (&json!(true), &json!(20)));
}

#[tokio::test]
async fn an_unknown_filter_names_the_known_ones() {
    let server = Server::idle().await;
    let cases = [
        ("/v1/runs?status=dead", "there are pending, running"),
        ("/v1/runs?fingerprint=12", "16 hexadecimal digits"),
        ("/v1/runs?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "is not before until"),
        ("/v1/runs?until=soon", "until"),
        ("/v1/runs?version=new", "version"),
        ("/v1/runs?tag=", "tag: it is empty"),
        ("/v1/runs?error=a%00", "NUL"),
        ("/v1/attention?kind=odd", "there are stuck"),
        ("/v1/attention?workflow=a%00", "NUL"),
        ("/v1/attention?limit=0", "1 to 200"),
        ("/v1/audit?outcome=perhaps", "there are done, refused"),
        ("/v1/audit?actor=a%00", "NUL"),
        ("/v1/audit?run_id=abc", "run_id"),
        ("/v1/audit?limit=201", "1 to 200"),
    ];
    for (path, says) in cases {
        let answer = server.get(path).await;
        answer.is_problem(400, "invalid_request");
        let detail = answer.json["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(says), "{path}: {detail}");
    }
    for path in ["/v1/runs?cursor=abc", "/v1/attention?cursor=abc", "/v1/attention?cursor=3120", "/v1/audit?cursor=abc"]
    {
        let answer = server.get(path).await;
        if path.ends_with("3120") {
            assert_eq!(answer.status, 200, "a place that nobody stands at is no error");
        } else {
            answer.is_problem(400, "bad_cursor");
        }
    }
    for id in ["01998877-6655-7443-8221-100000000000", "no-id"] {
        server.get(&format!("/v1/runs/{id}/why")).await.is_problem(404, "unknown_run");
    }
}
