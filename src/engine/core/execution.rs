//! The advance loop: polls a workflow function against its completions, until it blocks or ends.
//!
//! Replay and progress are the same thing. Completions are delivered one at a time, in the order (`ord`) of the first
//! time, and after each the function is polled until it blocks. So it sees the same outcomes in the same order, and emits
//! the same commands at the same positions. Where it does not, code and record disagree: `machine` compares each command
//! with the recorded step.
//!
//! Pure: the function is polled with a waker that does nothing. A function that awaits anything but its context's futures
//! blocks for ever with nothing asked, which the caller reports as `workflow_blocked`.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context as TaskContext, Poll, Waker},
};

use super::{
    context::{Completion, Context, WorkflowCommand},
    model::{Failure, Json, RunId, Time},
    schema::Schema,
    visibility::Visibility,
};

/// A workflow function under way.
pub type WorkflowFuture = Pin<Box<dyn Future<Output = Result<Json, Failure>> + Send>>;

/// A workflow without its types: what the registry hands to the core.
pub trait WorkflowCode: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Its version.
    fn version(&self) -> i32;
    /// How long a run may take before its pivot.
    fn deadline(&self) -> Option<std::time::Duration>;
    /// What it takes and gives, where its author says it.
    fn schema(&self) -> Schema {
        Schema::default()
    }

    /// Fields of its payloads that are never shown.
    fn secret_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// Who may start its runs.
    fn visibility(&self) -> Visibility {
        Visibility::Public
    }

    /// Signals that callers may send to its runs, where it is internal.
    fn public_signals(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether `input` can be decoded; the message says why not.
    ///
    /// # Errors
    /// The decoder's sentence.
    fn check(&self, input: &str) -> Result<(), String>;
    /// Begins the function.
    ///
    /// # Errors
    /// `undecodable_input`.
    fn begin(&self, cx: Context, input: &str) -> Result<WorkflowFuture, Failure>;
}

/// How a workflow function ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It returned.
    Returned(Result<Json, Failure>),
    /// It panicked; the message.
    Panicked(String),
}

/// What one turn of polling brought.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) commands: Vec<WorkflowCommand>,
    pub(crate) ended: Option<Ended>,
}

/// A run's function and its journal.
pub(crate) struct Execution {
    cx: Context,
    future: WorkflowFuture,
}

impl Execution {
    /// Begins the function; nothing is polled yet.
    pub(crate) fn new(code: &dyn WorkflowCode, run: RunId, created_at: Time, input: &str) -> Result<Self, Failure> {
        let cx = Context::new(run, created_at);
        let future = match catch_unwind(AssertUnwindSafe(|| code.begin(cx.clone(), input))) {
            Ok(begun) => begun?,
            Err(panic) => return Err(Failure::new("workflow_panicked", panic_message(panic.as_ref()))),
        };
        Ok(Self { cx, future })
    }

    /// Delivers the completion of a position. [`Execution::poll`] has to follow.
    pub(crate) fn complete(&self, seq: u32, completion: Completion) {
        let mut journal = self.cx.journal();
        journal.completions.insert(seq, completion);
        journal.completion_count += 1;
    }

    /// Polls until the function blocks or ends. A second poll without a completion in between changes nothing.
    pub(crate) fn poll(&mut self) -> Turn {
        let mut waker = TaskContext::from_waker(Waker::noop());
        let future = &mut self.future;
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut waker)));
        let ended = match polled {
            Ok(Poll::Pending) => None,
            Ok(Poll::Ready(returned)) => Some(Ended::Returned(returned)),
            Err(panic) => Some(Ended::Panicked(panic_message(panic.as_ref()))),
        };
        Turn { commands: std::mem::take(&mut self.cx.journal().commands), ended }
    }
}

impl std::fmt::Debug for Execution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Execution").field("cx", &self.cx).finish_non_exhaustive()
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}
