//! Steps that share a transaction: those of an activity with `run_many` that wait at the same time commit together, each with
//! its own outcome; what goes wrong with one costs no other; a worker's death at any point of a commit leaves all or nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use backstitch::engine::{
    Activity, ActivityCalls, ActivityContext, ActivityError, Answer, Context, Failure, Policy, Registry, Retry, RunId,
    Verb, WorkerConfig, Workflow,
    testing::{Faults, Moment},
};
use futures_util::{FutureExt, future::BoxFuture};
use sqlx::PgConnection;
use tokio::sync::Semaphore;

use crate::support::{engine::*, wait_until, wait_until_within};

/// 13 is refused by the statement, 14 by the commit.
const TABLES: [&str; 3] = [
    "CREATE TABLE effect (run uuid PRIMARY KEY, n int NOT NULL CHECK (n <> 13))",
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.n = 14 THEN RAISE integrity_constraint_violation; END IF; RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON effect DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        EXECUTE FUNCTION refuse()",
];

/// What a call does.
pub(crate) type How = (u32, String);

/// What the activities of a test share: a gate at which `waits` waits, and what was called.
#[derive(Clone)]
pub(crate) struct World {
    gate: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    statements: Arc<AtomicUsize>,
    batches: Arc<AtomicUsize>,
}

impl World {
    fn new() -> Self {
        let zero = Arc::<AtomicUsize>::default;
        Self { gate: Arc::new(Semaphore::new(0)), waiting: zero(), statements: zero(), batches: zero() }
    }

    fn registry(&self) -> Registry {
        let registry = Registry::new().workflow(Calls).activity(Each);
        registry.activity(Many(self.clone())).activity(Posted(self.batches.clone()))
    }

    /// So many calls wait at the gate.
    async fn have_come(&self, calls: usize) {
        wait_until("calls wait at the gate", async || self.waiting.load(Ordering::SeqCst) >= calls).await;
    }

    async fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.expect("it is never closed").forget();
    }

    pub(crate) fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }
}

async fn insert(conn: &mut PgConnection, cx: &ActivityContext, (n, how): &How) -> Result<u32, ActivityError> {
    let query = "INSERT INTO effect VALUES ($1, $2)";
    sqlx::query(query).bind(cx.run_id()).bind(n.cast_signed()).execute(&mut *conn).await?;
    if how == "fails" { Err(ActivityError::failed("fails", "as the test says").fatal()) } else { Ok(*n) }
}

fn once() -> Policy {
    Policy { retry: Retry::NEVER, ..Policy::of_transaction() }
}

/// One at a time.
struct Each;

impl Activity for Each {
    const NAME: &'static str = "each";
    const TRANSACTIONAL: bool = true;
    type Input = How;
    type Output = u32;

    fn policy() -> Policy {
        once()
    }

    async fn run(&self, cx: &ActivityContext, how: &How) -> Result<u32, ActivityError> {
        insert(&mut *cx.tx().await?, cx, how).await
    }
}

/// All at once, in one statement.
struct Many(World);

impl Activity for Many {
    const NAME: &'static str = "many";
    const TRANSACTIONAL: bool = true;
    const UNDOABLE: bool = true;
    type Input = How;
    type Output = u32;

    fn policy() -> Policy {
        once()
    }

    async fn run(&self, cx: &ActivityContext, how: &How) -> Result<u32, ActivityError> {
        if how.1 == "waits" {
            self.0.pass().await;
        }
        insert(&mut *cx.tx().await?, cx, how).await
    }

    async fn run_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<u32>>, ActivityError> {
        let is = |how: &'static str| move |call: &&backstitch::engine::ActivityCall<'_, Self>| call.input.1 == how;
        let (bad, good): (Vec<_>, Vec<_>) = calls.iter().partition(|call| is("fails")(call));
        let runs: Vec<RunId> = good.iter().map(|call| call.cx.run_id()).collect();
        let numbers: Vec<i32> = good.iter().map(|call| call.input.0.cast_signed()).collect();
        let query = "INSERT INTO effect SELECT * FROM unnest($1::uuid[], $2::int[])";
        sqlx::query(query).bind(runs).bind(numbers).execute(&mut *calls.tx().await?).await?;
        self.0.statements.fetch_add(1, Ordering::SeqCst);
        if calls.iter().any(|call| is("waits")(&call)) {
            self.0.pass().await;
        }
        let mut answers: Vec<Answer<u32>> = good.iter().map(|call| call.answer(Ok(call.input.0))).collect();
        answers.extend(bad.iter().map(|call| call.answer(Err(ActivityError::failed("fails", "no").fatal()))));
        if calls.iter().any(|call| is("silent")(&call)) {
            answers.pop();
        }
        if let Some(twice) = calls.iter().find(is("twice")) {
            answers.push(twice.answer(Ok(0)));
        }
        Ok(answers)
    }

    async fn undo(&self, cx: &ActivityContext, _: &How, _: Option<&u32>) -> Result<(), ActivityError> {
        let query = "DELETE FROM effect WHERE run = $1";
        sqlx::query(query).bind(cx.run_id()).execute(&mut *cx.tx().await?).await?;
        Ok(())
    }

    async fn undo_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<()>>, ActivityError> {
        let runs: Vec<RunId> = calls.iter().map(|call| call.cx.run_id()).collect();
        let query = "DELETE FROM effect WHERE run = ANY ($1)";
        sqlx::query(query).bind(runs).execute(&mut *calls.tx().await?).await?;
        Ok(calls.iter().map(|call| call.answer(Ok(()))).collect())
    }
}

/// A batch of another system's, which gives one answer too few.
struct Posted(Arc<AtomicUsize>);

impl Activity for Posted {
    const NAME: &'static str = "posted";
    type Input = How;
    type Output = u32;

    async fn run(&self, _: &ActivityContext, how: &How) -> Result<u32, ActivityError> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(how.0)
    }

    async fn run_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<u32>>, ActivityError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(calls.iter().skip(1).map(|call| call.answer(Ok(call.input.0))).collect())
    }
}

/// Calls one activity with its input, and then passes a pivot or fails where the test says so.
struct Calls;

impl Workflow for Calls {
    const NAME: &'static str = "calls";
    type Input = (String, How);
    type Output = u32;

    async fn run(&self, cx: &Context, (activity, how): (String, How)) -> Result<u32, Failure> {
        let then = how.1.clone();
        let given = match activity.as_str() {
            "each" => cx.call::<Each>(how).await?,
            "many" => cx.call::<Many>(how).await?,
            _ => cx.call::<Posted>(how).await?,
        };
        if then == "pivot" {
            cx.pivot().await;
        }
        if then == "undone" { Err(Failure::new("no", "as the test says")) } else { Ok(given) }
    }
}

pub(crate) fn roomy(name: &str) -> WorkerConfig {
    WorkerConfig { slots: 500, ..config(name) }
}

/// All in one commit, so that they are claimed together.
pub(crate) async fn start(t: &TestEngine, activity: &str, hows: Vec<How>) -> Vec<RunId> {
    let requests = hows.into_iter().map(|how| request("calls", &(activity, how))).collect();
    let started = t.engine.start_batch(requests).await.expect("accepted");
    started.into_iter().map(|one| one.expect("accepted").run).collect()
}

async fn prepared() -> TestEngine {
    let t = TestEngine::idle().await;
    for statement in TABLES {
        t.execute(statement).await;
    }
    t
}

pub(crate) async fn with_worker(config: WorkerConfig) -> (TestEngine, World) {
    let (mut t, world) = (prepared().await, World::new());
    t.add_worker_with(config, world.registry()).await;
    (t, world)
}

/// Two calls that wait take all places for groups of `many`; what is started now is claimed, and gathers.
pub(crate) async fn gather(t: &TestEngine, world: &World, hows: Vec<How>) -> Vec<RunId> {
    start(t, "many", vec![(1, "waits".into())]).await;
    world.have_come(1).await;
    start(t, "many", vec![(2, "waits".into())]).await;
    world.have_come(2).await;
    let runs = start(t, "many", hows).await;
    are_claimed(t, runs.len() + 2).await;
    runs
}

pub(crate) async fn are_claimed(t: &TestEngine, runs: usize) {
    wait_until("they are claimed", async || t.count("ready WHERE lane IS NOT NULL").await == runs as i64).await;
}

async fn have_ended(t: &TestEngine, runs: usize) {
    let ended = async || t.count("run WHERE status >= 5").await == runs as i64;
    wait_until_within(Duration::from_secs(60), "all have ended", ended).await;
}

pub(crate) async fn have_completed(t: &TestEngine, runs: usize) {
    have_ended(t, runs).await;
    assert_eq!(t.count("run WHERE status = 5").await, runs as i64);
}

pub(crate) fn plain(n: u32) -> How {
    (n, String::new())
}

pub(crate) async fn read(t: &TestEngine, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(t.engine.pool()).await.expect("reads")
}

const EFFECTS: &str = "SELECT count(*) FROM effect";
const COMMITS: &str = "SELECT count(DISTINCT xmin::text) FROM effect";
pub(crate) const RECORDED: &str =
    "SELECT count(*) FROM effect e JOIN backstitch.step s ON s.run_id = e.run AND s.xmin = e.xmin";

#[tokio::test]
async fn steps_that_wait_together_share_a_commit() {
    let (t, world) = with_worker(roomy("w0")).await;
    gather(&t, &world, (100..300).map(plain).collect()).await;
    world.open();
    have_completed(&t, 202).await;
    assert_eq!(read(&t, RECORDED).await, 202, "each effect and its record are of one transaction");
    let commits = read(&t, COMMITS).await;
    assert!(commits <= 60, "{commits} commits");
    assert!(world.statements.load(Ordering::SeqCst) <= 60);
    t.finish().await;
}

#[tokio::test]
async fn an_activity_without_run_many_keeps_its_own_transaction() {
    let (t, _) = with_worker(roomy("w0")).await;
    start(&t, "each", (100..150).map(plain).collect()).await;
    have_completed(&t, 50).await;
    assert_eq!((read(&t, RECORDED).await, read(&t, COMMITS).await), (50, 50));
    t.finish().await;
}

#[tokio::test]
async fn one_that_fails_leaves_nothing_and_costs_nobody() {
    let (t, world) = with_worker(roomy("w0")).await;
    let how = |n: u32| (n, if n.is_multiple_of(10) { "fails".to_owned() } else { String::new() });
    gather(&t, &world, (100..200).map(how).collect()).await;
    world.open();
    have_ended(&t, 102).await;
    assert_eq!((t.count("run WHERE status = 5").await, t.count("step WHERE outcome = 2").await), (92, 10));
    assert_eq!(read(&t, "SELECT count(*) FROM effect WHERE n >= 100 AND n % 10 = 0").await, 0);
    assert_eq!(read(&t, EFFECTS).await, 92);
    assert!(read(&t, COMMITS).await <= 30, "it is not done one by one for that");
    t.finish().await;
}

#[tokio::test]
async fn a_refused_statement_costs_only_its_own_run() {
    let (t, world) = with_worker(roomy("w0")).await;
    gather(&t, &world, (100..200).chain([13]).map(plain).collect()).await;
    world.open();
    have_ended(&t, 103).await;
    assert_eq!((t.count("run WHERE status = 5").await, t.count("step WHERE outcome = 2").await), (102, 1));
    assert_eq!(read(&t, EFFECTS).await, 102);
    assert!(read(&t, COMMITS).await <= 40, "it is found by halves");
    t.finish().await;
}

#[tokio::test]
async fn a_record_that_is_refused_costs_only_its_run() {
    let (t, world) = with_worker(roomy("w0")).await;
    let runs = gather(&t, &world, (100..200).chain([14]).map(plain).collect()).await;
    world.open();
    wait_until_within(Duration::from_secs(60), "the others are done", async || {
        t.count("run WHERE status = 5").await == 102
    })
    .await;
    let run = t.is(runs[100], "stuck").await;
    assert_eq!(run.failure.map(|failure| failure.code).as_deref(), Some("unrecordable"));
    assert_eq!((read(&t, EFFECTS).await, read(&t, RECORDED).await), (102, 102));
    t.finish().await;
}

#[tokio::test]
async fn a_group_without_one_answer_each_is_done_singly() {
    for broken in ["silent", "twice"] {
        let (t, world) = with_worker(roomy("w0")).await;
        gather(&t, &world, (100..150).map(|n| (n, broken.to_owned())).collect()).await;
        world.open();
        have_completed(&t, 52).await;
        assert_eq!((read(&t, COMMITS).await, read(&t, RECORDED).await), (52, 52), "{broken}");
        t.finish().await;
    }
}

#[tokio::test]
async fn a_call_that_a_batch_does_not_answer_is_unknown() {
    let (t, world) = with_worker(roomy("w0")).await;
    start(&t, "posted", (100..150).map(plain).collect()).await;
    have_completed(&t, 50).await;
    let unknown = t.count("step WHERE attempt_log[1] ->> 'outcome' = 'unknown'").await;
    assert!(world.batches.load(Ordering::SeqCst) > 0 && unknown > 0, "{unknown}");
    t.finish().await;
}

#[tokio::test]
async fn undos_share_a_commit_too() {
    let (t, world) = with_worker(roomy("w0")).await;
    gather(&t, &world, (100..300).map(|n| (n, "undone".to_owned())).collect()).await;
    world.open();
    have_ended(&t, 202).await;
    assert_eq!((t.count("run WHERE status = 6").await, read(&t, EFFECTS).await), (200, 2));
    let query = "SELECT count(DISTINCT xmin::text) FROM backstitch.step WHERE direction = 1 AND outcome = 1";
    let commits = read(&t, query).await;
    assert!(commits <= 100, "{commits}");
    t.finish().await;
}

#[tokio::test]
async fn one_that_hangs_delays_nobody_beyond_its_timeout() {
    let (t, world) = with_worker(roomy("w0")).await;
    let mut hows: Vec<How> = (100..110).map(plain).collect();
    hows.push((0, "waits".into()));
    let runs = gather(&t, &world, hows).await;
    world.gate.add_permits(2);
    wait_until("all others are done", async || t.count("run WHERE status = 5").await == 12).await;
    assert_eq!(t.count("ready").await, 1, "and it still waits");
    world.open();
    t.is(runs[10], "completed").await;
    assert_eq!(read(&t, RECORDED).await, 13);
    t.finish().await;
}

#[tokio::test]
async fn a_takeover_takes_all_of_an_open_group() {
    let (t, world) = with_worker(roomy("w0")).await;
    let hows = (100..150).map(|n| (n, "waits".to_owned())).collect();
    gather(&t, &world, hows).await;
    world.gate.add_permits(2);
    world.have_come(3).await;
    assert!(t.take_over_all().await > 0);
    world.open();
    have_completed(&t, 52).await;
    assert_eq!((read(&t, EFFECTS).await, read(&t, RECORDED).await), (52, 52));
    t.finish().await;
}

/// Holds one run before its commit.
#[derive(Debug)]
struct Hold {
    run: RunId,
    reached: Semaphore,
    gate: Semaphore,
}

impl Faults for Hold {
    fn commit(&self, run: RunId, moment: Moment) -> BoxFuture<'_, ()> {
        async move {
            if run == self.run && moment == Moment::Before {
                self.reached.add_permits(1);
                drop(self.gate.acquire().await);
            }
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_cancel_before_a_pivot_costs_no_other_member() {
    let run = uuid::Uuid::now_v7();
    let hold = Arc::new(Hold { run, reached: Semaphore::new(0), gate: Semaphore::new(0) });
    let config = WorkerConfig { faults: Some(hold.clone()), ..roomy("w0") };
    let (t, world) = with_worker(config).await;
    gather(&t, &world, vec![]).await;
    let mut requests: Vec<_> = (100..110).map(|n| request("calls", &("many", (n, "pivot")))).collect();
    requests[0].id = Some(run);
    t.engine.start_batch(requests).await.expect("accepted");
    are_claimed(&t, 12).await;
    world.open();
    drop(hold.reached.acquire().await);
    t.engine.apply_verb(run, &Verb::Cancel, &operator()).await.expect("it can be cancelled");
    hold.gate.add_permits(100);
    have_ended(&t, 12).await;
    assert_eq!((t.count("run WHERE status = 5").await, read(&t, EFFECTS).await), (11, 11));
    t.finish().await;
}

/// The worker stands still at a point of some commit, for ever.
#[derive(Debug)]
struct Doom {
    at: Moment,
    left: AtomicUsize,
    reached: Semaphore,
}

impl Faults for Doom {
    fn commit(&self, _: RunId, moment: Moment) -> BoxFuture<'_, ()> {
        async move {
            if moment == self.at && self.left.fetch_sub(1, Ordering::SeqCst) <= 1 {
                self.left.store(0, Ordering::SeqCst);
                self.reached.add_permits(1);
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_death_around_a_commit_leaves_all_or_nothing() {
    for (size, nth) in [(1, 1), (2, 2), (200, 60)] {
        for at in [Moment::Before, Moment::Within, Moment::After] {
            let mut t = prepared().await;
            let doom = Arc::new(Doom { at, left: AtomicUsize::new(nth), reached: Semaphore::new(0) });
            let doomed = WorkerConfig { faults: Some(doom.clone()), ..roomy("doomed") };
            t.add_worker_with(doomed, World::new().registry()).await;
            start(&t, "many", (100..100 + size).map(plain).collect()).await;
            wait_until("it comes to its end", async || doom.reached.available_permits() > 0).await;
            t.workers[0].kill().await;
            wait_until("its lane can be taken over", async || {
                t.take_over_all().await >= 0 && t.count("lane WHERE alive").await == 0
            })
            .await;
            let torn = read(&t, EFFECTS).await - read(&t, RECORDED).await;
            assert_eq!(torn, 0, "{size} {at:?}");
            t.add_worker_with(roomy("second"), World::new().registry()).await;
            have_completed(&t, size as usize).await;
            assert_eq!((read(&t, EFFECTS).await, read(&t, RECORDED).await), (size.into(), size.into()));
            t.finish().await;
        }
    }
}
