//! What an author of workflows writes: one async function, and its name and version.

use std::{future::Future, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use super::core::{context::Context, model::Failure, visibility::Visibility};

/// A workflow: a function over its recorded steps.
///
/// The engine polls it from its start after every restart, so it must be deterministic: everything from outside comes
/// through the [`Context`]. A run keeps the version that it began with; changed logic is a new version, and the old
/// one stays registered until its last run has ended.
pub trait Workflow: Send + Sync + 'static {
    /// Its name in runs and in the API.
    const NAME: &'static str;
    /// Its version, from 1.
    const VERSION: i32 = 1;
    /// How long a run may take before its pivot; after that it is undone with `deadline_exceeded`. `None`: no bound.
    const DEADLINE: Option<Duration> = None;
    /// Who may start its runs and send them signals. An internal one's are started by the service itself (the engine's methods
    /// that take no operator) and by its schedules; callers of the API are refused with `internal_workflow`.
    const VISIBILITY: Visibility = Visibility::Public;
    /// What a run is started with.
    type Input: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What it ends with.
    type Output: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Names of JSON fields that are never shown, at any depth of any payload of its runs: inputs, outputs, signals, steps.
    /// The activities' ([`Activity::secret_fields`](super::Activity::secret_fields)) are hidden beside them. Once registered, a
    /// name stays hidden.
    fn secret_fields() -> &'static [&'static str] {
        &[]
    }

    /// Signals that callers may send to its runs although it is internal.
    fn public_signals() -> &'static [&'static str] {
        &[]
    }

    /// The function.
    fn run(&self, cx: &Context, input: Self::Input) -> impl Future<Output = Result<Self::Output, Failure>> + Send;
}
