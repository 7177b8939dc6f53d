//! What an author of activities writes: the trait, its errors, and what an attempt is given.
//!
//! An attempt has three outcomes. `Ok` is `ok`. An [`ActivityError`] is `failed` (it certainly had no effect) or
//! `unknown` (it may have had one), as the activity says. A timeout, a panic and a crash during the call are
//! always `unknown`, except for transactional activities: they roll back, and so are certain.

use std::{
    any::type_name,
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
    core::{
        model::{Direction, Json, RunId, StepError, to_json},
        policy::Policy,
        trace::{Trace, span_id},
    },
    error::Error,
    store::transaction::Transaction,
    trouble::{Trouble, sort_error},
};

/// A signal's payload, or anything else that is kept as JSON and sent between threads.
pub trait SignalPayload: Serialize + DeserializeOwned + Send + 'static {}

/// One kind of step: what it does, how to find out whether it did, and how to undo it.
///
/// `undo` and `verify` must be callable with the input alone: ids are chosen by the caller, not by the other system.
pub trait Activity: Send + Sync + 'static {
    /// Its name in step rows and in the API. Part of the durable contract: a renamed activity is another one.
    const NAME: &'static str;
    /// It has an undo. Steps of such activities are written before they are attempted.
    const UNDOABLE: bool = false;
    /// It has a verify. Steps of such activities are written before they are attempted.
    const VERIFIABLE: bool = false;
    /// Its SQL, on [`ActivityContext::tx`], commits together with its outcome.
    const TRANSACTIONAL: bool = false;
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

/// An attempt that did not end well: a stable code, a sentence, and whether it may have had an effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ActivityError {
    /// A stable code, `snake_case`.
    pub code: String,
    /// A sentence for people; never secrets.
    pub message: String,
    /// It may have had an effect.
    pub unknown: bool,
    /// Worth trying again.
    pub retryable: bool,
}

impl ActivityError {
    /// It certainly had no effect; it is retried unless [`ActivityError::fatal`].
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), unknown: false, retryable: true }
    }

    /// It may have had an effect.
    pub fn unknown(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), unknown: true, retryable: true }
    }

    /// The same, not to be retried: a business outcome, or an error that stays.
    pub fn fatal(mut self) -> Self {
        self.retryable = false;
        self
    }

    pub(crate) fn record(&self) -> StepError {
        StepError { code: self.code.clone(), message: self.message.clone(), unknown: self.unknown }
    }
}

impl From<sqlx::Error> for ActivityError {
    /// Worth another try. Failed where the server refused a statement or found no row; otherwise unknown: the connection broke,
    /// or there was none, after the step may have had an effect elsewhere. A transactional step is rolled back, and so is
    /// certain whatever this says; where it is the server or the connection that is in trouble, it is begun again without
    /// counting this attempt.
    fn from(error: sqlx::Error) -> Self {
        let (trouble, passes) = sort_error(&error);
        let in_trouble = matches!(trouble, Trouble::Server | Trouble::Connection);
        let refused = matches!(error, sqlx::Error::Database(_) | sqlx::Error::RowNotFound) && !in_trouble;
        let code = if in_trouble && passes { DATABASE_IN_TROUBLE } else { "database" };
        if refused { Self::failed(code, error.to_string()) } else { Self::unknown(code, error.to_string()) }
    }
}

impl From<Error> for ActivityError {
    /// Trouble of the database as above; what the engine refuses is final.
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(error) | Error::Database(error) => error.into(),
            Error::OutcomeUnknown(error) => Self::unknown("database", error.to_string()),
            refused => Self::failed(refused.code(), refused.to_string()).fatal(),
        }
    }
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
    /// `not_transactional` unless the activity says `TRANSACTIONAL`.
    pub async fn tx(&self) -> Result<MappedMutexGuard<'_, PgConnection>, ActivityError> {
        match &self.tx {
            Some(tx) => Ok(MutexGuard::map(tx.lock().await, |tx| &mut **tx)),
            None => {
                Err(ActivityError::failed("not_transactional", "this activity is not declared TRANSACTIONAL").fatal())
            }
        }
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
        }
    }
}

/// The largest output of a step or a run, and the largest note of progress, in bytes. What comes close to Postgres's own limit
/// (1 GB in one message) would break the connection of everybody who works beside it.
pub const LARGEST_OUTPUT: usize = 64 << 20;

/// The code of an attempt that met trouble of the database.
pub(crate) const DATABASE_IN_TROUBLE: &str = "database_unavailable";

/// How long an attempt may go before it is written down, so that operators see it.
pub(crate) const VISIBLE_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_connection_leaves_a_step_unknown() {
        let broken = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        for error in [sqlx::Error::Io(broken()), sqlx::Error::PoolTimedOut, sqlx::Error::Protocol("cut".into())] {
            assert!(ActivityError::from(error).unknown);
        }
        let certain = ActivityError::from(sqlx::Error::RowNotFound);
        assert!(!certain.unknown && certain.retryable);
    }
}
