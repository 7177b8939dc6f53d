//! Operators' verbs at the same moment as a worker's record, in each order. As in `races`, each order is forced: by a lock of
//! the test's, or by a worker that waits before a commit until the test lets it go on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use backstitch::engine::{
    RunId, Verb, WorkerConfig,
    testing::{Faults, Moment},
};
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::json;

use super::races::{LANE, blocked, caller, locked, with_one_slot};
use crate::support::{engine::*, script::*, wait_for_lock};

/// Has a worker wait between a decision and its commit: the next one after it was armed.
#[derive(Debug)]
pub(super) struct BeforeCommit {
    armed: AtomicBool,
    pub(super) gate: Gate,
}

impl Faults for BeforeCommit {
    fn commit(&self, _: RunId, moment: Moment) -> BoxFuture<'_, ()> {
        let waits = moment == Moment::Before && self.armed.swap(false, Ordering::SeqCst);
        async move {
            if waits {
                self.gate.pass().await;
            }
        }
        .boxed()
    }
}

impl BeforeCommit {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { armed: AtomicBool::new(false), gate: Gate::new() })
    }

    /// Lets an attempt end, and waits until its worker has decided what comes of that and is about to record it.
    pub(super) async fn decides(&self, attempt: &Gate) {
        attempt.is_reached().await;
        self.armed.store(true, Ordering::SeqCst);
        attempt.open();
        self.gate.is_reached().await;
    }
}

/// An engine whose only worker has one slot, and can be stopped before a commit. Its lane does nothing by itself.
async fn stoppable() -> (TestEngine, Arc<BeforeCommit>) {
    let commit = BeforeCommit::new();
    let mut t = TestEngine::idle().await;
    let takeover_after = std::time::Duration::from_secs(3_600);
    let faults = Some(commit.clone() as Arc<dyn Faults>);
    t.add_worker(WorkerConfig { slots: 1, takeover_after, faults, ..config("first") }).await;
    (t, commit)
}

#[tokio::test]
async fn a_stale_worker_is_fenced_after_an_operators_retry() {
    for declared_dead in [true, false] {
        let (mut t, commit) = stoppable().await;
        let (late, retried) = (Gate::new(), Gate::new());
        let again = Do::Gate(retried.clone(), Do::Give(json!("retried")).into());
        let first = Do::Gate(late.clone(), Do::Give(json!("late")).into());
        t.script.on("charge", Side::Run, [first, Do::Fatal("declined"), again]);
        t.script.on("charge", Side::Verify, [Do::NeverWill]);
        let run = t.start(&[Op::Pivot, call("charge")]).await;
        commit.decides(&late).await;
        // The run goes to another worker: its own was declared dead, or has only lost this run.
        if declared_dead {
            assert_eq!(t.take_over_all().await, 1);
        } else {
            t.execute("UPDATE backstitch.ready SET lane = NULL, fresh = false").await;
        }
        t.add_worker(WorkerConfig { slots: 1, ..config("second") }).await;
        t.is(run, "stuck").await;
        t.engine.retry(run, &operator()).await.expect("a stuck run can be retried");
        retried.is_reached().await;
        commit.gate.open();
        // The stale one has recorded what it had, and let go of it, when it has room for another run.
        t.ends(&[call("note")], "completed").await;
        let seen = t.run(run).await;
        assert_eq!((seen.status.word(), outcome(&seen, "charge", "forward")), ("running", "open"), "{declared_dead}");
        retried.open();
        let seen = t.is(run, "completed").await;
        assert_eq!(output(&seen), json!([null, "retried"]), "{declared_dead}");
        let keys: std::collections::HashSet<_> =
            t.script.calls_of("charge", Side::Run).into_iter().map(|c| c.key).collect();
        assert_eq!(keys.len(), 3, "its key was burnt, and then it had failed");
        t.finish().await;
    }
}

/// A run whose last step ends well behind a gate; then the workflow fails, so that what comes of that is a plan of two undos.
async fn about_to_be_undone(t: &TestEngine) -> (RunId, Gate) {
    let gate = t.script.gate("ship", Side::Run, Do::Ok);
    (t.start(&[call("reserve"), call("ship"), Op::Fail("no".into())]).await, gate)
}

/// Nothing of it begins while it is paused; a resume undoes all that is not undone.
async fn stands_still_with_its_plan(t: TestEngine, run: RunId, undone: &[&str]) {
    let seen = t.is(run, "paused").await;
    let ended: Vec<_> = ["ship", "reserve"].map(|step| outcome(&seen, step, "undo")).into();
    assert_eq!((outcome(&seen, "ship", "forward"), t.script.undone()), ("ok", undone.to_vec()));
    assert_eq!(ended.iter().filter(|ended| **ended == "ok").count(), undone.len(), "{ended:?}");
    assert_eq!((ended.contains(&"missing"), t.count("compensation").await), (false, 1), "the plan is on record");
    assert_eq!((t.count("ready").await, t.count("timer").await), (0, 0), "nothing wakes it");
    t.engine.apply_verb(run, &Verb::Resume, &operator()).await.expect("a paused run can be resumed");
    let seen = t.is(run, "compensated").await;
    assert_eq!(t.script.undone(), ["ship", "reserve"]);
    assert!(undos(&seen).iter().all(|undo| undo.attempts == 1), "none was taken for under way: {seen:?}");
    assert_eq!(seen.failure.expect("it says why").code, "no");
    t.finish().await;
}

#[tokio::test]
async fn a_pause_before_the_plan_commits_lets_no_undo_begin() {
    let (t, commit) = stoppable().await;
    let (run, gate) = about_to_be_undone(&t).await;
    commit.decides(&gate).await;
    t.engine.apply_verb(run, &Verb::Pause, &operator()).await.expect("a run under way can be paused");
    commit.gate.open();
    stands_still_with_its_plan(t, run, &[]).await;
}

#[tokio::test]
async fn a_plan_behind_a_pause_lets_no_undo_begin() {
    let t = with_one_slot().await;
    let (run, gate) = about_to_be_undone(&t).await;
    gate.is_reached().await;
    let audit = locked(&t, "LOCK TABLE backstitch.audit").await;
    let ops = caller(&t, "ops");
    let pause = blocked(&t, "ops", async move { ops.apply_verb(run, &Verb::Pause, &operator()).await }).await;
    gate.open();
    wait_for_lock(t.engine.pool(), LANE).await;
    audit.rollback().await.expect("lets go");
    pause.await.expect("no panic").expect("it was in time");
    stands_still_with_its_plan(t, run, &[]).await;
}

#[tokio::test]
async fn a_pause_behind_a_plan_lets_one_undo_end() {
    let t = with_one_slot().await;
    let (run, gate) = about_to_be_undone(&t).await;
    let undo = t.script.gate("ship", Side::Undo, Do::Ok);
    gate.is_reached().await;
    let same_plan =
        format!("INSERT INTO backstitch.compensation (run_id, cause, planned_at) VALUES ('{run}', '{{}}', now())");
    let plan = locked(&t, &same_plan).await;
    gate.open();
    wait_for_lock(t.engine.pool(), LANE).await;
    let ops = caller(&t, "ops");
    let pause = blocked(&t, "ops", async move { ops.apply_verb(run, &Verb::Pause, &operator()).await }).await;
    plan.rollback().await.expect("lets go");
    pause.await.expect("no panic").expect("a run that is being undone can be paused");
    undo.is_reached().await;
    undo.open();
    stands_still_with_its_plan(t, run, &["ship"]).await;
}
