//! Promise: callers neither start nor feed runs of an internal workflow, whatever their role; its service does, and operators
//! operate on them.

use backstitch::engine::{Role, ScheduleSpec, StartRun, Workflow};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Inner, Server};

const SCHEDULE: &str = "/v1/schedules/nightly";

fn started_by_the_service() -> StartRun {
    StartRun::new::<Inner>(&()).expect("JSON").key("k")
}

#[tokio::test]
async fn an_internal_workflow_is_not_for_callers() {
    let (server, keys) = Server::keyed().await;
    let run = server.engine.start(started_by_the_service()).await.expect("it starts").run;
    for role in [Role::Starter, Role::Operator, Role::Admin] {
        let ask = async |method: Method, path: String, body: Value| {
            Answer::to(server.request(method, &path).bearer_auth(keys.of(role)).json(&body)).await
        };
        let inner = json!({"workflow": Inner::NAME, "input": null});
        ask(Method::POST, "/v1/runs".into(), inner.clone()).await.is_problem(403, "internal_workflow");
        let echo = json!({"workflow": "echo", "input": {"text": "a"}});
        let batch = ask(Method::POST, "/v1/runs/batch".into(), json!([inner, echo])).await.json;
        let answered = |at: usize| (batch["items"][at]["status"].clone(), batch["items"][at]["error"]["code"].clone());
        assert_eq!((answered(0), answered(1)), ((json!(403), json!("internal_workflow")), (json!(201), Value::Null)));
        let go = ask(Method::POST, format!("/v1/runs/{run}/signals/go"), json!(true)).await;
        go.is_problem(403, "internal_workflow");
        let hello = ask(Method::POST, format!("/v1/runs/{run}/signals/hello"), json!(true)).await;
        assert_eq!(hello.status, 202, "it names that one: {}", hello.json);
        if role == Role::Starter {
            continue;
        }
        let schedule = json!({"cron": "0 9 * * 1", "workflow": Inner::NAME, "input": null});
        ask(Method::PUT, SCHEDULE.into(), schedule).await.is_problem(403, "internal_workflow");
        let fork = json!({"from_step": 0, "input": null, "reason": "r"});
        let with_input = json!({"from_step": 0, "input": 1, "reason": "r"});
        ask(Method::POST, format!("/v1/runs/{run}/fork"), with_input).await.is_problem(403, "internal_workflow");
        assert!(ask(Method::POST, format!("/v1/runs/{run}/pause"), json!({})).await.status < 300);
        assert_eq!(ask(Method::POST, format!("/v1/runs/{run}/fork"), fork).await.status, 201, "the same input again");
        assert!(ask(Method::POST, format!("/v1/runs/{run}/resume"), json!({})).await.status < 300);
    }
    let inner = "SELECT count(*) FROM backstitch.run r JOIN backstitch.workflow w ON w.id = r.workflow_id
        WHERE w.name = $1 AND r.parent_id IS NULL";
    let inner: i64 = sqlx::query_scalar(inner).bind(Inner::NAME).fetch_one(server.pool()).await.expect("a count");
    assert_eq!(inner, 1, "the service's own");
}

#[tokio::test]
async fn a_services_schedule_is_operated_on() {
    let server = Server::idle().await;
    let spec = ScheduleSpec::new::<Inner>("0 9 * * 1", &()).expect("JSON");
    assert!(server.engine.ensure_schedule("nightly", &spec).await.expect("it is made"));
    for verb in ["pause", "resume", "run"] {
        let done = server.post(&format!("{SCHEDULE}/{verb}"), json!({"reason": "r"})).await;
        assert!(done.status < 300, "{verb}: {}", done.json);
    }
}

#[tokio::test]
async fn no_caller_takes_a_services_key() {
    let server = Server::idle().await;
    let echo = |key: &str| json!({"workflow": "echo", "input": {"text": "a"}, "key": key});
    for key in ["@internal:k", "@schedule:nightly:2030-01-01T00:00:00Z"] {
        server.post("/v1/runs", echo(key)).await.is_problem(400, "invalid_request");
    }
    let first = server.engine.start(started_by_the_service()).await.expect("it starts");
    let again = server.engine.start(started_by_the_service()).await.expect("it is the same");
    assert_eq!((first.run, first.created, again.created), (again.run, true, false));
    assert_eq!(server.post("/v1/runs", echo("k")).await.status, 201, "the same word, in another space");
    let found = server.get(&format!("/v1/runs?key=k&workflow={}", Inner::NAME)).await.json;
    assert_eq!((&found["items"][0]["id"], &found["items"][0]["key"]), (&json!(first.run), &json!("k")));
}
