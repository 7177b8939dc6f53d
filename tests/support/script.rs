//! Activities that follow a test's script, and a workflow whose input is its program.
//!
//! A test says what the next calls of an activity do ([`Script::on`]); what is not said ends well. Every call is noted
//! ([`Script::calls`]). The activities differ in what they can: undo, verify, transaction, queue, policy.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool, atomic::AtomicUsize, atomic::Ordering},
    time::Duration,
};

use backstitch::engine::{
    Activity, ActivityContext, ActivityError, Context, Failure, Policy, Registry, Retry, RunId, StepFailure, Verified,
    Workflow, join, outbox::NewEvent,
};
use futures_util::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Which side of an activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Run,
    Verify,
    Undo,
}

/// What a call does.
#[derive(Clone, Debug)]
pub enum Do {
    Ok,
    Give(Value),
    Failed(&'static str),
    Fatal(&'static str),
    Unknown(&'static str),
    UnknownForGood(&'static str),
    Panic,
    Hang,
    /// Goes on when the gate is opened.
    Gate(Gate, Box<Do>),
    /// Notes progress, runs SQL in the step's transaction or emits an event first, then does the rest.
    Note(Value, Box<Do>),
    Sql(String, Box<Do>),
    Emit(&'static str, Box<Do>),
    UntilCancelled(Box<Do>),
    Happened(Value),
    NeverWill,
    NotYet,
}

/// Something that calls wait at until the test lets them go on.
#[derive(Clone, Debug)]
pub struct Gate(Arc<(AtomicUsize, Semaphore)>);

impl Gate {
    pub fn new() -> Self {
        Self(Arc::new((AtomicUsize::new(0), Semaphore::new(0))))
    }

    /// How many calls have come so far.
    pub fn reached(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    /// Waits until a call has come.
    #[track_caller]
    pub fn is_reached(&self) -> impl Future<Output = ()> {
        self.is_reached_by(1)
    }

    #[track_caller]
    pub fn is_reached_by(&self, calls: usize) -> impl Future<Output = ()> {
        let gate = self.clone();
        super::wait_until("the gate is reached", async move || gate.reached() >= calls)
    }

    /// Lets all through, now and later.
    pub fn open(&self) {
        self.0.1.add_permits(100_000);
    }

    /// Waits here, as a call does.
    pub async fn pass(&self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        self.0.1.acquire().await.expect("the gate is not closed for good").forget();
    }
}

/// One call of an activity.
#[derive(Clone, Debug)]
pub struct Call {
    pub side: Side,
    pub activity: &'static str,
    pub run: RunId,
    pub seq: u32,
    pub attempt: u32,
    pub key: String,
    pub details: Option<Value>,
    pub output: Option<Value>,
}

/// What the activities of a test do and did. Cheap to clone; shared by all workers of the test.
#[derive(Clone, Default)]
pub struct Script(Arc<Inner>);

#[derive(Default)]
struct Inner {
    next: Mutex<HashMap<(&'static str, Side), VecDeque<Do>>>,
    always: Mutex<HashMap<(&'static str, Side), Do>>,
    calls: Mutex<Vec<Call>>,
    flag: AtomicBool,
}

impl Script {
    /// What the next calls do, in order; then what [`Script::always`] says, or `Ok`.
    pub fn on(&self, activity: &'static str, side: Side, what: impl IntoIterator<Item = Do>) {
        lock(&self.0.next).entry((activity, side)).or_default().extend(what);
    }

    /// The next call waits at a gate, and does `what` when the test has opened it: `let gate = t.script.gate(..)`, start a run,
    /// `gate.is_reached().await`, bring about what the call is to meet, `gate.open()`.
    pub fn gate(&self, activity: &'static str, side: Side, what: Do) -> Gate {
        let gate = Gate::new();
        self.on(activity, side, [Do::Gate(gate.clone(), Box::new(what))]);
        gate
    }

    pub fn always(&self, activity: &'static str, side: Side, what: Do) {
        lock(&self.0.always).insert((activity, side), what);
    }

    /// All calls so far, in the order in which they began.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.0.calls).clone()
    }

    pub fn calls_of(&self, activity: &str, side: Side) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.activity == activity && call.side == side).collect()
    }

    pub fn count(&self, activity: &str, side: Side) -> usize {
        self.calls_of(activity, side).len()
    }

    /// The activities undone so far, in order.
    pub fn undone(&self) -> Vec<&'static str> {
        self.calls().iter().filter(|call| call.side == Side::Undo).map(|call| call.activity).collect()
    }

    /// Workflow code that is not deterministic looks at this.
    pub fn set_flag(&self, on: bool) {
        self.0.flag.store(on, Ordering::SeqCst);
    }

    /// All activities but `missing`, and all workflows but `versioned`.
    pub fn registry(&self) -> Registry {
        Registry::new()
            .activity(Note(self.clone()))
            .activity(Reserve(self.clone()))
            .activity(Ship(self.clone()))
            .activity(Charge(self.clone()))
            .activity(Brief(self.clone()))
            .activity(Book(self.clone()))
            .activity(Pay(self.clone()))
            .activity(Once(self.clone()))
            .activity(Picky(self.clone()))
            .activity(Slow(self.clone()))
            .activity(Bounded(self.clone()))
            .activity(Look(self.clone()))
            .activity(Open(self.clone()))
            .workflow(Scripted)
            .workflow(Deadlined)
            .workflow(Typed)
            .workflow(Shifty(self.clone()))
    }

    async fn call(&self, side: Side, name: &'static str, cx: &ActivityContext, output: Option<&Value>) -> Done {
        let what = {
            let next = lock(&self.0.next).get_mut(&(name, side)).and_then(VecDeque::pop_front);
            next.or_else(|| lock(&self.0.always).get(&(name, side)).cloned()).unwrap_or(Do::Ok)
        };
        lock(&self.0.calls).push(Call {
            side,
            activity: name,
            run: cx.run_id(),
            seq: cx.seq(),
            attempt: cx.attempt(),
            key: cx.key().to_owned(),
            details: cx.details(),
            output: output.cloned(),
        });
        carry_out(what, name, cx).await
    }
}

type Done = Result<Verified<Value>, ActivityError>;

fn carry_out<'a>(what: Do, name: &'static str, cx: &'a ActivityContext) -> BoxFuture<'a, Done> {
    async move {
        match what {
            Do::Ok => Ok(Verified::Happened(json!({ "by": name }))),
            Do::Give(value) | Do::Happened(value) => Ok(Verified::Happened(value)),
            Do::Failed(code) => Err(ActivityError::failed(code, "as the test says")),
            Do::Fatal(code) => Err(ActivityError::failed(code, "as the test says").fatal()),
            Do::Unknown(code) => Err(ActivityError::unknown(code, "as the test says")),
            Do::UnknownForGood(code) => Err(ActivityError::unknown(code, "as the test says").fatal()),
            Do::Panic => panic!("the activity panics, as the test says"),
            Do::Hang => std::future::pending().await,
            Do::Gate(gate, then) => {
                gate.pass().await;
                carry_out(*then, name, cx).await
            }
            Do::Note(value, then) => {
                cx.heartbeat(&value).expect("JSON");
                carry_out(*then, name, cx).await
            }
            Do::Sql(sql, then) => {
                sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *cx.tx().await?).await?;
                carry_out(*then, name, cx).await
            }
            Do::Emit(event_type, then) => {
                cx.emit(&[NewEvent::new(event_type, cx.run_id().to_string(), "urn:test:1", &())?]).await?;
                carry_out(*then, name, cx).await
            }
            Do::UntilCancelled(then) => {
                cx.cancelled().await;
                carry_out(*then, name, cx).await
            }
            Do::NeverWill => Ok(Verified::NeverWill),
            Do::NotYet => Ok(Verified::NotYet),
        }
    }
    .boxed()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Three attempts, almost at once.
fn quick() -> Policy {
    let wait = Duration::from_millis(5);
    let retry = Retry { max_attempts: 3, first: wait, factor: 1.0, longest: wait };
    Policy { retry, undo_retry: retry, ..Policy::default() }
}

fn after_a_minute(max_attempts: u32, factor: f64) -> Retry {
    let minute = Duration::from_secs(60);
    Retry { max_attempts, first: minute, factor, longest: minute * 10 }
}

/// The activities differ in constants, policy, and in what else they can: `undo`, `verify`.
macro_rules! activity {
    ($type:ident, $name:literal, $policy:expr, [$($can:ident)*] $(, $constant:ident: $kind:ty = $value:expr)*) => {
        pub struct $type(Script);
        impl Activity for $type {
            const NAME: &'static str = $name;
            $(const $constant: $kind = $value;)*
            $(can!($can, $name);)*
            type Input = Value;
            type Output = Value;
            fn policy() -> Policy {
                $policy
            }
            async fn run(&self, cx: &ActivityContext, _: &Value) -> Result<Value, ActivityError> {
                let Verified::Happened(value) = self.0.call(Side::Run, $name, cx, None).await? else { panic!() };
                Ok(value)
            }
        }
    };
}
macro_rules! can {
    (verify, $name:literal) => {
        const VERIFIABLE: bool = true;
        async fn verify(&self, cx: &ActivityContext, _: &Value) -> Result<Verified<Value>, ActivityError> {
            self.0.call(Side::Verify, $name, cx, None).await
        }
    };
    (undo, $name:literal) => {
        const UNDOABLE: bool = true;
        async fn undo(&self, cx: &ActivityContext, _: &Value, output: Option<&Value>) -> Result<(), ActivityError> {
            self.0.call(Side::Undo, $name, cx, output).await.map(drop)
        }
    };
}

const BRIEF: Duration = Duration::from_millis(150);

activity!(Note, "note", quick(), []);
activity!(Reserve, "reserve", quick(), [undo]);
activity!(Ship, "ship", quick(), [undo]);
activity!(Charge, "charge", quick(), [undo verify]);
activity!(Brief, "brief", Policy { attempt_timeout: BRIEF, ..quick() }, [verify]);
activity!(Book, "book", Policy { attempt_timeout: BRIEF * 10, ..quick() }, [undo], TRANSACTIONAL: bool = true);
activity!(Pay, "pay", quick(), [undo], QUEUE: Option<&'static str> = Some("payments"));
activity!(Once, "once", Policy { retry: Retry::NEVER, ..quick() }, [undo]);
activity!(Picky, "picky", Policy { non_retryable: vec!["declined"], ..quick() }, []);
activity!(Slow, "slow", Policy { retry: after_a_minute(3, 2.0), ..quick() }, []);
activity!(
    Bounded,
    "bounded",
    Policy { deadline: Some(Duration::from_secs(90)), retry: after_a_minute(50, 1.0), ..quick() },
    []
);
activity!(Look, "look", Policy { attempt_timeout: BRIEF, ..quick() }, [undo], READ_ONLY: bool = true);
activity!(Open, "open", quick(), [undo], TRANSACTIONAL: bool = true, READ_ONLY: bool = true);
activity!(Missing, "missing", quick(), []);

/// One line of a program.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Calls an activity; its failure is the program's.
    Call(String),
    /// The same, bounded in milliseconds.
    Within(String, u64),
    BestEffort(String),
    /// Calls an activity and gives the outcome as a value.
    Try(String),
    Both(Vec<Op>, Vec<Op>),
    Pivot,
    /// Sleeps for milliseconds.
    Sleep(u64),
    /// Waits for a signal, bounded in milliseconds.
    Signal(String, Option<u64>),
    Now,
    Uuid,
    Random,
    Fail(String),
    Panic,
    /// Awaits what is none of its context's futures.
    Block,
}

pub fn call(activity: &str) -> Op {
    Op::Call(activity.to_owned())
}

pub fn signal(name: &str, within_ms: Option<u64>) -> Op {
    Op::Signal(name.to_owned(), within_ms)
}

fn run_all<'a>(cx: &'a Context, ops: &'a [Op]) -> BoxFuture<'a, Result<Vec<Value>, Failure>> {
    async move {
        let mut given = Vec::new();
        for op in ops {
            given.push(run_one(cx, op).await?);
        }
        Ok(given)
    }
    .boxed()
}

async fn run_one(cx: &Context, op: &Op) -> Result<Value, Failure> {
    Ok(match op {
        Op::Call(name) => step(cx, name, None).await?,
        Op::Within(name, ms) => step(cx, name, Some(Duration::from_millis(*ms))).await?,
        Op::BestEffort(name) if name == "ship" => json!(cx.call::<Ship>(json!(name)).best_effort().await),
        Op::BestEffort(name) => json!(cx.call::<Note>(json!(name)).best_effort().await),
        Op::Try(name) => match step(cx, name, None).await {
            Ok(value) => value,
            Err(failure) => json!({ "outcome": failure.outcome.word(), "code": failure.code }),
        },
        Op::Both(one, other) => {
            let (one, other) = join(run_all(cx, one), run_all(cx, other)).await;
            json!([one?, other?])
        }
        Op::Pivot => {
            cx.pivot().await;
            Value::Null
        }
        Op::Sleep(ms) => {
            cx.sleep(Duration::from_millis(*ms)).await;
            Value::Null
        }
        Op::Signal(name, None) => cx.signal::<Value>(name).forever().await?,
        Op::Signal(name, Some(ms)) => json!(cx.signal::<Value>(name).within(Duration::from_millis(*ms)).await?),
        Op::Now => json!(cx.now().await?),
        Op::Uuid => json!(cx.uuid().await?),
        Op::Random => json!(cx.random().await?),
        Op::Fail(code) => return Err(Failure::new(code.as_str(), "as the test says")),
        Op::Panic => panic!("the workflow panics, as the test says"),
        Op::Block => std::future::pending().await,
    })
}

async fn step(cx: &Context, name: &str, within: Option<Duration>) -> Result<Value, StepFailure> {
    match name {
        "note" => typed::<Note>(cx, within).await,
        "reserve" => typed::<Reserve>(cx, within).await,
        "ship" => typed::<Ship>(cx, within).await,
        "charge" => typed::<Charge>(cx, within).await,
        "brief" => typed::<Brief>(cx, within).await,
        "book" => typed::<Book>(cx, within).await,
        "pay" => typed::<Pay>(cx, within).await,
        "once" => typed::<Once>(cx, within).await,
        "picky" => typed::<Picky>(cx, within).await,
        "slow" => typed::<Slow>(cx, within).await,
        "bounded" => typed::<Bounded>(cx, within).await,
        "look" => typed::<Look>(cx, within).await,
        "open" => typed::<Open>(cx, within).await,
        "missing" => typed::<Missing>(cx, within).await,
        other => panic!("there is no activity {other} in the script"),
    }
}

async fn typed<A: Activity<Input = Value, Output = Value>>(
    cx: &Context,
    within: Option<Duration>,
) -> Result<Value, StepFailure> {
    let call = cx.call::<A>(json!({ "to": A::NAME }));
    match within {
        Some(span) => call.deadline(span).await,
        None => call.await,
    }
}

/// Its input is its program.
pub struct Scripted;
impl Workflow for Scripted {
    const NAME: &'static str = "scripted";
    type Input = Vec<Op>;
    type Output = Vec<Value>;
    async fn run(&self, cx: &Context, program: Vec<Op>) -> Result<Vec<Value>, Failure> {
        run_all(cx, &program).await
    }
}

/// The same, with a deadline of a minute.
pub struct Deadlined;
impl Workflow for Deadlined {
    const NAME: &'static str = "deadlined";
    const DEADLINE: Option<Duration> = Some(Duration::from_secs(60));
    type Input = Vec<Op>;
    type Output = Vec<Value>;
    async fn run(&self, cx: &Context, program: Vec<Op>) -> Result<Vec<Value>, Failure> {
        run_all(cx, &program).await
    }
}

/// It takes a number in a struct, nothing else.
pub struct Typed;
#[derive(Serialize, Deserialize)]
pub struct Number {
    pub n: u32,
}
impl Workflow for Typed {
    const NAME: &'static str = "typed";
    type Input = Number;
    type Output = u32;
    async fn run(&self, _: &Context, number: Number) -> Result<u32, Failure> {
        Ok(number.n)
    }
}

/// It calls another activity when the script's flag is on: what a careless deployment does.
pub struct Shifty(Script);
impl Workflow for Shifty {
    const NAME: &'static str = "shifty";
    type Input = ();
    type Output = Vec<Value>;
    async fn run(&self, cx: &Context, (): ()) -> Result<Vec<Value>, Failure> {
        let first = if self.0.0.flag.load(Ordering::SeqCst) { "reserve" } else { "note" };
        run_all(cx, &[call(first), signal("go", None)]).await
    }
}

/// Two versions of one workflow.
pub struct VersionOne;
impl Workflow for VersionOne {
    const NAME: &'static str = "versioned";
    type Input = ();
    type Output = u32;
    async fn run(&self, cx: &Context, (): ()) -> Result<u32, Failure> {
        cx.signal::<Value>("go").forever().await?;
        Ok(1)
    }
}
pub struct VersionTwo;
impl Workflow for VersionTwo {
    const NAME: &'static str = "versioned";
    const VERSION: i32 = 2;
    type Input = ();
    type Output = u32;
    async fn run(&self, _: &Context, (): ()) -> Result<u32, Failure> {
        Ok(2)
    }
}
