//! The service as its users meet it: tenants are provisioned though an instance is killed in the middle, and compensated
//! after they were completed: through the library, REST and the command line.
//!
//! Needs a Postgres server in `DATABASE_URL` and the command line's binary in `BACKSTITCH_BIN`.

mod stage;

use std::time::Duration;

use backstitch::engine::{Engine, Operator, Registry};
use serde_json::{Value, json};
use stage::{Instance, Stage};
use uuid::Uuid;

/// The instance answers steps this late: time enough to kill it in between.
const DELAY: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn a_tenant_outlives_a_killed_instance_and_can_be_compensated() {
    let stage = Stage::new().await;
    let first = stage.start(DELAY).await;
    let mut runs = Vec::new();
    for name in ["alpha", "beta", "gamma", "silent"] {
        let order = first.post("/tenants", &json!({"name": name})).await;
        runs.push(order["run_id"].as_str().expect("an order names its run").parse::<Uuid>().expect("a run's id"));
    }
    // Databases and mail domains exist, and the steps that made them have no answer yet.
    stage.until("SELECT count(*) = 8 FROM provider.resource").await;
    first.kill();
    let second = stage.start(Duration::from_millis(10)).await;
    for name in ["alpha", "beta", "gamma"] {
        second.post(&format!("/tenants/{name}/dns"), &json!({"record": "A 192.0.2.1"})).await;
    }
    stage.until("SELECT count(*) = 3 FROM shop.orders WHERE state = 'active'").await;
    let repeated = "SELECT count(*) FROM (SELECT FROM provider.call WHERE verb = 'create' GROUP BY kind, tenant HAVING count(*) > 1) c";
    assert_eq!(stage.count(repeated).await, 0, "what had happened before the kill was verified, not done again");

    compensate(&stage, &second, &runs).await;

    // The one whose name server never answered failed by itself, and was undone.
    let silent = second.wait_for(runs[3], "compensated", &stage.key).await;
    assert_eq!(silent["failure"]["code"], "dns_timeout");
    stage.until("SELECT count(*) = 0 FROM shop.orders WHERE state <> 'cancelled'").await;
    stage.until("SELECT bool_and(released) FROM provider.resource").await;
    let out_of_order =
        "SELECT count(*) FROM provider.call a JOIN provider.call b ON a.tenant = b.tenant AND a.id < b.id
        WHERE a.verb = 'release' AND b.verb = 'release' AND a.kind <> 'certificate' AND b.kind = 'certificate'";
    assert_eq!(stage.count(out_of_order).await, 0, "undone in reverse: the certificate first");
    second.kill();
}

/// Each of three completed runs is compensated in another way.
async fn compensate(stage: &Stage, service: &Instance, runs: &[Uuid]) {
    for run in &runs[..3] {
        service.wait_for(*run, "completed", &stage.key).await;
    }
    let engine = Engine::new(stage.pool.clone(), Registry::new());
    let operator = Operator { actor: "test".into(), reason: Some("the customer left".into()), ..Operator::default() };
    engine.compensate(runs[0], &operator).await.expect("a completed run can be compensated");

    let path = format!("/ops/v1/runs/{}/compensate", runs[1]);
    let plan = service.post_with_key(&path, &json!({"reason": "the customer left"}), &stage.key).await;
    assert_eq!(plan["undo"].as_array().map(Vec::len), Some(5), "every step has an undo: {plan}");
    assert!(plan.to_string().contains("release the certificate of beta"), "the service's own words: {plan}");

    let id = runs[2].to_string();
    stage.backstitch(&service.url("/ops"), &["run", "compensate", &id, "--reason", "the customer left"]);
    for run in &runs[..3] {
        service.wait_for(*run, "compensated", &stage.key).await;
    }
}

#[tokio::test]
async fn the_nightly_audit_is_on_schedule_and_runs_on_demand() {
    let stage = Stage::new().await;
    let service = stage.start(Duration::ZERO).await;
    let schedules = stage.backstitch(&service.url("/ops"), &["-o", "json", "schedule", "list"]);
    let schedules: Value = serde_json::from_str(&schedules).expect("the command line prints JSON");
    assert!(schedules.to_string().contains("nightly-audit"), "{schedules}");
    stage.backstitch(&service.url("/ops"), &["schedule", "run", "nightly-audit", "--reason", "tried"]);
    stage.until("SELECT count(*) = 1 FROM shop.audit").await;
    service.kill();
}

#[tokio::test]
async fn an_input_that_the_service_can_not_read_is_refused() {
    let stage = Stage::new().await;
    let service = stage.start(Duration::ZERO).await;
    let (code, said) =
        stage.try_backstitch(&service.url("/ops"), &["run", "start", "provision", "--input", r#"{"nonsense": 1}"#]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("missing field `name`"), "the service's own types check it: {said}");
    service.kill();
}
