//! Where runs come from and where they are worked on: keys and starts, queues, versions, workers that come and go.

use std::time::Duration;

use backstitch::engine::{
    AuditFilter, HoldKind, Operator, Registry, RunFilter, RunId, StartRun, Time, Verb, WorkerConfig, to_json,
};
use serde_json::json;

use crate::support::{engine::*, script::*, wait_until};

#[tokio::test]
async fn a_run_stays_in_its_queue() {
    let mut t = TestEngine::new().await;
    let mut elsewhere = request("scripted", &[call("note")]);
    elsewhere.queue = Some("eu".to_owned());
    let run = t.engine.start(elsewhere).await.expect("it is accepted").run;
    t.ends(&[call("ship")], "completed").await;
    let waits = t.run(run).await.waiting_on.expect("nobody serves its queue");
    assert_eq!((waits.kind.word(), waits.name.as_deref()), ("queue", Some("eu")));
    t.add_worker(WorkerConfig { queues: vec!["eu".to_owned()], ..config("eu") }).await;
    let run = t.is(run, "completed").await;
    assert_eq!(forward(&run)[0].worker.as_deref(), Some("eu"));
    t.finish().await;
}

#[tokio::test]
async fn a_step_runs_in_its_queue_then_the_run_returns() {
    let mut t = TestEngine::new().await;
    let run = t.start(&[call("reserve"), call("pay"), call("ship"), Op::Fail("no".into())]).await;
    let waits = t.until(run, "the run waits for the queue", |run| run.waiting_on.is_some()).await;
    let waits = waits.waiting_on.expect("it waits");
    assert_eq!((waits.kind.word(), waits.name.as_deref()), ("queue", Some("payments")));
    assert_eq!(t.script.count("pay", Side::Run), 0);
    t.add_worker(WorkerConfig { queues: vec!["payments".to_owned()], ..config("pay") }).await;
    let run = t.is(run, "compensated").await;
    let workers: Vec<_> = forward(&run).iter().map(|step| step.worker.as_deref()).collect();
    assert_eq!(workers, [Some("w0"), Some("pay"), Some("w0")]);
    let workers: Vec<_> = undos(&run).iter().map(|step| step.worker.as_deref()).collect();
    assert_eq!(workers, [Some("w0"), Some("pay"), Some("w0")], "an undo goes where its step went");
    assert_eq!(t.script.undone(), ["ship", "pay", "reserve"]);
    t.finish().await;
}

#[tokio::test]
async fn a_run_waits_for_a_worker_with_its_version() {
    let mut t = TestEngine::idle().await;
    let one = t.add_worker_with(config("one"), Registry::new().workflow(VersionOne)).await;
    let stranger = backstitch::engine::Engine::new(t.engine.pool().clone(), Registry::new());
    let old = stranger.start(request("versioned", &())).await.expect("it is known").run;
    assert_eq!(t.is(old, "waiting").await.version, 1);
    t.workers[one].drain().await;
    t.add_worker_with(config("two"), Registry::new().workflow(VersionTwo)).await;
    let new = stranger.start(request("versioned", &())).await.expect("it is known").run;
    assert_eq!(output(&t.is(new, "completed").await), json!(2));
    t.send(old, "go", json!(null)).await;
    let waits = t.until(old, "it waits for a worker", |run| run.waiting_on.is_some()).await;
    let waits = waits.waiting_on.expect("it waits");
    assert_eq!((waits.kind.word(), waits.name.as_deref()), ("worker", Some("versioned")));
    t.add_worker_with(config("both"), Registry::new().workflow(VersionOne).workflow(VersionTwo)).await;
    let old = t.is(old, "completed").await;
    assert_eq!((output(&old), old.version), (json!(1), 1));
    t.finish().await;
}

async fn says_that_it_waits_for_a_worker(t: &TestEngine, run: RunId) {
    wait_until("it says that it waits for a worker", async || {
        // Again and again: a statement of the killed worker may be on its way still.
        t.execute("UPDATE backstitch.lane SET beat = beat - interval '1 minute'").await;
        t.run(run).await.waiting_on.is_some_and(|waits| waits.kind == "worker")
    })
    .await;
}

#[tokio::test]
async fn a_run_held_by_a_lost_worker_says_so() {
    let mut t = TestEngine::idle().await;
    let only = t.add_worker(hasty("only")).await;
    t.script.on("note", Side::Run, [Do::Hang]);
    let run = t.start(&[call("note")]).await;
    wait_until("it is under way", async || t.script.count("note", Side::Run) == 1).await;
    assert!(t.run(run).await.waiting_on.is_none(), "its worker is at it");
    t.workers[only].kill().await;
    says_that_it_waits_for_a_worker(&t, run).await;
    let why = t.engine.why(run).await.expect("an answer");
    assert!(why.sentences[0].contains("no live worker"), "{why:?}");
    t.add_worker(hasty("other")).await;
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_run_without_a_worker_says_so() {
    let mut t = TestEngine::idle().await;
    let only = t.add_worker(hasty("only")).await;
    t.workers[only].kill().await;
    let run = t.start(&[call("note")]).await;
    says_that_it_waits_for_a_worker(&t, run).await;
    t.add_worker(hasty("other")).await;
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn nondeterminism_quarantines_its_run_and_names_both_steps() {
    let t = TestEngine::new().await;
    let run = t.start_of("shifty", &()).await;
    t.is(run, "waiting").await;
    t.script.set_flag(true);
    t.send(run, "go", json!(1)).await;
    let failure = t.is(run, "stuck").await.failure.expect("it says why");
    assert_eq!(failure.code, "nondeterminism");
    assert!(failure.message.contains("note") && failure.message.contains("reserve"), "{}", failure.message);
    assert_eq!(t.script.count("reserve", Side::Run), 0, "nothing is done on a wrong record");
    t.ends(&[call("note")], "completed").await;
    t.script.set_flag(false);
    t.engine.retry(run, &operator()).await.expect("a stuck run can be retried");
    t.is(run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_run_that_kills_its_workers_ends_stuck() {
    for activity in ["note", "reserve", "charge"] {
        let t = TestEngine::new().await;
        t.script.always(activity, Side::Run, Do::Hang);
        t.script.always(activity, Side::Verify, Do::Hang);
        t.script.always(activity, Side::Undo, Do::Hang);
        let run = t.start(&[call(activity)]).await;
        for calls in 0..40 {
            wait_until("the next attempt has begun, or the run has had enough", async || {
                t.script.calls().len() > calls || t.run(run).await.status == "stuck"
            })
            .await;
            if t.run(run).await.status == "stuck" {
                break;
            }
            t.take_over_all().await;
        }
        let run = t.is(run, "stuck").await;
        assert!(run.failure.is_some(), "{activity}");
        t.finish().await;
    }
}

#[tokio::test]
async fn an_undo_that_kills_its_workers_ends_stuck() {
    let t = TestEngine::new().await;
    t.script.always("reserve", Side::Undo, Do::Hang);
    let run = t.start(&[call("reserve"), Op::Fail("sold_out".into())]).await;
    for calls in 0..40 {
        wait_until("the next attempt has begun, or the run has had enough", async || {
            t.script.count("reserve", Side::Undo) > calls || t.run(run).await.status == "stuck"
        })
        .await;
        if t.run(run).await.status == "stuck" {
            break;
        }
        t.take_over_all().await;
    }
    t.is(run, "stuck").await;
    t.script.always("reserve", Side::Undo, Do::Ok);
    t.engine.retry(run, &operator()).await.expect("a stuck run can be retried");
    let run = t.is(run, "compensated").await;
    assert_eq!(run.failure.expect("it says why").code, "sold_out", "a retry brings the first cause back");
    t.finish().await;
}

#[tokio::test]
async fn a_payload_over_the_limit_is_refused_before_anything_else() {
    let t = TestEngine::idle().await;
    let engine = t.engine.clone().with_max_payload(100);
    let big = "x".repeat(200);
    let refused = engine.start(request("no_such_workflow", &big)).await.expect_err("too large");
    assert_eq!(refused.code(), "payload_too_large");
    let run = t.start(&[signal("go", None)]).await;
    let payload = backstitch::engine::to_json(&big).expect("JSON");
    let refused = engine.signal(run, "go", Some(payload), None).await.expect_err("too large");
    assert_eq!(refused.code(), "payload_too_large");
    let refused = engine.start(request("no_such_workflow", &1)).await.expect_err("never registered");
    assert_eq!(refused.code(), "unknown_workflow");
    t.finish().await;
}

#[tokio::test]
async fn a_start_in_the_callers_transaction_exists_when_that_commits() {
    let t = TestEngine::new().await;
    let mut tx = t.engine.pool().begin().await.expect("a connection");
    let undone = t.engine.start_in(&mut tx, request("scripted", &[call("note")]).key("k")).await.expect("accepted").run;
    tx.rollback().await.expect("it rolls back");
    assert_eq!(t.engine.run(undone).await.expect_err("it never was").code(), "unknown_run");
    let mut tx = t.engine.pool().begin().await.expect("a connection");
    let run = t.engine.start_in(&mut tx, request("scripted", &[call("note")]).key("k")).await.expect("accepted");
    assert!(run.created, "a key that was rolled back is free");
    t.ends(&[call("ship")], "completed").await;
    assert_eq!(t.script.count("note", Side::Run), 0, "not before the commit");
    tx.commit().await.expect("it commits");
    t.is(run.run, "completed").await;
    t.finish().await;
}

#[tokio::test]
async fn a_key_belongs_to_its_first_request() {
    let t = TestEngine::idle().await;
    let start = |input: serde_json::Value| t.engine.start(request("typed", &input).key("order-1"));
    let first = start(json!({ "n": 1 })).await.expect("accepted");
    let again = start(json!({ "n": 1 })).await.expect("the same request");
    assert_eq!((first.created, again.created, first.run), (true, false, again.run));
    assert_eq!(start(json!({ "n": 2 })).await.expect_err("another request").code(), "key_conflict");
    let other = t.engine.start(request("scripted", &[call("note")]).key("order-1")).await.expect("another workflow");
    assert!(other.created);
    let batch = t.engine.start_batch(vec![
        request("typed", &json!({ "n": 3 })).key("order-2"),
        request("typed", &json!({ "n": 3 })).key("order-2"),
        request("typed", &json!({ "n": 4 })).key("order-2"),
        request("typed", &json!({ "n": 5 })),
    ]);
    let batch = batch.await.expect("the database works");
    let created: Vec<_> = batch.iter().map(|one| one.as_ref().map(|one| one.created).map_err(|e| e.code())).collect();
    assert_eq!(created, [Ok(true), Ok(false), Err("key_conflict"), Ok(true)]);
    assert_eq!(t.count("run").await, 4);
    t.finish().await;
}

#[tokio::test]
async fn lists_are_filtered_and_paged_newest_first() {
    let t = TestEngine::new().await;
    let mut runs = Vec::new();
    for n in 0..5 {
        let mut one = request("typed", &json!({ "n": n })).key(format!("k{n}"));
        one.tags.insert("colour".to_owned(), if n % 2 == 0 { "red" } else { "blue" }.to_owned());
        runs.push(t.engine.start(one).await.expect("accepted").run);
    }
    let waiting = t.start(&[signal("go", None)]).await;
    t.is(waiting, "waiting").await;
    for run in &runs {
        t.is(*run, "completed").await;
    }
    let list = async |filter: backstitch::engine::RunFilter| {
        let page = t.engine.list(&filter).await.expect("it can be listed");
        (page.items.iter().map(|run| run.id).collect::<Vec<_>>(), page.next_cursor)
    };
    let all = backstitch::engine::RunFilter { limit: Some(4), ..Default::default() };
    let (page, cursor) = list(all.clone()).await;
    assert_eq!(page, [waiting, runs[4], runs[3], runs[2]]);
    let (page, cursor) = list(backstitch::engine::RunFilter { cursor, ..all.clone() }).await;
    assert_eq!((page, cursor), (vec![runs[1], runs[0]], None));
    let by = |workflow: &str, status: &str, tag: Option<&str>, key: Option<&str>| backstitch::engine::RunFilter {
        workflow: Some(workflow.to_owned()),
        status: Some(status.parse().expect("a status")),
        tag: tag.map(str::to_owned),
        key: key.map(str::to_owned),
        ..Default::default()
    };
    assert_eq!(list(by("scripted", "waiting", None, None)).await.0, [waiting]);
    assert_eq!(list(by("typed", "completed", Some("colour:blue"), None)).await.0, [runs[3], runs[1]]);
    assert_eq!(list(by("typed", "completed", Some("colour"), Some("k2"))).await.0, [runs[2]]);
    assert!(list(by("typed", "stuck", None, None)).await.0.is_empty());
    let bad = backstitch::engine::RunFilter { cursor: Some("nonsense".to_owned()), ..Default::default() };
    assert_eq!(t.engine.list(&bad).await.expect_err("no cursor of ours").code(), "bad_cursor");
    t.finish().await;
}

#[tokio::test]
async fn a_drained_worker_releases_its_runs() {
    let mut t = TestEngine::idle().await;
    let first = t.add_worker(config("first")).await;
    let gate = t.script.gate("reserve", Side::Run, Do::Ok);
    let run = t.start(&[call("reserve"), call("once"), call("charge"), call("note")]).await;
    gate.is_reached().await;
    let opening = async {
        // Until it knows that it is to drain; nothing tells that.
        tokio::time::sleep(Duration::from_secs(1)).await;
        gate.open();
    };
    tokio::join!(t.workers[first].drain(), opening);
    let seen = t.run(run).await;
    assert_eq!(outcome(&seen, "reserve", "forward"), "ok", "an attempt under way is let to its end");
    assert_eq!(t.count("ready WHERE lane IS NOT NULL").await, 0);
    assert_eq!(t.count("lane WHERE alive").await, 0);
    t.add_worker(config("second")).await;
    let run = t.is(run, "completed").await;
    let workers: Vec<_> = forward(&run).iter().map(|step| step.worker.as_deref()).collect();
    assert_eq!(workers, [Some("first"), Some("second"), Some("second"), Some("second")]);
    let calls = ["reserve", "once", "charge", "note"].map(|name| t.script.count(name, Side::Run));
    assert_eq!((calls, t.script.count("charge", Side::Verify)), ([1, 1, 1, 1], 0), "nothing became unknown by it");
    t.finish().await;
}

#[tokio::test]
async fn a_full_worker_claims_again_when_slots_free_up() {
    let mut t = TestEngine::idle().await;
    t.add_worker(WorkerConfig { slots: 1, ..config("w0") }).await;
    let began = std::time::Instant::now();
    for _ in 0..20 {
        t.ends(&[call("note")], "completed").await;
    }
    // Its heartbeat would wake it too, every twelve seconds.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    t.finish().await;
}

#[tokio::test]
async fn one_bad_start_of_a_batch_hurts_itself_alone() {
    let t = TestEngine::new().await;
    let id = RunId::now_v7();
    let with_id = || StartRun { id: Some(id), ..request("scripted", &[call("note")]) };
    let good = || request("scripted", &[call("note")]);
    let codes = async |batch: Vec<StartRun>| -> Vec<Result<(), &'static str>> {
        let started = t.engine.start_batch(batch).await.expect("the batch is taken");
        started.into_iter().map(|one| one.map(|_| ()).map_err(|error| error.code())).collect()
    };
    let refused = Err("invalid_request");
    assert_eq!(codes(vec![with_id(), with_id(), good()]).await, [Ok(()), refused, Ok(())], "twice in one batch");
    assert_eq!(codes(vec![good(), with_id(), good()]).await, [Ok(()), refused, Ok(())], "there already");
    let text = |text: &str| Some(text.to_owned());
    let bad = [
        StartRun { key: text("\0"), ..good() },
        StartRun { queue: text("\0"), ..good() },
        StartRun { workflow: "\0".to_owned(), ..good() },
        StartRun { start_at: Some(Time::MIN_UTC), ..good() },
        StartRun { start_at: Some(Time::MAX_UTC), ..good() },
        StartRun { tags: [("a".to_owned(), "\0".to_owned())].into(), ..good() },
        StartRun { input: to_json(&"\0").expect("JSON"), ..good() },
    ];
    for one in bad {
        assert_eq!(codes(vec![good(), one.clone(), good()]).await, [Ok(()), refused, Ok(())], "{one:?}");
    }
    t.finish().await;
}

#[tokio::test]
async fn the_library_checks_texts_and_times_too() {
    let t = TestEngine::idle().await;
    let (engine, by) = (&t.engine, Operator { actor: "ann".into(), reason: Some("why".into()), ..Operator::default() });
    let times = [Time::MIN_UTC, Time::MAX_UTC];
    for since in times {
        let runs = engine.list(&RunFilter { since: Some(since), ..RunFilter::default() }).await.map(drop);
        let until = engine.list(&RunFilter { until: Some(since), ..RunFilter::default() }).await.map(drop);
        let audit = engine.audit(&AuditFilter { since: Some(since), ..AuditFilter::default() }).await.map(drop);
        for answer in [runs, until, audit] {
            assert_eq!(answer.map_err(|error| error.code()), Err("invalid_request"), "{since}");
        }
    }
    let nobody = RunId::now_v7();
    let deep = serde_json::value::RawValue::from_string("[".repeat(20_000) + &"]".repeat(20_000)).expect("JSON");
    let skip = |seq| Verb::Skip { seq, direction: None, output: Some(json!({"a": "\0"})) };
    let nul = Operator { reason: Some("\0".into()), ..by.clone() };
    let answers = [
        (engine.signal(nobody, "go", Some(deep.into()), None).await.err(), "invalid_request"),
        (engine.signal(nobody, "\0", None, None).await.err(), "invalid_request"),
        (engine.apply_verb(nobody, &skip(0), &by).await.err(), "invalid_request"),
        (engine.apply_verb(nobody, &skip(u32::MAX), &by).await.err(), "invalid_request"),
        (engine.schedule("\0", None, 50).await.err(), "unknown_schedule"),
        (engine.schedule("nightly", Some("-262143-01-01T00:00:00Z"), 50).await.err(), "bad_cursor"),
        (engine.pause_schedule("\0", &by).await.err(), "unknown_schedule"),
        (engine.set_retention("\0", None, &by).await.err(), "invalid_request"),
        (engine.release(HoldKind::Queue, "\0", &by).await.err(), "invalid_request"),
        (engine.revoke_key("\0", "ann").await.err(), "unknown_key"),
        (engine.pause_schedule("nightly", &nul).await.err(), "unknown_schedule"),
        (Operator::new("a\0", None, false).err(), "invalid_request"),
    ];
    for (at, (error, code)) in answers.into_iter().enumerate() {
        assert_eq!(error.map(|error| error.code()), Some(code), "answer {at}");
    }
    t.finish().await;
}

#[tokio::test]
async fn a_worker_that_would_lose_its_own_lanes_is_refused() {
    let t = TestEngine::idle().await;
    let config = WorkerConfig { takeover_after: Duration::ZERO, ..config("hasty") };
    let ended = t.engine.worker(config).run(std::future::pending()).await;
    assert_eq!(ended.map_err(|error| error.code()), Err("invalid_request"));
    t.finish().await;
}
