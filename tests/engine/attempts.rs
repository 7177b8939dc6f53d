//! The log of attempts: what did not end well is on record one by one, and stays.

use backstitch::engine::{Outcome, PastAttempt, PolicyOverride, RunStep, Verb};
use serde_json::json;

use crate::support::{engine::*, script::*, wait_until};

/// Each entry: the attempt, whether it was a verification, how it ended, with which error.
fn log(step: &RunStep) -> Vec<(u32, bool, &'static str, Option<&str>)> {
    fn code(past: &PastAttempt) -> Option<&str> {
        past.error.as_ref().map(|error| error.code.as_str())
    }
    step.attempt_log.iter().map(|past| (past.attempt, past.verification, past.outcome.word(), code(past))).collect()
}

fn begun_and_ended_in_order(step: &RunStep) -> bool {
    let times = step.attempt_log.iter().flat_map(|past| [past.started_at, Some(past.ended_at)]);
    times.collect::<Option<Vec<_>>>().is_some_and(|times| times.is_sorted())
}

#[tokio::test]
async fn each_attempt_that_did_not_end_well_is_on_record() {
    let t = TestEngine::new().await;
    t.script.on("charge", Side::Run, [Do::Failed("busy"), Do::Unknown("lost")]);
    t.script.on("charge", Side::Verify, [Do::Happened(json!("it did"))]);
    t.script.on("charge", Side::Undo, [Do::Unknown("slow"), Do::Failed("busy")]);
    let run = t.ends(&[call("note"), call("charge"), Op::Fail("no".into())], "compensated").await;
    let (note, charge, undo) = (forward(&run)[0], forward(&run)[1], undos(&run)[0]);
    assert_eq!(log(note), [], "what is ok at once has none");
    assert_eq!(log(charge), [(1, false, "failed", Some("busy")), (2, false, "unknown", Some("lost"))]);
    assert_eq!(log(undo), [(1, false, "unknown", Some("slow")), (2, false, "failed", Some("busy"))]);
    for step in [charge, undo] {
        assert!(begun_and_ended_in_order(step), "{step:?}");
        assert_eq!((step.attempts, step.outcome), (3, Some(Outcome::Ok)));
        let last = step.attempt_log.last().expect("there are two").started_at;
        assert!(step.started_at > last, "the row tells of the last attempt");
    }
    t.finish().await;
}

#[tokio::test]
async fn every_verification_is_on_record() {
    let t = TestEngine::new().await;
    t.script.on("charge", Side::Run, [Do::Unknown("lost")]);
    t.script.on("charge", Side::Verify, [Do::NeverWill]);
    let run = t.ends(&[call("charge")], "completed").await;
    assert_eq!(log(forward(&run)[0]), [(1, false, "unknown", Some("lost")), (2, true, "failed", None)]);
    t.script.on("charge", Side::Run, [Do::Unknown("lost")]);
    t.script.on("charge", Side::Verify, [Do::NotYet, Do::NotYet]);
    let run = t.ends(&[Op::Try("charge".into())], "completed").await;
    let verification = |attempt| (attempt, true, "unknown", Some("not_yet_known"));
    assert_eq!(log(forward(&run)[0]), [(1, false, "unknown", Some("lost")), verification(2), verification(3)]);
    t.finish().await;
}

#[tokio::test]
async fn the_first_and_the_latest_attempts_are_kept() {
    let t = TestEngine::new().await;
    t.script.always("note", Side::Run, Do::Failed("no\0body"));
    let run = t.ends(&[call("note")], "failed").await.id;
    let policy =
        PolicyOverride { max_attempts: Some(12), first_ms: Some(1), longest_ms: Some(1), ..Default::default() };
    t.engine.apply_verb(run, &Verb::Retry { policy: Some(policy) }, &operator()).await.expect("it has failed");
    let run = t.until(run, "twelve more", |run| run.status == "failed" && forward(run)[0].attempts == 12).await;
    let step = forward(&run)[0];
    let numbers: Vec<u32> = step.attempt_log.iter().map(|past| past.attempt).collect();
    assert_eq!(numbers, [1, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert!(log(step).iter().all(|(.., code)| *code == Some("no\0body")) && begun_and_ended_in_order(step));
    t.finish().await;
}

#[tokio::test]
async fn a_lost_attempt_is_on_record_with_its_beginning() {
    let mut t = TestEngine::idle().await;
    let first = t.add_worker(hasty("first")).await;
    t.script.on("reserve", Side::Run, [Do::Hang]);
    let run = t.start(&[call("reserve")]).await;
    wait_until("it is under way", async || t.script.count("reserve", Side::Run) == 1).await;
    let begun = forward(&t.run(run).await)[0].started_at;
    t.add_worker(hasty("second")).await;
    t.workers[first].kill().await;
    let run = t.is(run, "completed").await;
    let step = forward(&run)[0];
    assert_eq!(log(step), [(1, false, "unknown", Some("worker_lost"))]);
    assert_eq!(step.attempt_log[0].started_at, begun);
    assert!(step.started_at >= Some(step.attempt_log[0].ended_at), "the second attempt came after it: {step:?}");
    t.finish().await;
}

/// Steps that are not announced by a row before they are attempted.
#[tokio::test]
async fn a_plain_steps_key_outlives_a_takeover() {
    let t = TestEngine::new().await;
    let gate = Gate::new();
    t.script.on("note", Side::Run, [Do::Gate(gate.clone(), Do::Ok.into()), Do::Fatal("no")]);
    let run = t.start(&[call("note")]).await;
    gate.is_reached().await;
    t.take_over_all().await;
    let ended = t.is(run, "failed").await;
    assert_eq!(outcome(&ended, "note", "forward"), "unknown");
    t.engine.retry(run, &operator()).await.expect("it has failed");
    t.is(run, "completed").await;
    let keys: Vec<_> = t.script.calls_of("note", Side::Run).into_iter().map(|call| call.key).collect();
    assert_eq!(keys, [format!("{run}/0"), format!("{run}/0"), format!("{run}/0")]);
    gate.open();
    t.finish().await;
}
