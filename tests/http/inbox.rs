//! Events from outside over HTTP: signed, taken once, mapped to starts and signals, parked where that can't be done.

use std::time::Duration;

use backstitch::engine::{Role, StartRun};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use crate::server::{Answer, Inner, Server};

const SOURCES: &str = r#"{"sources": [
    {"name": "crm", "webhook": {"scheme": "timestamped", "secrets": ["old", "s3cret"]}, "rules": [
        {"type": "say", "versions": ["v1"], "then": {"start": {"workflow": "echo"}}},
        {"type": "wait", "then": {"start": {"workflow": "patient", "input": "/nothing", "key": "/subject"}}},
        {"type": "begin", "then": {"start": {"workflow": "patient", "input": "/data/input", "key": "/subject"}}},
        {"type": "go", "then": {"signal": {"name": "go", "run": {"key": {"workflow": "patient", "at": "/subject"}}}}},
        {"type": "tell", "then": {"signal": {"name": "go", "run": {"id": "/data/run"}, "payload": "/data/payload"}}},
        {"type": "inner", "then": {"start": {"workflow": "inner"}}},
        {"type": "later", "then": {"start": {"workflow": "not_yet", "input": ""}}}
    ]},
    {"name": "erp", "webhook": {"scheme": "timestamped", "secrets": ["s3cret"]}, "rules": [
        {"type": "say", "then": {"start": {"workflow": "echo"}}}
    ]},
    {"name": "silent", "topics": ["t"], "rules": []}
]}"#;

/// What a body is signed with at this moment, off by some seconds.
fn signature(body: &str, off_by_s: i64) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs();
    let at = i64::try_from(now).expect("a time") + off_by_s;
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").expect("a key");
    mac.update(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}

async fn send_as(source: &str, server: &Server, body: String) -> Answer {
    let path = format!("/v1/inbox/{source}");
    let signed = server.request(Method::POST, &path).header("stripe-signature", signature(&body, 0));
    Answer::to(signed.body(body)).await
}

async fn send_text(server: &Server, body: String) -> Answer {
    send_as("crm", server, body).await
}

async fn send(server: &Server, event: Value) -> Answer {
    send_text(server, event.to_string()).await
}

async fn receiving() -> (Server, Server) {
    let idle = Server::idle().await;
    let server = Server::receiving(idle.pool(), SOURCES).await;
    (idle, server)
}

async fn count(server: &Server, what: &str) -> i64 {
    let query = format!("SELECT count(*) FROM backstitch.{what}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(server.pool()).await.expect("a count")
}

#[tokio::test]
async fn an_event_starts_one_run_however_often_it_comes() {
    let (idle, server) = receiving().await;
    let event = json!({"id": "e1", "type": "say", "dataschema": "v1", "data": {"text": "hello"}});
    let answers = futures_util::future::join_all((0..8).map(|_| send(&server, event.clone()))).await;
    let first: Vec<&Answer> = answers.iter().filter(|answer| answer.json["duplicate"] == json!(false)).collect();
    assert_eq!(first.len(), 1, "one of them was the first");
    let run = first[0].json["run_id"].as_str().expect("a run");
    for answer in &answers {
        assert_eq!((answer.status, &answer.json["state"]), (200, &json!("started")), "{}", answer.json);
        assert_eq!(answer.json["run_id"], run);
    }
    assert_eq!(count(&idle, "run").await, 1);
    assert_eq!(server.get(&format!("/v1/runs/{run}")).await.json["input"], json!({"text": "hello"}));
    let listed = server.get("/v1/inbox?source=crm").await.json;
    assert_eq!((listed["items"].as_array().map(Vec::len), &listed["items"][0]["event_id"]), (Some(1), &json!("e1")));
}

#[tokio::test]
async fn a_bad_signature_leaves_no_record() {
    let (idle, server) = receiving().await;
    let body = json!({"id": "e1", "type": "say", "dataschema": "v1", "data": {"text": "hello"}}).to_string();
    let to = |path: &str, signature: &str| {
        Answer::to(server.request(Method::POST, path).header("stripe-signature", signature).body(body.clone()))
    };
    to("/v1/inbox/crm", &signature("another", 0)).await.is_problem(400, "signature_mismatch");
    to("/v1/inbox/crm", &signature(&body, -301)).await.is_problem(400, "signature_stale");
    to("/v1/inbox/crm", &signature(&body, 400)).await.is_problem(400, "signature_stale");
    to("/v1/inbox/crm", "v1").await.is_problem(400, "signature_malformed");
    to("/v1/inbox/nobody", &signature(&body, 0)).await.is_problem(404, "unknown_source");
    to("/v1/inbox/silent", &signature(&body, 0)).await.is_problem(404, "unknown_source");
    send_text(&server, "{".to_owned()).await.is_problem(400, "malformed_json");
    for (event, field) in [(json!({"type": "say"}), "id"), (json!({"id": "1"}), "type"), (json!([]), "id")] {
        let answer = send(&server, event).await;
        answer.is_problem(400, "invalid_request");
        assert_eq!(answer.json["field"], field);
    }
    send(&server, json!({"id": "a\0b", "type": "say"})).await.is_problem(400, "invalid_request");
    assert_eq!((count(&idle, "received_event").await, count(&idle, "run").await), (0, 0));
}

#[tokio::test]
async fn events_signal_runs_by_key_and_id() {
    let working = Server::working().await;
    let server = Server::receiving(working.pool(), SOURCES).await;
    let began = send(&server, json!({"id": 1, "type": "begin", "subject": "c1", "data": {"input": null}})).await;
    assert_eq!(began.json["state"], "started", "{}", began.json);
    let run = began.json["run_id"].as_str().expect("a run").to_owned();
    working.until(&run, "waiting").await;
    let sent = send(&server, json!({"id": 2, "type": "go", "subject": "c1", "data": true})).await;
    assert_eq!((&sent.json["state"], &sent.json["run_id"]), (&json!("signalled"), &json!(run)));
    let other = server.started("patient", Value::Null).await;
    working.until(&other, "waiting").await;
    let event = json!({"id": 3, "type": "tell", "data": {"run": other, "payload": false}});
    assert_eq!(send(&server, event.clone()).await.json["state"], "signalled");
    assert_eq!(send(&server, event).await.json["duplicate"], true);
    working.until(&other, "compensated").await;
}

#[tokio::test]
async fn ids_are_their_sources_own() {
    let (idle, server) = receiving().await;
    let event = json!({"id": "e1", "type": "say", "dataschema": "v1", "data": {"text": "hello"}});
    let mut runs = Vec::new();
    for source in ["crm", "erp"] {
        let answer = send_as(source, &server, event.to_string()).await;
        assert_eq!((&answer.json["state"], &answer.json["duplicate"]), (&json!("started"), &json!(false)), "{source}");
        runs.push(answer.json["run_id"].clone());
    }
    for (source, run) in ["crm", "erp"].into_iter().zip(&runs) {
        let again = send_as(source, &server, event.to_string()).await;
        assert_eq!((&again.json["run_id"], &again.json["duplicate"]), (run, &json!(true)), "{source}");
    }
    assert_eq!(count(&idle, "run").await, 2);
    // So are those of signals.
    let began = send(&server, json!({"id": "b", "type": "begin", "subject": "c1", "data": {"input": null}})).await;
    for id in ["s1", "s2", "s1"] {
        let event = json!({"id": id, "type": "tell", "data": {"run": began.json["run_id"], "payload": true}});
        assert_eq!(send(&server, event).await.json["state"], "signalled");
    }
    assert_eq!(count(&idle, "signal").await, 2);
}

#[tokio::test]
async fn what_cant_be_done_is_parked_with_its_body() {
    let (idle, server) = receiving().await;
    let unknown = Uuid::nil().to_string();
    for (id, event, code) in [
        ("1", json!({"type": "say", "dataschema": "v2", "data": {"text": "x"}}), "unknown_version"),
        ("2", json!({"type": "say", "dataschema": "v1", "data": {"words": 1}}), "invalid_input"),
        ("3", json!({"type": "wait", "data": 1}), "unmappable"),
        ("4", json!({"type": "go", "subject": "nobody"}), "unknown_run"),
        ("5", json!({"type": "tell", "data": {"run": unknown}}), "unknown_run"),
        ("6", json!({"type": "tell", "data": {"run": "x"}}), "unmappable"),
        ("7", json!({"type": "later"}), "unknown_workflow"),
    ] {
        let mut event = event;
        event["id"] = json!(id);
        let answer = send(&server, event.clone()).await;
        assert_eq!((answer.status, &answer.json["state"]), (200, &json!("parked")), "{event}: {}", answer.json);
        let listed = server.get("/v1/inbox?state=parked&limit=1").await.json["items"][0].clone();
        assert_eq!((&listed["code"], &listed["body"]), (&json!(code), &Value::Null), "{event}: {listed}");
        let path = format!("/v1/inbox/events/{}", listed["id"].as_str().expect("an id"));
        assert_eq!(server.get(&path).await.json["body"], event);
    }
    let ignored = send(&server, json!({"id": "8", "type": "unheard"})).await;
    assert_eq!(ignored.json["state"], "ignored");
    assert_eq!(count(&idle, "run").await, 0);
    let metrics = server.request(Method::GET, "/metrics").send().await.expect("an answer");
    let metrics = metrics.text().await.expect("a text");
    assert!(metrics.contains("backstitch_received_events_parked 7"), "{metrics}");
}

#[tokio::test]
async fn no_event_starts_or_feeds_an_internal_workflow() {
    let (idle, server) = receiving().await;
    let inner = StartRun::new::<Inner>(&()).expect("JSON");
    let run = idle.engine.start(inner).await.expect("its service starts it").run;
    let before = idle.rows().await;
    for event in [
        json!({"id": "1", "type": "inner", "data": null}),
        json!({"id": "2", "type": "tell", "data": {"run": run, "payload": true}}),
    ] {
        send(&server, event).await.is_problem(403, "internal_workflow");
    }
    assert_eq!((idle.rows().await, count(&idle, "received_event").await), (before, 0), "it leaves no record");
}

#[tokio::test]
async fn a_parked_event_is_retried_or_discarded_by_an_operator() {
    let (keyed, keys) = Server::keyed().await;
    let server = Server::receiving(keyed.pool(), SOURCES).await;
    for id in ["1", "2"] {
        assert_eq!(send(&server, json!({"id": id, "type": "later", "data": 1})).await.json["state"], "parked");
    }
    let ask = |method: Method, path: String, role: Role, body: Value| {
        Answer::to(server.request(method, &path).bearer_auth(keys.of(role)).json(&body))
    };
    let list = ask(Method::GET, "/v1/inbox?state=parked".to_owned(), Role::Viewer, json!({})).await.json;
    let ids: Vec<&str> = (0..2).map(|at| list["items"][at]["id"].as_str().expect("an id")).collect();
    let retry = |id: &str| format!("/v1/inbox/events/{id}/retry");
    let discard = |id: &str| format!("/v1/inbox/events/{id}/discard");
    ask(Method::POST, retry(ids[0]), Role::Starter, json!({})).await.is_problem(403, "forbidden");
    ask(Method::POST, retry(ids[0]), Role::Operator, json!({})).await.is_problem(404, "unknown_workflow");
    // Now that workflow is known.
    let query = "INSERT INTO backstitch.workflow (name, version) VALUES ('not_yet', 1)";
    sqlx::query(query).execute(keyed.pool()).await.expect("a workflow");
    let dry = ask(Method::POST, retry(ids[0]), Role::Operator, json!({"dry_run": true})).await;
    assert_eq!((dry.status, &dry.json["state"]), (200, &json!("started")), "{}", dry.json);
    assert_eq!(count(&keyed, "run").await, 0, "a dry run starts nothing");
    let retried = ask(Method::POST, retry(ids[0]), Role::Operator, json!({})).await;
    assert_eq!((&retried.json["state"], &retried.json["code"]), (&json!("started"), &Value::Null));
    assert_eq!(count(&keyed, "run").await, 1);
    ask(Method::POST, retry(ids[0]), Role::Operator, json!({})).await.is_problem(409, "wrong_state");
    ask(Method::POST, discard(ids[1]), Role::Operator, json!({})).await.is_problem(400, "reason_required");
    let reason = json!({"reason": "a test event"});
    let discarded = ask(Method::POST, discard(ids[1]), Role::Operator, reason.clone()).await;
    assert_eq!((&discarded.json["state"], &discarded.json["body"]), (&json!("discarded"), &Value::Null));
    ask(Method::POST, discard(&Uuid::nil().to_string()), Role::Operator, reason).await.is_problem(404, "unknown_event");
    let audit = ask(Method::GET, "/v1/audit?action=discard&outcome=done".to_owned(), Role::Viewer, json!({})).await;
    assert_eq!(audit.json["items"][0]["reason"], "a test event");
    assert_eq!(count(&keyed, "run").await, 1);
}

#[tokio::test]
async fn without_a_database_an_event_is_sent_again_later() {
    let pool = sqlx::postgres::PgPoolOptions::new().acquire_timeout(Duration::from_millis(200));
    let pool = pool.connect_lazy("postgres://nobody@127.0.0.1:1/none").expect("a URL");
    let server = Server::receiving(&pool, SOURCES).await;
    let event = json!({"id": "1", "type": "say", "dataschema": "v1", "data": {"text": "x"}});
    send(&server, event).await.is_problem(503, "database_unavailable");
}

#[tokio::test]
async fn the_page_retries_and_discards_parked_events_by_form() {
    let (idle, server) = receiving().await;
    let mut ids = Vec::new();
    for id in ["1", "2"] {
        send(&server, json!({"id": id, "type": "later", "data": {"text": "<b>"}})).await;
        ids.push(server.get("/v1/inbox?limit=1").await.json["items"][0]["id"].as_str().expect("an id").to_owned());
    }
    send(&server, json!({"id": "3", "type": "unheard"})).await;
    let page = async |path: &str| {
        let answer = server.request(Method::GET, path).header("accept", "text/html").send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    let (status, text) = page("/inbox").await;
    let retry = format!("/inbox/{}/retry", ids[0]);
    assert!(status == 200 && text.contains(&retry) && text.contains("unknown_workflow"), "{text}");
    assert!(!text.contains("unheard") && page("/inbox?state=ignored").await.1.contains("unheard"));
    assert!(page("/inbox?source=nobody").await.1.contains("No event of this source is parked"));
    assert_eq!(
        (page("/inbox?state=lost").await.0, page("/inbox/x").await.0, page("/inbox/x/retry").await.0),
        (400, 404, 404)
    );
    let (_, text) = page(&format!("/inbox/{}", ids[0])).await;
    assert!(text.contains("&#60;b&#62;") || text.contains("&lt;b&gt;"), "its body: {text}");
    assert!(page(&retry).await.1.contains("no workflow named not_yet"), "the form says why it would be refused");
    let query = "INSERT INTO backstitch.workflow (name, version) VALUES ('not_yet', 1)";
    sqlx::query(query).execute(idle.pool()).await.expect("a workflow");
    assert!(page(&retry).await.1.contains("It starts a run"));
    assert_eq!(count(&idle, "run").await, 0, "to look at a form does nothing");
    let submit = async |path: &str, reason: &str| {
        let (_, form) = page(path).await;
        let csrf = form.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let request = server.request(Method::POST, path).form(&[("csrf", csrf.expect("a token")), ("reason", reason)]);
        request.header("accept", "text/html").send().await.expect("an answer").status().as_u16()
    };
    assert!(submit(&retry, "").await < 400);
    let discard = format!("/inbox/{}/discard", ids[1]);
    assert_eq!(submit(&discard, "").await, 400, "it needs a reason");
    assert!(submit(&discard, "a test event").await < 400);
    let states = [&ids[0], &ids[1]].map(|id| format!("/v1/inbox/events/{id}"));
    assert_eq!(server.get(&states[0]).await.json["state"], "started");
    assert_eq!(server.get(&states[1]).await.json["state"], "discarded");
    assert_eq!(count(&idle, "run").await, 1);
}
