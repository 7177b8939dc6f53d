//! The seven promises of the design, under their names. `accepted_is_durable` is in `crash`, with a Postgres of its own.

use serde_json::json;

use crate::support::{engine::*, script::*, wait_until};

#[tokio::test]
async fn recorded_once() {
    let mut t = TestEngine::new().await;
    let gate = Gate::new();
    let late = Do::Gate(gate.clone(), Do::Give(json!("late")).into());
    t.script.on("reserve", Side::Run, [late, Do::Give(json!("first"))]);
    let run = t.start(&[call("reserve"), signal("go", None)]).await;
    gate.is_reached().await;
    // Its worker does not know yet that it has been declared dead.
    assert_eq!(t.take_over_all().await, 1);
    t.add_worker(config("other")).await;
    t.is(run, "waiting").await;
    gate.open();
    t.send(run, "go", json!(null)).await;
    let run = t.is(run, "completed").await;
    assert_eq!(output(&run), json!(["first", null]), "what the fenced worker had to say is not on record");
    assert_eq!((t.count("step WHERE name = 'reserve'").await, t.script.count("reserve", Side::Run)), (1, 2));
    t.finish().await;
}

#[tokio::test]
async fn recorded_once_even_if_the_row_is_written_to_again() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("reserve", Side::Run, Do::Give(json!("second")));
    let run = t.start(&[call("reserve"), signal("go", None)]).await;
    gate.is_reached().await;
    // As an operator's resolve would, behind the worker's back.
    t.execute("UPDATE backstitch.step SET outcome = 2, output = '\"resolved\"'").await;
    gate.open();
    t.is(run, "waiting").await;
    assert_eq!(t.count("step WHERE name = 'reserve' AND outcome = 2 AND output::text = '\"resolved\"'").await, 1);
    t.finish().await;
}

#[tokio::test]
async fn at_least_once_with_a_stable_key() {
    let mut t = TestEngine::idle().await;
    let first = t.add_worker(hasty("first")).await;
    let gate = Gate::new();
    t.script.on("reserve", Side::Run, [Do::Failed("busy"), Do::Unknown("lost")]);
    t.script.on("charge", Side::Run, [Do::Gate(gate.clone(), Do::Hang.into())]);
    t.script.on("charge", Side::Verify, [Do::NeverWill]);
    let run = t.start(&[call("charge"), call("reserve"), Op::Fail("no".into())]).await;
    gate.is_reached().await;
    t.workers[first].kill().await;
    t.add_worker(hasty("second")).await;
    t.is(run, "compensated").await;
    let keys = |name, side| t.script.calls_of(name, side).into_iter().map(|call| call.key).collect::<Vec<_>>();
    let (old, new) = (format!("{run}/0"), format!("{run}/0.1"));
    assert_eq!(keys("charge", Side::Run), [old.clone(), new], "stable until it is sure that it never took effect");
    assert_eq!(keys("charge", Side::Verify), [old], "over the crash, too");
    assert_eq!(keys("charge", Side::Undo), [format!("{run}/0/undo")]);
    assert_eq!(keys("reserve", Side::Run), [format!("{run}/1"), format!("{run}/1"), format!("{run}/1")]);
    t.finish().await;
}

#[tokio::test]
async fn at_least_once_with_a_stable_key_for_an_undo() {
    let t = TestEngine::new().await;
    let gate = Gate::new();
    t.script.on("reserve", Side::Run, [Do::Give(json!({ "hold": 7 }))]);
    t.script.on("reserve", Side::Undo, [Do::Unknown("lost"), Do::Gate(gate.clone(), Do::Hang.into())]);
    let run = t.start(&[call("reserve"), Op::Fail("no".into())]).await;
    gate.is_reached().await;
    t.take_over_all().await;
    t.is(run, "compensated").await;
    let undos = t.script.calls_of("reserve", Side::Undo);
    assert_eq!(undos.len(), 3);
    assert!(undos.iter().all(|undo| undo.key == format!("{run}/0/undo") && undo.output == Some(json!({ "hold": 7 }))));
    t.finish().await;
}

#[tokio::test]
async fn undone_in_reverse() {
    let t = TestEngine::new().await;
    t.script.on("charge", Side::Undo, [Do::Failed("busy")]);
    let program = [call("reserve"), call("note"), call("charge"), call("ship"), Op::Fail("no".into())];
    let run = t.ends(&program, "compensated").await;
    assert_eq!(
        t.script.undone(),
        ["ship", "charge", "charge", "reserve"],
        "the last first, each when the later are done"
    );
    let failure = run.failure.clone().expect("it says why");
    assert_eq!((failure.code.as_str(), undos(&run).len()), ("no", 3));
    assert_eq!(t.count("compensation").await, 1, "one plan");
    t.finish().await;
}

#[tokio::test]
async fn undone_in_reverse_with_independent_branches() {
    let t = TestEngine::new().await;
    t.script.always("charge", Side::Undo, Do::Failed("down"));
    let program =
        [call("once"), Op::Both(vec![call("reserve"), call("charge")], vec![call("ship")]), Op::Fail("no".into())];
    let run = t.ends(&program, "stuck").await;
    let failure = run.failure.clone().expect("it says why");
    assert_eq!(
        (failure.code.as_str(), failure.step),
        ("undo_failed", forward(&run).iter().find(|s| s.name == "charge").map(|s| s.seq))
    );
    let stand = |run: &_| ["once", "reserve", "charge", "ship"].map(|name| outcome(run, name, "undo").to_owned());
    assert_eq!(stand(&run), ["open", "open", "failed", "ok"], "the other branch is undone, what came before waits");
    assert_eq!(run.waiting_on.as_ref().expect("it waits").kind, "operator");
    assert_eq!(t.count("attention").await, 1);
    t.script.always("charge", Side::Undo, Do::Ok);
    let plan = t.engine.retry(run.id, &operator()).await.expect("a stuck run can be retried");
    assert_eq!(plan.retry, [failure.step.expect("it names the step")]);
    let run = t.is(run.id, "compensated").await;
    assert_eq!(stand(&run), ["ok"; 4]);
    assert_eq!(t.script.undone().iter().rev().take(2).collect::<Vec<_>>(), [&"once", &"reserve"]);
    assert_eq!(
        (t.count("attention").await, t.script.count("ship", Side::Undo)),
        (0, 1),
        "what is done is not done again"
    );
    t.finish().await;
}

#[tokio::test]
async fn undone_in_reverse_only_by_an_operator_after_the_pivot() {
    let t = TestEngine::new().await;
    t.script.on("ship", Side::Run, [Do::Fatal("no_van")]);
    let run = t.ends(&[call("reserve"), Op::Pivot, call("ship"), call("charge")], "stuck").await;
    assert_eq!((run.failure.expect("it says why").code.as_str(), t.script.undone().len()), ("no_van", 0));
    assert_eq!(t.engine.cancel(run.id, &operator()).await.expect_err("it is past its pivot").code(), "past_pivot");
    t.engine.retry(run.id, &operator()).await.expect("a stuck run can be retried");
    let run = t.is(run.id, "completed").await;
    assert_eq!(outcome(&run, "ship", "forward"), "ok");
    let plan = t.engine.compensate(run.id, &operator()).await.expect("an operator crosses the pivot");
    let planned: Vec<_> = plan.undo.iter().map(|undo| undo.activity.as_str()).collect();
    assert_eq!(planned, ["charge", "ship", "reserve"]);
    let run = t.is(run.id, "compensated").await;
    assert_eq!((t.script.undone(), undos(&run).len()), (vec!["charge", "ship", "reserve"], 3));
    assert_eq!(run.failure.expect("it says why").code, "compensated");
    assert_eq!(t.engine.compensate(run.id, &operator()).await.expect_err("it is undone").code(), "wrong_state");
    t.finish().await;
}

#[tokio::test]
async fn undone_in_reverse_when_cancelled_after_attempts_have_ended() {
    let t = TestEngine::new().await;
    t.script.on("charge", Side::Run, [Do::UntilCancelled(Do::Ok.into())]);
    let run = t.start(&[call("reserve"), call("charge"), call("ship")]).await;
    wait_until("the attempt is under way", async || t.script.count("charge", Side::Run) == 1).await;
    t.engine.cancel(run, &operator()).await.expect("it is not past its pivot");
    let run = t.is(run, "compensated").await;
    assert_eq!(outcome(&run, "charge", "forward"), "ok", "the attempt under way was let to its end");
    assert_eq!((t.script.undone(), t.script.count("ship", Side::Run)), (vec!["charge", "reserve"], 0));
    t.finish().await;
}

#[tokio::test]
async fn undone_in_reverse_with_nothing_to_undo_is_failed() {
    let t = TestEngine::new().await;
    let run = t.start(&[call("note"), signal("go", None)]).await;
    t.is(run, "waiting").await;
    t.engine.cancel(run, &operator()).await.expect("it is not past its pivot");
    let run = t.is(run, "failed").await;
    assert_eq!((run.failure.expect("it says why").code.as_str(), run.waiting_on.is_none()), ("cancelled", true));
    assert_eq!(t.count("compensation").await, 0);
    t.finish().await;
}

#[tokio::test]
async fn no_limbo_finds_every_kind_of_it() {
    let t = TestEngine::new().await;
    let waits = async |program: &[Op]| {
        let run = t.start(program).await;
        t.is(run, "waiting").await;
        run
    };
    let asleep = waits(&[Op::Sleep(3_600_000)]).await;
    let late = waits(&[Op::Sleep(3_600_000)]).await;
    let deaf = waits(&[signal("go", None)]).await;
    let nameless = waits(&[signal("go", None)]).await;
    let orphan = waits(&[signal("go", None)]).await;
    let fine = waits(&[signal("go", Some(3_600_000))]).await;
    let mute = t.ends(&[Op::Panic], "stuck").await.id;
    assert_eq!(t.engine.limbo().await.expect("it can be asked for"), []);
    let mut t = t;
    t.workers[0].drain().await;
    t.execute(&format!("DELETE FROM backstitch.timer WHERE run_id = '{asleep}'")).await;
    t.execute(&format!("UPDATE backstitch.timer SET due_at = due_at + interval '1 h' WHERE run_id = '{late}'")).await;
    let signal = format!("INSERT INTO backstitch.signal (run_id, name, created_at) VALUES ('{deaf}', 'go', now())");
    t.execute(&signal).await;
    t.execute(&format!("UPDATE backstitch.run SET wait_kind = NULL, status = 0 WHERE id = '{nameless}'")).await;
    t.execute(&format!("UPDATE backstitch.run SET failure = NULL WHERE id = '{mute}'")).await;
    let held = "INSERT INTO backstitch.ready (run_id, due_at, lane, workflow_id, fresh, queue)
        SELECT r.id, now(), (SELECT id FROM backstitch.lane WHERE NOT alive LIMIT 1), workflow_id, false, queue
        FROM backstitch.run r WHERE r.id = ";
    t.execute(&format!("{held} '{orphan}'")).await;
    let found = t.engine.limbo().await.expect("it can be asked for");
    let found: Vec<_> = found.iter().map(|limbo| limbo.run).collect();
    assert_eq!(found, [asleep, late, deaf, nameless, orphan, mute], "all of them, and not {fine}");
}

#[tokio::test]
async fn never_early() {
    let t = TestEngine::new().await;
    // In memory, with the worker's own clock running: what counts is the database's.
    let short = t.start(&[Op::Sleep(990), call("note")]).await;
    t.until(short, "the timer is on record", |run| run.steps.iter().flatten().count() == 1).await;
    t.advance(-3_600.0).await;
    // Parked, with a timer that looks due by any clock but the database's.
    let long = t.start(&[Op::Sleep(4_000), call("ship")]).await;
    t.is(long, "waiting").await;
    t.advance(-3_600.0).await;
    let began = std::time::Instant::now();
    wait_until("both would long be due", async || began.elapsed().as_millis() > 4_500).await;
    assert_eq!((t.script.count("note", Side::Run), t.script.count("ship", Side::Run)), (0, 0));
    t.advance(7_200.0).await;
    let (short, long) = (t.is(short, "completed").await, t.is(long, "completed").await);
    for run in [short, long] {
        let timer = run.steps.iter().flatten().find(|step| step.kind == "timer").expect("it slept");
        assert!(timer.finished_at >= timer.due_at, "{timer:?}");
    }
    t.finish().await;
}

#[tokio::test]
async fn nothing_unseen() {
    let t = TestEngine::new().await;
    let run = t.start(&[call("reserve"), signal("go", None)]).await;
    t.is(run, "waiting").await;
    let mut silent = operator();
    silent.reason = None;
    assert_eq!(t.engine.cancel(run, &silent).await.expect_err("why?").code(), "reason_required");
    let mut dry = operator();
    dry.dry_run = true;
    let plan = t.engine.cancel(run, &dry).await.expect("it says what would happen");
    assert_eq!((plan.dry_run, plan.undo.len(), t.run(run).await.status.word()), (true, 1, "waiting"));
    assert_eq!(t.engine.retry(run, &operator()).await.expect_err("it is not stuck").code(), "wrong_state");
    assert_eq!(t.count("audit WHERE outcome = 'done'").await, 0, "what was not done is not in the books");
    assert_eq!(t.count("audit WHERE outcome = 'refused'").await, 2, "what was refused is, and a dry run is not");
    // The audit and the request are of one transaction.
    let mut worker = t;
    worker.workers[0].drain().await;
    let t = worker;
    t.engine.cancel(run, &operator()).await.expect("it is not past its pivot");
    let same = "SELECT a.xmin = r.xmin FROM backstitch.audit a JOIN backstitch.run r ON r.id = a.run_id
        WHERE a.outcome = 'done'";
    assert!(sqlx::query_scalar::<_, bool>(same).fetch_one(t.engine.pool()).await.expect("both are there"));
    let row = "SELECT actor, action, reason, before ->> 'status', after ->> 'request' FROM backstitch.audit
        WHERE outcome = 'done'";
    let row: (String, String, String, String, String) =
        sqlx::query_as(row).fetch_one(t.engine.pool()).await.expect("it is there");
    let seen = [row.0.as_str(), &row.1, &row.2, &row.3, &row.4];
    assert_eq!(seen, ["ann", "cancel", "a customer called", "waiting", "cancel"]);
    t.finish().await;
}

#[tokio::test]
async fn nothing_unseen_where_the_audit_can_not_be_written() {
    let t = TestEngine::new().await;
    let run = t.ends(&[call("reserve"), Op::Panic], "stuck").await.id;
    t.execute("ALTER TABLE backstitch.audit ADD CONSTRAINT nothing CHECK (false) NOT VALID").await;
    t.engine.retry(run, &operator()).await.expect_err("it can't be recorded");
    t.engine.compensate(run, &operator()).await.expect_err("it can't be recorded");
    let seen = t.run(run).await;
    assert_eq!((seen.status.word(), t.script.undone().len(), t.count("ready").await), ("stuck", 0, 0));
    t.finish().await;
}
