//! Steps whose `run` changes nothing: no record before an attempt, never unknown, and undone like others once they are on record.

use crate::{
    support::{engine::*, script::*},
    transactional::{TABLE, effects, insert},
};

#[tokio::test]
async fn a_reading_attempt_is_not_announced_by_a_row() {
    let t = TestEngine::new().await;
    let gate = t.script.gate("look", Side::Run, Do::Ok);
    let run = t.start(&[call("look"), call("note")]).await;
    gate.is_reached().await;
    assert_eq!(t.count("step").await, 0);
    gate.open();
    let seen = t.is(run, "completed").await;
    assert_eq!(forward(&seen).iter().map(|step| step.attempts).collect::<Vec<_>>(), [1, 1]);
    t.finish().await;
}

#[tokio::test]
async fn reading_steps_share_the_commit_of_the_step_behind_them() {
    let t = TestEngine::new().await;
    let xmins = "SELECT count(DISTINCT xmin::text) FROM backstitch.step WHERE run_id = $1";
    for tries_left in (0..10).rev() {
        let run = t.ends(&[call("note"), call("look"), call("open"), call("book")], "completed").await;
        assert_eq!(forward(&run).len(), 4);
        let commits: i64 = sqlx::query_scalar(xmins).bind(run.id).fetch_one(t.engine.pool()).await.expect("reads");
        // On a busy machine the last step may take longer than the others wait for it.
        if commits == 1 {
            break;
        }
        assert!(tries_left > 0, "{run:?}");
    }
    t.finish().await;
}

#[tokio::test]
async fn a_reading_step_is_undone_like_others() {
    let t = TestEngine::new().await;
    t.execute(TABLE).await;
    t.script.on("open", Side::Undo, [Do::Sql(insert(1), Do::Ok.into())]);
    let run = t.ends(&[call("look"), call("open"), call("reserve"), Op::Fail("no".into())], "compensated").await;
    assert_eq!((t.script.undone(), effects(&t).await), (vec!["reserve", "open", "look"], vec![1]));
    let same = "SELECT e.xmin = s.xmin FROM effect e, backstitch.step s WHERE s.name = 'open' AND s.direction = 1";
    let same: bool = sqlx::query_scalar(same).fetch_one(t.engine.pool()).await.expect("both are there");
    assert!(same, "a transactional undo shares its record's commit: {run:?}");
    t.finish().await;
}

#[tokio::test]
async fn a_reading_attempt_is_never_unknown() {
    let t = TestEngine::new().await;
    for attempt in [Do::Unknown("lost"), Do::Panic, Do::Hang] {
        t.script.on("look", Side::Run, [attempt.clone(), attempt.clone(), attempt.clone()]);
        let run = t.ends(&[call("reserve"), call("look")], "compensated").await;
        assert_eq!(outcome(&run, "look", "forward"), "failed", "{attempt:?}");
        let unknown = forward(&run)[1].attempt_log.iter().filter(|attempt| attempt.outcome != "failed").count();
        assert_eq!((unknown, undos(&run).len()), (0, 1), "{run:?}");
    }
    assert_eq!(t.script.undone(), ["reserve", "reserve", "reserve"]);
    t.finish().await;
}

#[tokio::test]
async fn a_reading_attempt_lost_with_its_worker_is_made_again() {
    let mut t = TestEngine::idle().await;
    t.add_worker(config("first")).await;
    let gate = t.script.gate("open", Side::Run, Do::Ok);
    let run = t.start(&[call("look"), call("open"), call("note")]).await;
    gate.is_reached().await;
    t.workers[0].kill().await;
    assert_eq!(t.take_over_all().await, 1);
    gate.open();
    t.add_worker(config("second")).await;
    let seen = t.is(run, "completed").await;
    assert!(forward(&seen).iter().all(|step| step.error.is_none() && step.attempts == 1), "{seen:?}");
    assert_eq!((t.script.count("look", Side::Run), t.script.count("open", Side::Run)), (2, 2));
    t.finish().await;
}

#[tokio::test]
async fn a_reading_step_has_no_transaction() {
    let t = TestEngine::new().await;
    t.execute(TABLE).await;
    t.script.on("open", Side::Run, [Do::Sql(insert(1), Do::Ok.into())]);
    let run = t.ends(&[call("open")], "failed").await;
    assert_eq!(run.failure.expect("a reason").code, "not_transactional");
    assert_eq!(effects(&t).await, [0_i32; 0]);
    t.finish().await;
}
