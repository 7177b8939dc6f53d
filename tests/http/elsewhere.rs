//! A server in a process that has not got the code of its database's workflows: it knows of them what their workers have told.

use backstitch::engine::Workflow;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Inner, Server};

#[tokio::test]
async fn inputs_are_checked_without_the_workflows_code() {
    let own = Server::working().await;
    let server = Server::without_code(&own).await;
    for (input, said) in [
        (json!({"nonsense": 1}), "text: it is missing"),
        (json!({"text": 5}), "text: it has to be of type string"),
        (json!(null), "it has to be of type object"),
    ] {
        let start = server.post("/v1/runs", json!({"workflow": "echo", "input": input})).await;
        start.is_problem(400, "invalid_input");
        assert_eq!(start.json["field"], "input");
        assert!(start.json["detail"].as_str().is_some_and(|detail| detail.contains(said)), "{}", start.json);
        let cron = json!({"cron": "0 9 * * 1", "workflow": "echo", "input": input});
        let schedule = Answer::to(server.request(Method::PUT, "/v1/schedules/nightly").json(&cron)).await;
        schedule.is_problem(400, "invalid_input");
        let by_the_code = own.post("/v1/runs", json!({"workflow": "echo", "input": input})).await;
        by_the_code.is_problem(400, "invalid_input");
        assert_eq!(by_the_code.json["field"], "input");
    }
    let run = server.started("echo", json!({"text": "a"})).await;
    server.until(&run, "completed").await;
    let fork = json!({"from_step": 0, "input": {"text": 5}, "reason": "another text"});
    server.post(&format!("/v1/runs/{run}/fork"), fork).await.is_problem(400, "invalid_input");
    // Its author gives no schema: what it gets is for its worker to judge.
    server.started("patient", json!(null)).await;
}

#[tokio::test]
async fn workflows_and_activities_of_others_are_shown_and_held() {
    let own = Server::working().await;
    let server = Server::without_code(&own).await;
    let run = own.started("echo", json!({"text": "a"})).await;
    own.until(&run, "completed").await; // so its worker has told all, and has its lanes
    let workflows = server.get("/v1/workflows").await.json;
    assert_eq!(workflows, own.get("/v1/workflows").await.json, "what is on record is what the code says");
    let of =
        |name: &str| workflows["items"].as_array().into_iter().flatten().find(|item| item["name"] == name).cloned();
    let visibility = |name: &str| of(name).map(|item| item["visibility"].clone());
    assert_eq!((visibility(Inner::NAME), visibility("echo")), (Some(json!("internal")), Some(json!("public"))));
    assert_eq!(of("echo").map(|item| item["input"]["type"].clone()), Some(json!("object")));
    assert_eq!(
        (&workflows["activities"][0]["name"], &workflows["activities"][0]["undoable"]),
        (&json!("hold"), &json!(true))
    );
    let page = server.request(Method::GET, "/fleet").header("accept", "text/html").send().await.expect("an answer");
    let page = page.text().await.expect("a page");
    assert!(page.contains("/fleet/hold?kind=activity&#38;name=hold"), "{page}");
    let path = "/v1/holds/activity/hold";
    let held = Answer::to(server.request(Method::PUT, path).json(&json!({"reason": "r"}))).await;
    assert_eq!((held.status, &held.json["note"]), (200, &Value::Null));
}

#[tokio::test]
async fn a_plan_says_who_knows_what_an_undo_means() {
    let own = Server::working().await;
    let server = Server::without_code(&own).await;
    let run = own.started("patient", json!(null)).await;
    own.until(&run, "waiting").await;
    let ask = json!({"reason": "r", "dry_run": true});
    let plan = server.post(&format!("/v1/runs/{run}/compensate"), ask.clone()).await.json;
    assert_eq!(
        (&plan["undo"][0]["activity"], &plan["undo"][0]["summary"]),
        (&json!("hold"), &json!("known to its own service only"))
    );
    assert!(plan["says"].to_string().contains("does not know hold"), "{plan}");
    let plan = own.post(&format!("/v1/runs/{run}/compensate"), ask).await.json;
    assert_eq!(plan["undo"][0]["summary"], Value::Null, "its code says nothing");
}

#[tokio::test]
async fn what_waits_for_an_internal_signal_says_who_sends_it() {
    let server = Server::working().await;
    let start = backstitch::engine::StartRun::new::<Inner>(&()).expect("JSON");
    let run = server.engine.start(start).await.expect("it starts").run.to_string();
    server.until(&run, "waiting").await;
    let why = server.get(&format!("/v1/runs/{run}/why")).await.json;
    assert_eq!(why["who"], "service", "{why}");
    let page = server.request(Method::GET, &format!("/runs/{run}")).header("accept", "text/html").send().await;
    let page = page.expect("an answer").text().await.expect("a page");
    assert!(page.contains("Its own service sends go") && !page.contains("Send a signal"), "{page}");
    let patient = server.started("patient", json!(null)).await;
    server.until(&patient, "waiting").await;
    assert_eq!(server.get(&format!("/v1/runs/{patient}/why")).await.json["who"], "caller");
}
