//! What an author of activities writes: the trait, its errors, and what an attempt is given.
//!
//! An attempt has three outcomes. `Ok` is `ok`. An [`ActivityError`] is `failed` (it certainly had no effect) or
//! `unknown` (it may have had one), as the activity says. A timeout, a panic and a crash during the call are
//! always `unknown`, except for transactional activities, which roll back, and for those that change nothing.

use std::{
    any::type_name,
    collections::HashSet,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use sqlx::PgConnection;
use tokio::sync::{MappedMutexGuard, Mutex as AsyncMutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::{
    activity_error::ActivityError,
    core::{
        model::{Direction, Json, RunId, to_json},
        policy::Policy,
        trace::{Trace, span_id},
    },
    error::Error,
    outbox::{NewEvent, check_events},
    store::{outbox, reads, schema::Schema, transaction::Transaction},
};

/// A signal's payload, or anything else that is kept as JSON and sent between threads.
pub trait SignalPayload: Serialize + DeserializeOwned + Send + 'static {}

/// One kind of step: what it does, how to find out whether it did, and how to undo it.
///
/// `undo` and `verify` must be callable with the input alone: ids are chosen by the caller, not by the other system.
pub trait Activity: Send + Sync + 'static {
    /// Its name in step rows and in the API. Part of the durable contract: a renamed activity is another one.
    const NAME: &'static str;
    /// It has an undo. Steps of such activities are written before they are attempted, unless they roll back or change nothing.
    const UNDOABLE: bool = false;
    /// It has a verify. Steps of such activities are written before they are attempted, unless they roll back or change nothing.
    const VERIFIABLE: bool = false;
    /// Its SQL, on [`ActivityContext::tx`], commits together with its outcome.
    const TRANSACTIONAL: bool = false;
    /// Its `run` changes nothing, here or elsewhere: it checks or reads, or is there for its undo alone. So it is not written
    /// before it is attempted, its outcome is never unknown, and what ended before it need not be on record yet. `TRANSACTIONAL`
    /// is then of its undo.
    const READ_ONLY: bool = false;
    /// The queue whose workers execute it; `None`: the run's own.
    const QUEUE: Option<&'static str> = None;
    /// What it takes.
    type Input: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What it gives.
    type Output: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Timeouts, deadline and retries. The default of a transactional activity gives an attempt less time: its locks are waited for,
    /// also while its worker is stopped.
    fn policy() -> Policy {
        if Self::TRANSACTIONAL { Policy::of_transaction() } else { Policy::default() }
    }

    /// Names of JSON fields that are never shown, at any depth of any payload of any run of the registry's workflows.
    fn secret_fields() -> &'static [&'static str] {
        &[]
    }

    /// Does it. Runs at least once; use [`ActivityContext::key`] where the other system honours keys.
    fn run(
        &self,
        cx: &ActivityContext,
        input: &Self::Input,
    ) -> impl Future<Output = Result<Self::Output, ActivityError>> + Send;

    /// Does it for several runs that are due at the same time, in as few statements or calls as can be. An activity without it does
    /// one at a time, each in a transaction of its own.
    ///
    /// It gives one answer for each call. A transactional activity does all on [`ActivityCalls::tx`]; a call that it answers with
    /// an error must leave nothing in it. An error of the whole rolls back, and the halves are tried, at last each with `run`;
    /// calls with no answer, or two, are tried with `run` at once. Of an activity that is not transactional an error of the
    /// whole is each call's own, and a call without its one answer is unknown. The calls are sorted by their inputs.
    fn run_many(
        &self,
        _calls: &ActivityCalls<'_, Self>,
    ) -> impl Future<Output = Result<Vec<Answer<Self::Output>>, ActivityError>> + Send
    where
        Self: Sized,
    {
        OneByOne(PhantomData)
    }

    /// Finds out whether an attempt with an unknown outcome took effect. Called only with `VERIFIABLE`.
    fn verify(
        &self,
        _cx: &ActivityContext,
        _input: &Self::Input,
    ) -> impl Future<Output = Result<Verified<Self::Output>, ActivityError>> + Send {
        NeverTold(PhantomData)
    }

    /// What undoing it means, in a few words for operators who are about to do it: `refund 25.00 EUR`.
    fn undo_summary(_input: &Self::Input) -> Option<String> {
        None
    }

    /// The same as it would be at this moment, for dry runs: `refund 7.50 EUR` of which a part went back before. By default what
    /// [`Activity::undo_summary`] says. It changes nothing, and has two seconds.
    fn undo_outlook(&self, input: &Self::Input) -> impl Future<Output = Option<String>> + Send {
        let summary = Self::undo_summary(input);
        async { summary }
    }

    /// Undoes it. Must be safe to call even if it never happened, or was undone before. Called only with `UNDOABLE`.
    fn undo(
        &self,
        _cx: &ActivityContext,
        _input: &Self::Input,
        _output: Option<&Self::Output>,
    ) -> impl Future<Output = Result<(), ActivityError>> + Send {
        NoUndo
    }

    /// Undoes several at the same time, as [`Activity::run_many`] does them. Called only with `UNDOABLE`.
    fn undo_many(
        &self,
        _calls: &ActivityCalls<'_, Self>,
    ) -> impl Future<Output = Result<Vec<Answer<()>>, ActivityError>> + Send
    where
        Self: Sized,
    {
        OneByOne(PhantomData)
    }
}

/// What does several of an activity that does one at a time: a type of its own, so that the registry can tell.
pub(crate) struct OneByOne<T>(PhantomData<fn() -> T>);

impl<T> Future for OneByOne<T> {
    type Output = Result<Vec<Answer<T>>, ActivityError>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Err(ActivityError::failed("one_by_one", "this activity does one at a time")))
    }
}

/// Whether an activity does, or undoes, several at once.
pub(crate) fn does_many<A: Activity>(direction: Direction) -> bool {
    fn own<'a, A: Activity, T, F: Future>(_: impl Fn(&'a A, &'a ActivityCalls<'a, A>) -> F) -> bool {
        type_name::<F>() != type_name::<OneByOne<T>>()
    }
    match direction {
        Direction::Forward => own::<A, A::Output, _>(A::run_many),
        Direction::Undo => own::<A, (), _>(A::undo_many),
    }
}

/// Which call an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub(crate) usize);

/// What one call came to.
pub type Answer<T> = (CallId, Result<T, ActivityError>);

/// One of several calls: of another run than all others.
pub struct ActivityCall<'a, A: Activity> {
    pub(crate) id: CallId,
    /// Its own context: key, attempt, heartbeats, cancellation.
    pub cx: &'a ActivityContext,
    /// Its input.
    pub input: &'a A::Input,
    /// For an undo: what the step gave, where that is known.
    pub output: Option<&'a A::Output>,
}

impl<A: Activity> fmt::Debug for ActivityCall<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityCall").field("cx", &self.cx).finish_non_exhaustive()
    }
}

impl<A: Activity> fmt::Debug for ActivityCalls<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl<A: Activity> ActivityCall<'_, A> {
    /// Its id.
    pub const fn id(&self) -> CallId {
        self.id
    }

    /// What it came to.
    pub fn answer<T>(&self, result: Result<T, ActivityError>) -> Answer<T> {
        (self.id, result)
    }
}

/// Calls that are due at the same time.
pub struct ActivityCalls<'a, A: Activity>(pub(crate) Vec<ActivityCall<'a, A>>);

impl<'a, A: Activity> ActivityCalls<'a, A> {
    /// The calls.
    pub fn iter(&self) -> std::slice::Iter<'_, ActivityCall<'a, A>> {
        self.0.iter()
    }

    /// The transaction that all of them share.
    ///
    /// # Errors
    /// As [`ActivityContext::tx`].
    pub async fn tx(&self) -> Result<MappedMutexGuard<'_, PgConnection>, ActivityError> {
        match self.0.first() {
            Some(call) => call.cx.tx().await,
            None => Err(ActivityError::failed("no_calls", "there is nothing to do").fatal()),
        }
    }
}

impl<'b, 'a, A: Activity> IntoIterator for &'b ActivityCalls<'a, A> {
    type Item = &'b ActivityCall<'a, A>;
    type IntoIter = std::slice::Iter<'b, ActivityCall<'a, A>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The undo of an activity that has none: a type of its own, so that the registry can tell.
pub(crate) struct NoUndo;

impl Future for NoUndo {
    type Output = Result<(), ActivityError>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Err(ActivityError::failed("no_undo", "this activity has no undo").fatal()))
    }
}

/// The same of a verify.
pub(crate) struct NeverTold<T>(PhantomData<fn() -> T>);

impl<T> Future for NeverTold<T> {
    type Output = Result<Verified<T>, ActivityError>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(Verified::NotYet))
    }
}

/// What an activity says of itself and what it has, where the two disagree: code of the author's would silently not be called,
/// or called although it is not there.
pub(crate) fn contradiction<A: Activity>() -> Option<&'static str> {
    fn undo<'a, A: Activity, F: Future>(
        _: impl Fn(&'a A, &'a ActivityContext, &'a A::Input, Option<&'a A::Output>) -> F,
    ) -> bool {
        type_name::<F>() != type_name::<NoUndo>()
    }
    fn verify<'a, A: Activity, F: Future>(_: impl Fn(&'a A, &'a ActivityContext, &'a A::Input) -> F) -> bool {
        type_name::<F>() != type_name::<NeverTold<A::Output>>()
    }
    match (undo::<A, _>(A::undo), A::UNDOABLE, verify::<A, _>(A::verify), A::VERIFIABLE) {
        (true, false, ..) => Some("has an `undo`, but does not say `const UNDOABLE: bool = true`"),
        (false, true, ..) => Some("says that it is UNDOABLE, but has no `undo`"),
        (_, _, true, false) => Some("has a `verify`, but does not say `const VERIFIABLE: bool = true`"),
        (_, _, false, true) => Some("says that it is VERIFIABLE, but has no `verify`"),
        _ => None,
    }
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified<T> {
    /// It took effect; this is its output.
    Happened(T),
    /// It did not, and never will under this key: a retry gets a new one.
    NeverWill,
    /// Not known yet: verify again later.
    NotYet,
}

tokio::task_local! {
    /// The trace and the span of the attempt that this task is at.
    static SPAN: (Trace, u64);
}

/// [`ActivityContext::traceparent`] of the attempt that calls this, for clients that are not handed its context. None
/// outside of an attempt, and in tasks that it has spawned.
pub fn current_traceparent() -> Option<String> {
    SPAN.try_with(|(trace, span)| trace.traceparent(*span)).ok()
}

/// Where an attempt comes from, for logs and traces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) workflow: &'static str,
    pub(crate) trace: Trace,
    pub(crate) lane: i32,
}

/// What an attempt is given.
#[derive(Debug)]
pub struct ActivityContext {
    pub(crate) run: RunId,
    pub(crate) seq: u32,
    pub(crate) attempt: u32,
    pub(crate) key: String,
    pub(crate) origin: Origin,
    /// Of this attempt.
    pub(crate) span: u64,
    pub(crate) previous: Option<Json>,
    pub(crate) beat: Arc<Mutex<Option<Json>>>,
    pub(crate) cancelled: CancellationToken,
    pub(crate) tx: Option<Arc<AsyncMutex<Transaction>>>,
    pub(crate) schema: Arc<Schema>,
}

impl ActivityContext {
    /// The run that the step belongs to.
    pub const fn run_id(&self) -> RunId {
        self.run
    }

    /// The step's position in its run.
    pub const fn seq(&self) -> u32 {
        self.seq
    }

    /// 1 for the first attempt.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The idempotency key: the same for all attempts, verifications, crashes and takeovers of this step and
    /// direction, until a verification says that the earlier one never took effect.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The same context in a transaction.
    pub(crate) fn in_transaction(&self, tx: &Arc<AsyncMutex<Transaction>>) -> Self {
        Self { tx: Some(tx.clone()), ..self.detached() }
    }

    /// The same context without its transaction.
    pub(crate) fn detached(&self) -> Self {
        Self {
            run: self.run,
            seq: self.seq,
            attempt: self.attempt,
            key: self.key.clone(),
            origin: self.origin,
            span: self.span,
            previous: self.previous.clone(),
            beat: self.beat.clone(),
            cancelled: self.cancelled.clone(),
            tx: None,
            schema: self.schema.clone(),
        }
    }

    /// The call, as part of this attempt.
    pub(crate) fn within<F: Future>(&self, call: F) -> impl Future<Output = F::Output> + use<F> {
        SPAN.scope((self.origin.trace, self.span), call)
    }

    /// The W3C trace context of this attempt, to be sent along with what it calls: the run is the trace, the attempt the span.
    pub fn traceparent(&self) -> String {
        self.origin.trace.traceparent(self.span)
    }

    /// Keeps a note of progress, which the next attempt finds in [`ActivityContext::details`], wherever it runs. It
    /// is written about once a second.
    ///
    /// # Errors
    /// When `details` has no JSON form, or is larger than [`LARGEST_OUTPUT`].
    pub fn heartbeat<T: Serialize>(&self, details: &T) -> Result<(), serde_json::Error> {
        let json = to_json(details)?;
        if json.get().len() > LARGEST_OUTPUT {
            return Err(serde::ser::Error::custom(format!("a note of {} bytes is too large", json.get().len())));
        }
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Some(json);
        Ok(())
    }

    /// The latest note that an earlier attempt left; `None` when there is none or it is not a `T`.
    pub fn details<T: DeserializeOwned>(&self) -> Option<T> {
        self.previous.as_ref().and_then(|json| serde_json::from_str(json.get()).ok())
    }

    /// Done when the run was cancelled or the worker drains: a long attempt should stop where it safely can.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Whether [`ActivityContext::cancelled`] is done.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// The transaction that this attempt's SQL and its outcome commit in.
    ///
    /// # Errors
    /// `not_transactional` unless the activity says `TRANSACTIONAL`, and in the `run` of one that is `READ_ONLY`.
    pub async fn tx(&self) -> Result<MappedMutexGuard<'_, PgConnection>, ActivityError> {
        match &self.tx {
            Some(tx) => Ok(MutexGuard::map(tx.lock().await, |tx| &mut **tx)),
            None => {
                let why = "this activity is not declared TRANSACTIONAL, or is READ_ONLY";
                Err(ActivityError::failed("not_transactional", why).fatal())
            }
        }
    }

    /// Emits events that leave if this attempt succeeds: they commit together with its outcome.
    ///
    /// # Errors
    /// As [`ActivityContext::tx`] and [`Engine::emit_in`](crate::engine::Engine::emit_in).
    pub async fn emit(&self, events: &[NewEvent]) -> Result<(), ActivityError> {
        check_events(events)?;
        Ok(outbox::emit(&self.schema, &mut *self.tx().await?, events).await?)
    }

    /// [`Engine::ended_among`](crate::engine::Engine::ended_among), for a step that looks after what other runs do.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn ended_among(&self, conn: &mut PgConnection, runs: &[RunId]) -> Result<HashSet<RunId>, Error> {
        reads::ended_among(&self.schema, conn, runs).await
    }

    /// For tests of activities outside an engine: with a transaction, which [`ActivityContext::into_transaction`] gives back.
    pub fn with_transaction(mut self, tx: Transaction) -> Self {
        self.tx = Some(Arc::new(AsyncMutex::new(tx)));
        self
    }

    /// The transaction of [`ActivityContext::with_transaction`], to be committed or rolled back.
    pub fn into_transaction(self) -> Option<Transaction> {
        Arc::into_inner(self.tx?).map(AsyncMutex::into_inner)
    }

    /// For tests of activities outside an engine: first attempt, given key, no transaction.
    pub fn for_tests(run: RunId, seq: u32, key: impl Into<String>) -> Self {
        Self {
            run,
            seq,
            attempt: 1,
            key: key.into(),
            origin: Origin { workflow: "test", trace: Trace::of(run, None), lane: 0 },
            span: span_id(run, seq, Direction::Forward, 1, false),
            previous: None,
            beat: Arc::default(),
            cancelled: CancellationToken::new(),
            tx: None,
            schema: Arc::default(),
        }
    }
}

/// The largest output of a step or a run, and the largest note of progress, in bytes. What comes close to Postgres's own limit
/// (1 GB in one message) would break the connection of everybody who works beside it.
pub const LARGEST_OUTPUT: usize = 64 << 20;

/// How long an attempt may go before it is written down, so that operators see it.
pub(crate) const VISIBLE_AFTER: Duration = Duration::from_secs(1);
