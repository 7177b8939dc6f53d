//! Runs by the clock: many servers and one start per slot, downtime, overlap, people who intervene.

use std::sync::Arc;

use backstitch::engine::{CatchUp, Engine, Error, Overlap, ScheduleSpec, Slot, to_json};
use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{engine::*, script::*};

/// Hourly, an input that ends at once.
fn hourly() -> ScheduleSpec {
    spec(&[call("note")])
}

fn spec(program: &[Op]) -> ScheduleSpec {
    ScheduleSpec {
        cron: "0 * * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        workflow: "scripted".to_owned(),
        input: to_json(program).expect("a program has a JSON form"),
        queue: None,
        overlap: Overlap::Skip,
        catch_up: CatchUp::Latest,
        paused: None,
    }
}

async fn set(t: &TestEngine, spec: &ScheduleSpec) {
    t.engine.set_schedule("s", spec, &operator()).await.expect("it can be set");
}

/// Moves the clock to so many seconds after the next full hour, as the database sees it.
async fn to_next_hour(t: &TestEngine, and_seconds: f64) {
    let query = "SELECT extract(epoch FROM date_trunc('hour', backstitch.now()) + interval '1 hour' - backstitch.now())::float8";
    let left: f64 = sqlx::query_scalar(query).fetch_one(t.engine.pool()).await.expect("reads");
    t.advance(left + and_seconds).await;
}

/// Decides until nothing is left to be decided.
async fn decide(engine: &Engine) {
    while engine.decide_schedules().await.expect("the database is there") {}
}

/// The slots, oldest first.
async fn slots(t: &TestEngine) -> Vec<Slot> {
    let mut items = t.engine.schedule("s", None, 200).await.expect("it is there").slots.items;
    items.reverse();
    items
}

fn outcomes(slots: &[Slot]) -> Vec<&str> {
    slots.iter().map(|slot| slot.outcome.word()).collect()
}

#[tokio::test]
async fn a_slot_starts_one_run_however_many_servers_look() {
    let t = TestEngine::idle().await;
    set(&t, &hourly()).await;
    decide(&t.engine).await;
    assert_eq!(t.count("run").await, 0, "its time has not come");
    for hour in 1..=3 {
        to_next_hour(&t, 1.0).await;
        let (engine, mut servers) = (Arc::new(t.engine.clone()), JoinSet::new());
        for _ in 0..16 {
            let engine = engine.clone();
            servers.spawn(async move { decide(&engine).await });
        }
        servers.join_all().await;
        assert_eq!(t.count("schedule_slot").await, hour);
        let expected =
            if hour == 1 { ["started"].as_slice() } else { &["started", "skipped", "skipped"][..hour as usize] };
        assert_eq!(outcomes(&slots(&t).await), expected, "nobody works: the first run has not ended");
    }
    assert_eq!(t.count("run").await, 1);
    t.finish().await;
}

#[tokio::test]
async fn each_slot_starts_one_run_among_many_servers() {
    let t = TestEngine::idle().await;
    set(&t, &ScheduleSpec { overlap: Overlap::Allow, catch_up: CatchUp::All, ..hourly() }).await;
    t.advance(10.0 * 3600.0).await;
    let mut servers = JoinSet::new();
    for _ in 0..16 {
        let engine = t.engine.clone();
        servers.spawn(async move { decide(&engine).await });
    }
    servers.join_all().await;
    let slots = slots(&t).await;
    assert_eq!(outcomes(&slots), ["started"; 10]);
    let mut runs: Vec<_> = slots.iter().map(|slot| slot.run_id.expect("it was started")).collect();
    runs.sort_unstable();
    runs.dedup();
    assert_eq!((runs.len(), t.count("run").await), (10, 10));
    let run = t.run(runs[0]).await;
    assert_eq!(run.tags.get("schedule").map(String::as_str), Some("s"));
    t.finish().await;
}

#[tokio::test]
async fn a_server_that_dies_between_slot_and_run_leaves_neither() {
    let t = TestEngine::idle().await;
    set(&t, &hourly()).await;
    to_next_hour(&t, 1.0).await;
    // Its transaction fails at its very end, as a broken connection would have it.
    t.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'gone'; END $$")
        .await;
    let trigger = "CREATE CONSTRAINT TRIGGER gone AFTER INSERT ON backstitch.schedule_slot INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse()";
    t.execute(trigger).await;
    let lost = t.engine.decide_schedules().await;
    assert!(matches!(lost, Err(Error::Database(_))), "{lost:?}");
    assert_eq!((t.count("run").await, t.count("schedule_slot").await), (0, 0));
    t.execute("DROP TRIGGER gone ON backstitch.schedule_slot").await;
    decide(&t.engine).await;
    assert_eq!((t.count("run").await, outcomes(&slots(&t).await)), (1, vec!["started"]));
    t.finish().await;
}

#[tokio::test]
async fn after_downtime_the_catch_up_policy_decides() {
    for (catch_up, expected) in [
        (CatchUp::None, ["missed", "missed", "missed"]),
        (CatchUp::Latest, ["missed", "missed", "started"]),
        (CatchUp::All, ["started", "started", "started"]),
    ] {
        let t = TestEngine::idle().await;
        set(&t, &ScheduleSpec { overlap: Overlap::Allow, catch_up, ..hourly() }).await;
        to_next_hour(&t, 0.0).await;
        t.advance(2.0 * 3600.0 + 600.0).await;
        decide(&t.engine).await;
        assert_eq!(outcomes(&slots(&t).await), expected, "{catch_up:?}");
        let missed = expected.iter().filter(|outcome| **outcome == "missed").count() as i64;
        assert_eq!(t.engine.schedules().await.expect("lists")[0].missed, missed);
        t.finish().await;
    }
}

#[tokio::test]
async fn a_queued_slot_starts_when_the_previous_run_ends() {
    let mut t = TestEngine::idle().await;
    let program = [signal("go", None)];
    set(&t, &ScheduleSpec { overlap: Overlap::Queue, ..spec(&program) }).await;
    for _ in 0..3 {
        to_next_hour(&t, 1.0).await;
        decide(&t.engine).await;
    }
    let before = slots(&t).await;
    assert_eq!(outcomes(&before), ["started", "queued", "queued"]);
    t.add_worker(config("w0")).await;
    for expected in [["started", "started", "queued"], ["started", "started", "started"]] {
        let running = slots(&t).await.iter().filter_map(|slot| slot.run_id).next_back().expect("one runs");
        t.is(running, "waiting").await;
        decide(&t.engine).await;
        assert_ne!(outcomes(&slots(&t).await), expected, "the run before it goes on");
        t.send(running, "go", json!(null)).await;
        t.is(running, "completed").await;
        decide(&t.engine).await;
        assert_eq!(outcomes(&slots(&t).await), expected);
    }
    assert_eq!(t.count("run").await, 3);
    let last = slots(&t).await[2].run_id.expect("it was started");
    t.send(last, "go", json!(null)).await;
    t.is(last, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_refused_start_is_shown_and_the_schedule_continues() {
    let t = TestEngine::idle().await;
    set(&t, &hourly()).await;
    t.execute("UPDATE backstitch.schedule SET workflow = 'gone'").await;
    to_next_hour(&t, 1.0).await;
    decide(&t.engine).await;
    let seen = slots(&t).await;
    assert_eq!(outcomes(&seen), ["refused"]);
    assert!(seen[0].message.as_deref().is_some_and(|message| message.contains("gone")), "{seen:?}");
    t.execute("UPDATE backstitch.schedule SET workflow = 'scripted'").await;
    to_next_hour(&t, 1.0).await;
    decide(&t.engine).await;
    assert_eq!(outcomes(&slots(&t).await), ["refused", "started"]);
    t.finish().await;
}

#[tokio::test]
async fn a_manual_start_with_the_slots_key_is_one() {
    let t = TestEngine::idle().await;
    set(&t, &hourly()).await;
    to_next_hour(&t, 1.0).await;
    let query = "SELECT next_at FROM backstitch.schedule";
    let slot: DateTime<Utc> = sqlx::query_scalar(query).fetch_one(t.engine.pool()).await.expect("reads");
    let key = format!("@schedule:s:{}", slot.format("%Y-%m-%dT%H:%M:%SZ"));
    let theirs = t.engine.start(request("scripted", &[call("note")]).key(key)).await.expect("it is accepted").run;
    decide(&t.engine).await;
    assert_eq!((t.count("run").await, slots(&t).await[0].run_id), (1, Some(theirs)));
    t.finish().await;
}

#[tokio::test]
async fn a_resumed_schedule_catches_up() {
    let t = TestEngine::idle().await;
    set(&t, &hourly()).await;
    let by = operator();
    assert!(t.engine.pause_schedule("s", &by).await.expect("it can be paused").schedule.paused);
    t.advance(3.0 * 3600.0).await;
    decide(&t.engine).await;
    assert_eq!(t.count("schedule_slot").await, 0);
    set(&t, &hourly()).await;
    assert!(t.engine.schedules().await.expect("lists")[0].paused, "setting it again does not resume it");
    t.engine.resume_schedule("s", &by).await.expect("it can be resumed");
    decide(&t.engine).await;
    let seen = slots(&t).await;
    assert_eq!(outcomes(&seen), ["missed", "missed", "started"]);
    let run = t.engine.run_schedule("s", &by).await.expect("it can be run");
    assert_eq!(outcomes(&slots(&t).await).len(), 4, "beside its slots, although a run goes on");
    assert!(run.run_id.is_some());
    t.engine.delete_schedule("s", &by).await.expect("it can be deleted");
    let gone = t.engine.delete_schedule("s", &by).await;
    assert!(matches!(gone, Err(Error::UnknownSchedule(_))), "{gone:?}");
    assert_eq!((t.count("schedule_slot").await, t.count("run").await), (0, 2));
    let query = "SELECT action || ' ' || outcome FROM backstitch.audit WHERE subject = 'schedule s' ORDER BY id";
    let seen: Vec<String> = sqlx::query_scalar(query).fetch_all(t.engine.pool()).await.expect("reads");
    let expected = ["set done", "pause done", "set done", "resume done", "run done", "delete done", "delete refused"];
    assert_eq!(seen, expected);
    t.finish().await;
}

#[tokio::test]
async fn an_earlier_run_counts_beside_a_manual_one() {
    let t = TestEngine::new().await;
    set(&t, &spec(&[signal("go", None)])).await;
    to_next_hour(&t, 1.0).await;
    decide(&t.engine).await;
    let by_hand = t.engine.run_schedule("s", &operator()).await.expect("it can be run").run_id.expect("it is begun");
    t.send(by_hand, "go", json!(1)).await;
    t.is(by_hand, "completed").await;
    to_next_hour(&t, 1.0).await;
    decide(&t.engine).await;
    assert_eq!(outcomes(&slots(&t).await), ["started", "started", "skipped"], "the first run still goes on");
    t.finish().await;
}

#[tokio::test]
async fn what_can_not_be_set_is_refused_and_changes_nothing() {
    let t = TestEngine::idle().await;
    let cases = [
        ("s", ScheduleSpec { cron: "61 * * * *".into(), ..hourly() }, "invalid_request"),
        ("s", ScheduleSpec { time_zone: "Mars/Base".into(), ..hourly() }, "invalid_request"),
        ("s", ScheduleSpec { cron: "0 0 30 2 *".into(), ..hourly() }, "invalid_request"),
        ("a name", hourly(), "invalid_request"),
        ("s", ScheduleSpec { workflow: "nobody_knows".into(), ..hourly() }, "unknown_workflow"),
        ("s", ScheduleSpec { input: to_json(&7).expect("JSON"), ..hourly() }, "invalid_input"),
        ("s", ScheduleSpec { queue: Some(String::new()), ..hourly() }, "invalid_request"),
    ];
    for (name, spec, code) in cases {
        let refused = t.engine.set_schedule(name, &spec, &operator()).await.expect_err("it is refused");
        assert_eq!(refused.code(), code, "{refused}");
        assert!(t.count("audit WHERE outcome = 'refused' AND message IS NOT NULL").await > 0);
    }
    assert_eq!((t.count("schedule").await, t.count("audit").await), (0, 7));
    let dry = operator_dry();
    let seen = t.engine.set_schedule("s", &hourly(), &dry).await.expect("it would be set");
    assert_eq!((seen.schedule.next.len(), seen.dry_run, t.count("schedule").await), (3, true, 0));
    t.finish().await;
}

#[tokio::test]
async fn what_a_service_brings_along_stays_as_operators_left_it() {
    let t = TestEngine::idle().await;
    assert!(t.engine.ensure_schedule("s", &hourly()).await.expect("it is made"));
    set(&t, &ScheduleSpec { cron: "5 * * * *".into(), paused: Some(true), ..hourly() }).await;
    assert!(!t.engine.ensure_schedule("s", &hourly()).await.expect("it is there"));
    let all = t.engine.schedules().await.expect("lists");
    assert_eq!((all.len(), all[0].cron.as_str(), all[0].paused), (1, "5 * * * *", true));
    t.finish().await;
}

fn operator_dry() -> backstitch::engine::Operator {
    backstitch::engine::Operator { dry_run: true, ..operator() }
}
