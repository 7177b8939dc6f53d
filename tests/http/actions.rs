//! Operators' verbs over HTTP: statuses, bodies, plans, and what is put on record. What each verb does is held in tests/engine.

use serde_json::{Value, json};

use crate::server::Server;

async fn audited(server: &Server, outcome: &str) -> Vec<(String, Option<String>)> {
    sqlx::query_as("SELECT action, code FROM backstitch.audit WHERE outcome = $1 ORDER BY id")
        .bind(outcome)
        .fetch_all(server.pool())
        .await
        .expect("the audit can be read")
}

#[tokio::test]
async fn each_verb_answers_with_its_plan() {
    let server = Server::working().await;
    let id = server.started("patient", json!(null)).await;
    server.until(&id, "waiting").await;
    let verb = async |path: &str, body: Value| server.post(&format!("/v1/runs/{id}/{path}"), body).await;
    let dry = verb("pause", json!({"dry_run": true})).await;
    assert_eq!((dry.status, &dry.json["action"], &dry.json["dry_run"]), (200, &json!("pause"), &json!(true)));
    let pause = verb("pause", json!({})).await;
    assert_eq!((pause.status, pause.header("location")), (202, format!("/v1/runs/{id}").as_str()));
    assert!(pause.json["says"].as_array().is_some_and(|says| !says.is_empty()), "{:?}", pause.json);
    assert_eq!(server.get(&format!("/v1/runs/{id}")).await.json["status"], "paused");
    let again = verb("pause", json!({})).await;
    assert_eq!((again.status, &again.json["says"][0]), (202, &json!("it is paused already")));
    let fork = verb("fork", json!({"reason": "r", "from_step": 1})).await;
    assert_eq!((fork.status, &fork.json["kept"]), (201, &json!([0])));
    assert_eq!(verb("resume", json!({})).await.status, 202);
    assert_eq!(verb("acknowledge", json!({})).await.status, 202);
    server.until(&id, "waiting").await;
    let abandon = verb("abandon", json!({"reason": "nobody wants it"})).await;
    assert_eq!((abandon.status, &abandon.json["stays"][0]["activity"]), (202, &json!("hold")));
    let done: Vec<_> = audited(&server, "done").await.into_iter().map(|row| row.0).collect();
    assert_eq!(done, ["pause", "fork", "fork", "resume", "abandon"], "what changed nothing is not in it");
}

#[tokio::test]
async fn a_refused_verb_is_answered_and_audited() {
    let server = Server::working().await;
    let id = server.started("patient", json!(null)).await;
    server.until(&id, "waiting").await;
    let verb = async |path: &str, body: Value| server.post(&format!("/v1/runs/{path}"), body).await;
    verb(&format!("{id}/abandon"), json!({})).await.is_problem(400, "reason_required");
    verb(&format!("{id}/pause"), json!({"wait": 1})).await.is_problem(400, "invalid_request");
    verb(&format!("{id}/retry"), json!({"policy": {"max_attempts": 0}})).await.is_problem(400, "invalid_request");
    verb(&format!("{id}/steps/9/skip"), json!({"reason": "r"})).await.is_problem(404, "unknown_step");
    verb(&format!("{id}/steps/x/skip"), json!({"reason": "r"})).await.is_problem(404, "unknown_step");
    verb(&format!("{id}/steps/0/resolve"), json!({"reason": "r"})).await.is_problem(400, "invalid_request");
    verb(&format!("{id}/steps/0/resolve"), json!({"reason": "r", "outcome": "ok"}))
        .await
        .is_problem(409, "wrong_state");
    verb(&format!("{id}/fork"), json!({"reason": "r", "from_step": 0})).await.is_problem(409, "wrong_state");
    verb("nonsense/cancel", json!({"reason": "r"})).await.is_problem(404, "unknown_run");
    let refused: Vec<_> = audited(&server, "refused").await.into_iter().filter_map(|row| row.1).collect();
    assert_eq!(refused.len(), 9, "{refused:?}");
    let named: String = sqlx::query_scalar("SELECT subject FROM backstitch.audit WHERE subject IS NOT NULL")
        .fetch_one(server.pool())
        .await
        .expect("one is about no run");
    assert_eq!(named, "nonsense");
    assert!(audited(&server, "done").await.is_empty());
    assert_eq!(server.get(&format!("/v1/runs/{id}")).await.json["status"], "waiting");
}

#[tokio::test]
async fn a_refused_dry_run_is_not_audited() {
    let server = Server::working().await;
    let id = server.started("patient", json!(null)).await;
    server.until(&id, "waiting").await;
    let dry = async |path: &str, mut body: Value| {
        body["dry_run"] = json!(true);
        server.post(&format!("/v1/runs/{path}"), body).await
    };
    dry("nonsense/pause", json!({})).await.is_problem(404, "unknown_run");
    dry(&format!("{id}/pause"), json!({"reason": "a\u{0}b"})).await.is_problem(400, "invalid_request");
    dry(&format!("{id}/fork"), json!({"reason": "r"})).await.is_problem(400, "invalid_request");
    dry(&format!("{id}/steps/x/skip"), json!({"reason": "r"})).await.is_problem(404, "unknown_step");
    dry(&format!("{id}/retry"), json!({})).await.is_problem(409, "wrong_state");
    assert_eq!((audited(&server, "refused").await, audited(&server, "done").await), (vec![], vec![]));
}
