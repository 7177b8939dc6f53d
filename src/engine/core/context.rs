//! What a workflow function holds: the context, and the futures that it awaits.
//!
//! A future here waits for nothing but the run's journal. When it is first polled it takes the next position (`seq`)
//! and leaves a [`WorkflowCommand`]; it is ready once the journal has the [`Completion`] of that position. It waits for nothing
//! else: `execution` polls, `machine` decides.

use std::{
    collections::HashMap,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context as Waker, Poll},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::model::{Failure, Json, Outcome, RunId, StepError, Time, to_json};
use crate::engine::activity::{Activity, SignalPayload};

/// What a workflow emits at one position.
#[derive(Clone, Debug)]
pub(crate) struct WorkflowCommand {
    pub(crate) seq: u32,
    /// How many completions the workflow had got before it.
    pub(crate) issued_after: u32,
    pub(crate) kind: CommandKind,
}

/// What a command asks for.
#[derive(Clone, Debug)]
pub(crate) enum CommandKind {
    Call { name: Arc<str>, input: Result<Json, String>, deadline: Option<Until>, best_effort: bool },
    Timer { until: Until },
    Signal { name: Arc<str>, until: Option<Until> },
    Side { what: SideValue },
    Pivot,
}

/// A moment, or a span from when it is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    At(Time),
    In(Duration),
}

/// A value from outside that is recorded, so that replay sees the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SideValue {
    /// The database's time.
    Now,
    /// 64 random bits.
    Random,
    /// A random uuid.
    Uuid,
}

impl SideValue {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Random => "random",
            Self::Uuid => "uuid",
        }
    }
}

/// The outcome of a position, as the workflow gets it.
#[derive(Clone, Debug)]
pub(crate) struct Completion {
    pub(crate) outcome: Outcome,
    pub(crate) output: Option<Json>,
    pub(crate) error: Option<StepError>,
}

/// What the futures and the engine share about one run.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) completions: HashMap<u32, Completion>,
    pub(crate) completion_count: u32,
    pub(crate) next_seq: u32,
    pub(crate) commands: Vec<WorkflowCommand>,
}

/// The handle through which a workflow calls steps, sleeps and waits for signals.
///
/// A workflow may depend on its input and on what it gets through this handle, on nothing else: no clock, no
/// randomness, no I/O of its own. Steps may be called one after another or side by side ([`super::join`]).
#[derive(Clone, Debug)]
pub struct Context {
    run: RunId,
    created_at: Time,
    journal: Arc<Mutex<Journal>>,
}

/// A step that did not end `ok`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{activity} (step {seq}) {outcome}: {code}: {message}")]
pub struct StepFailure {
    /// The step's position.
    pub seq: u32,
    /// The activity's name.
    pub activity: String,
    /// `Failed`, `Unknown`, or `Skipped` without an output.
    pub outcome: Outcome,
    /// The activity's code.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

impl From<StepFailure> for Failure {
    fn from(failure: StepFailure) -> Self {
        Self { code: failure.code, message: failure.message, step: Some(failure.seq) }
    }
}

impl Context {
    pub(crate) fn new(run: RunId, created_at: Time) -> Self {
        Self { run, created_at, journal: Arc::default() }
    }

    /// The run's id.
    pub const fn run_id(&self) -> RunId {
        self.run
    }

    /// When the run was started, on the database's clock.
    pub const fn created_at(&self) -> Time {
        self.created_at
    }

    /// Calls an activity. Await the answer, or set its deadline first.
    pub fn call<A: Activity>(&self, input: A::Input) -> Call<A> {
        Call { cx: self.clone(), input, deadline: None, best_effort: false, activity: PhantomData }
    }

    /// Sleeps for `span`, counted from the commit that records it; it survives everything and is never early.
    pub async fn sleep(&self, span: Duration) {
        self.issue(CommandKind::Timer { until: Until::In(span) }).await;
    }

    /// Sleeps until a moment on the database's clock.
    pub async fn sleep_until(&self, at: Time) {
        self.issue(CommandKind::Timer { until: Until::At(at) }).await;
    }

    /// Waits for the next signal of this name; see [`SignalWait::within`].
    pub fn signal<T: SignalPayload>(&self, name: &str) -> SignalWait<T> {
        SignalWait { cx: self.clone(), name: name.into(), payload: PhantomData }
    }

    /// From here on the run only goes forward: a failure makes it stuck, a cancel is refused, and only an operator's
    /// compensate undoes it.
    pub async fn pivot(&self) {
        self.issue(CommandKind::Pivot).await;
    }

    /// The database's time, recorded.
    ///
    /// # Errors
    /// When the record can't be read as a time: it was not written by this engine.
    pub async fn now(&self) -> Result<Time, Failure> {
        self.side(SideValue::Now).await
    }

    /// 64 random bits, recorded.
    ///
    /// # Errors
    /// As [`Context::now`].
    pub async fn random(&self) -> Result<u64, Failure> {
        self.side(SideValue::Random).await
    }

    /// A random uuid, recorded.
    ///
    /// # Errors
    /// As [`Context::now`].
    pub async fn uuid(&self) -> Result<Uuid, Failure> {
        self.side(SideValue::Uuid).await
    }

    async fn side<T: DeserializeOwned>(&self, what: SideValue) -> Result<T, Failure> {
        let (seq, completion) = self.issue(CommandKind::Side { what }).await;
        decode(seq, completion.output.as_ref())
    }

    fn issue(&self, kind: CommandKind) -> CommandFuture {
        CommandFuture { cx: self.clone(), state: CommandState::New(Some(kind)) }
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        // A panic in workflow code can't leave the journal half-written: each lock covers one plain assignment.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that has not been awaited yet.
#[derive(Debug)]
#[must_use = "a call is made when it is awaited"]
pub struct Call<A: Activity> {
    cx: Context,
    input: A::Input,
    deadline: Option<Until>,
    best_effort: bool,
    activity: PhantomData<fn() -> A>,
}

impl<A: Activity> Call<A> {
    /// Bounds the call in all, retries included, in place of the policy's deadline.
    pub fn deadline(mut self, span: Duration) -> Self {
        self.deadline = Some(Until::In(span));
        self
    }

    /// The same as a moment on the database's clock.
    pub fn deadline_at(mut self, at: Time) -> Self {
        self.deadline = Some(Until::At(at));
        self
    }

    /// Makes the call and goes on whatever comes of it: a failure is left for an operator to see, and undoes nothing.
    /// `None`: it did not end `ok`.
    pub async fn best_effort(mut self) -> Option<A::Output> {
        self.best_effort = true;
        self.await.ok()
    }
}

impl<A: Activity> IntoFuture for Call<A> {
    type Output = Result<A::Output, StepFailure>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let input = to_json(&self.input).map_err(|error| error.to_string());
        let deadline = self.deadline.or_else(|| A::policy().deadline.map(Until::In));
        let answer =
            self.cx.issue(CommandKind::Call { name: A::NAME.into(), input, deadline, best_effort: self.best_effort });
        Box::pin(async move {
            let (seq, completion) = answer.await;
            let fail = |outcome, code: String, message: String| StepFailure {
                seq,
                activity: A::NAME.to_owned(),
                outcome,
                code,
                message,
            };
            match completion.outcome {
                Outcome::Ok | Outcome::Skipped => decode(seq, completion.output.as_ref())
                    .map_err(|failure| fail(Outcome::Failed, failure.code, failure.message)),
                outcome => {
                    let error = completion.error.map_or_else(
                        || ("no_error_recorded".to_owned(), "the step's row holds no error".to_owned()),
                        |error| (error.code, error.message),
                    );
                    Err(fail(outcome, error.0, error.1))
                }
            }
        })
    }
}

/// A wait for a signal that has not been awaited yet.
#[derive(Debug)]
#[must_use = "nothing waits until it is awaited"]
pub struct SignalWait<T> {
    cx: Context,
    name: Arc<str>,
    payload: PhantomData<fn() -> T>,
}

impl<T: SignalPayload> SignalWait<T> {
    /// Waits at most this long. `None`: no signal came in time.
    ///
    /// # Errors
    /// `undecodable_signal` when the payload is not a `T`.
    pub async fn within(self, span: Duration) -> Result<Option<T>, Failure> {
        self.wait(Some(Until::In(span))).await
    }

    /// Waits until a moment on the database's clock. `None`: no signal came in time.
    ///
    /// # Errors
    /// As [`SignalWait::within`].
    pub async fn until(self, at: Time) -> Result<Option<T>, Failure> {
        self.wait(Some(Until::At(at))).await
    }

    /// Waits as long as it takes.
    ///
    /// # Errors
    /// As [`SignalWait::within`].
    pub async fn forever(self) -> Result<T, Failure> {
        match self.wait(None).await? {
            Some(payload) => Ok(payload),
            None => Err(Failure::new("signal_skipped", "the wait was ended without a signal")),
        }
    }

    async fn wait(self, until: Option<Until>) -> Result<Option<T>, Failure> {
        let (seq, completion) = self.cx.issue(CommandKind::Signal { name: self.name.clone(), until }).await;
        if completion.outcome != Outcome::Ok {
            return Ok(None);
        }
        decode(seq, completion.output.as_ref()).map(Some).map_err(|failure| Failure {
            code: "undecodable_signal".to_owned(),
            message: format!("signal {}: {}", self.name, failure.message),
            step: Some(seq),
        })
    }
}

fn decode<T: DeserializeOwned>(seq: u32, json: Option<&Json>) -> Result<T, Failure> {
    let text = json.map_or("null", |json| json.get());
    serde_json::from_str(text)
        .map_err(|error| Failure::new("undecodable_output", format!("step {seq}: {error}")).at(seq))
}

/// The future behind everything that a workflow awaits.
#[derive(Debug)]
struct CommandFuture {
    cx: Context,
    state: CommandState,
}

#[derive(Debug)]
enum CommandState {
    New(Option<CommandKind>),
    Issued(u32),
}

impl Future for CommandFuture {
    type Output = (u32, Completion);

    fn poll(mut self: Pin<&mut Self>, _: &mut Waker<'_>) -> Poll<Self::Output> {
        let cx = self.cx.clone();
        let mut journal = cx.journal();
        if let CommandState::New(kind) = &mut self.state {
            let seq = journal.next_seq;
            if let Some(kind) = kind.take() {
                journal.next_seq += 1;
                let issued_after = journal.completion_count;
                journal.commands.push(WorkflowCommand { seq, issued_after, kind });
            }
            self.state = CommandState::Issued(seq);
        }
        let CommandState::Issued(seq) = self.state else { return Poll::Pending };
        journal.completions.remove(&seq).map_or(Poll::Pending, |completion| Poll::Ready((seq, completion)))
    }
}

/// Values that a workflow may keep in a side record.
impl<T: Serialize + DeserializeOwned + Send + 'static> SignalPayload for T {}
