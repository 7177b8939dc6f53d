//! Secret fields: whatever shows a payload to people hides them, for all versions of a workflow and for good.

use backstitch::engine::{
    Activity, ActivityContext, ActivityError, AuditFilter, Context, Failure, Operator, Registry, RunFilter,
    ScheduleSpec, Verb, Workflow, to_json,
};
use serde_json::{Value, json};

use crate::support::{engine::*, script::Op};

/// What is never to be shown.
const SECRET: &str = "s3cr3t";

/// Takes a secret and gives one.
struct Vault;

impl Activity for Vault {
    const NAME: &'static str = "vault";
    const UNDOABLE: bool = true;
    type Input = Value;
    type Output = Value;
    fn secret_fields() -> &'static [&'static str] {
        &["iban"]
    }
    async fn run(&self, _: &ActivityContext, _: &Value) -> Result<Value, ActivityError> {
        Ok(json!({ "receipt": 1, "iban": SECRET }))
    }
    async fn undo(&self, _: &ActivityContext, _: &Value, _: Option<&Value>) -> Result<(), ActivityError> {
        Ok(())
    }
}

/// Calls it, waits, and gives back what it was told.
struct Guarded;

impl Workflow for Guarded {
    const NAME: &'static str = "guarded";
    type Input = Value;
    type Output = Value;
    fn secret_fields() -> &'static [&'static str] {
        &["pin"]
    }
    async fn run(&self, cx: &Context, input: Value) -> Result<Value, Failure> {
        let kept = cx.call::<Vault>(json!({ "owner": "ann", "iban": input["pin"] })).await?;
        let signal = cx.signal::<Value>("go").forever().await?;
        Ok(json!({ "told": signal, "kept": kept }))
    }
}

/// As it was before anybody thought of secrets.
struct Careless;

impl Workflow for Careless {
    const NAME: &'static str = "guarded";
    type Input = Value;
    type Output = Value;
    async fn run(&self, _: &Context, input: Value) -> Result<Value, Failure> {
        Ok(input)
    }
}

/// The version after it.
struct Careful;

impl Workflow for Careful {
    const NAME: &'static str = "guarded";
    const VERSION: i32 = 2;
    type Input = Value;
    type Output = Value;
    fn secret_fields() -> &'static [&'static str] {
        &["cvc"]
    }
    async fn run(&self, _: &Context, input: Value) -> Result<Value, Failure> {
        Ok(input)
    }
}

/// A view hides the secret, and shows that there is one.
fn hides(place: &str, view: &impl serde::Serialize) {
    let text = serde_json::to_string(view).expect("a view has a JSON form");
    assert!(text.contains("[secret]"), "{place} shows the field: {text}");
    assert!(!text.contains(SECRET), "{place} shows the secret: {text}");
}

#[tokio::test]
async fn whatever_shows_a_payload_to_people_hides_its_secret_fields() {
    let mut t = TestEngine::idle().await;
    t.add_worker_with(config("w0"), Registry::new().workflow(Guarded).activity(Vault)).await;
    let (engine, by) = (t.engine.clone(), operator());
    let input = json!({ "name": "ann", "pin": SECRET });
    let run = t.start_of("guarded", &input).await;
    let seen = t.is(run, "waiting").await;
    hides("its input", &seen.input);
    let steps = seen.steps.expect("its steps");
    hides("a step's input", &steps[0].input);
    hides("a step's output", &steps[0].output);
    let dry = Operator { dry_run: true, ..by.clone() };
    hides("a plan of undos", &engine.compensate(run, &dry).await.expect("it can be undone").undo);
    hides(
        "what an abandoned run leaves",
        &engine.apply_verb(run, &Verb::Abandon, &dry).await.expect("it can be").stays,
    );
    t.send(run, "go", json!({ "pin": SECRET })).await;
    hides("its output", &t.is(run, "completed").await.output);
    hides("a list", &engine.list(&RunFilter::default()).await.expect("a page").items[0].output);
    let result = engine.result(run, std::time::Duration::ZERO).await.expect("it has ended");
    assert!(result.output.as_ref().is_some_and(|output| output.get().contains(SECRET)), "its caller has the real one");
    hides("its result", &result.shown().output);
    hides("an export's inbox", &engine.export(run).await.expect("it can be exported").signals);

    let spec = ScheduleSpec {
        cron: "0 * * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        workflow: "guarded".to_owned(),
        input: to_json(&input).expect("JSON"),
        queue: None,
        overlap: Default::default(),
        catch_up: Default::default(),
        paused: None,
    };
    hides("a schedule that is set", &engine.set_schedule("s", &spec, &by).await.expect("it can be set").schedule);
    hides("a schedule", &engine.schedule("s", None, 10).await.expect("it is there").schedule);
    hides("all schedules", &engine.schedules().await.expect("a list"));

    let output = json!({ "receipt": 1, "iban": SECRET });
    let skip = Verb::Skip { seq: 0, direction: None, output: Some(output) };
    let filter = RunFilter { workflow: Some("guarded".to_owned()), ..RunFilter::default() };
    let created = engine.operate_on(&skip, &filter, &by, None).await.expect("it is accepted");
    hides("a bulk operation that is created", &created.arguments);
    hides("a bulk operation", &engine.operation(created.id).await.expect("it is there").arguments);
    hides("all bulk operations", &engine.operations(None, None).await.expect("a page").items[0].arguments);

    for (action, what) in [("set", "a schedule"), ("operate", "a bulk operation")] {
        let filter = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
        hides(&format!("the audit of {what}"), &engine.audit(&filter).await.expect("a page").items);
    }
    t.finish().await;
}

#[tokio::test]
async fn the_audit_of_a_run_hides_its_secrets() {
    let t = TestEngine::new().await;
    let run = t.start(&[Op::Sleep(60_000)]).await;
    t.is(run, "waiting").await;
    t.engine.apply_verb(run, &Verb::Pause, &operator()).await.expect("it can be paused");
    t.execute("UPDATE backstitch.workflow SET secret_fields = '{status}'").await;
    let filter = AuditFilter { run_id: Some(run), ..AuditFilter::default() };
    let entry = t.engine.audit(&filter).await.expect("a page").items.remove(0);
    for signal in [entry.before, entry.after] {
        assert_eq!(signal.expect("what changed").get(), r#"{"status":"[secret]"}"#);
    }
    t.finish().await;
}

#[tokio::test]
async fn a_field_once_secret_is_hidden_in_all_versions() {
    let mut t = TestEngine::idle().await;
    let hidden = async |t: &TestEngine| {
        let query = "SELECT version, secret_fields FROM backstitch.workflow WHERE name = 'guarded' ORDER BY version";
        sqlx::query_as::<_, (i32, Vec<String>)>(query).fetch_all(t.engine.pool()).await.expect("reads")
    };
    let fields = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    t.add_worker_with(config("unaware"), Registry::new().workflow(Careless)).await;
    assert_eq!(hidden(&t).await, [(1, fields(&[]))]);
    let run = t.start_of("guarded", &json!({ "pin": SECRET })).await;
    t.is(run, "completed").await;
    t.add_worker_with(config("aware"), Registry::new().workflow(Guarded).activity(Vault)).await;
    assert_eq!(hidden(&t).await, [(1, fields(&["iban", "pin"]))]);
    t.add_worker_with(config("newer"), Registry::new().workflow(Careful)).await;
    let all = fields(&["cvc", "iban", "pin"]);
    assert_eq!(hidden(&t).await, [(1, all.clone()), (2, all.clone())]);
    t.add_worker_with(config("old"), Registry::new().workflow(Careless)).await;
    assert_eq!(hidden(&t).await, [(1, all.clone()), (2, all)], "an older process shows no more than a newer one");
    hides("a run from before", &t.run(run).await.input);
    t.finish().await;
}
