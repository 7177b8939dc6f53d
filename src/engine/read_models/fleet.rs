//! Who is there to do the work, and what there is to do: workflows, queues, workers, and how many runs stand where.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::core::{catalog::ActivityMeta, model::Time, policy::Policy, schema::Schema, visibility::Visibility};

/// The workflows and activities that were ever registered, and those that this server knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Workflows {
    /// By name.
    pub items: Vec<WorkflowInfo>,
    /// By name.
    pub activities: Vec<ActivityInfo>,
    /// There is one page only.
    pub next_cursor: Option<String>,
}

/// A workflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct WorkflowInfo {
    /// Its name.
    pub name: String,
    /// Newest first; new runs get the first.
    pub versions: Vec<WorkflowVersion>,
    /// Who may start its runs; of its newest version.
    pub visibility: Visibility,
    /// The JSON schema of its input, where its author gives one.
    pub input: Option<Value>,
    /// The JSON schema of its output.
    pub output: Option<Value>,
    /// Who holds it back, and why.
    pub hold: Option<HoldNote>,
}

/// A version of a workflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct WorkflowVersion {
    /// The version.
    pub version: i32,
    /// When a worker first registered it.
    pub registered_at: Time,
    /// The names of the live workers that have it.
    pub workers: Vec<String>,
}

/// An activity.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ActivityInfo {
    /// Its name.
    pub name: String,
    /// The JSON schema of its input, where its author gives one.
    pub input: Option<Value>,
    /// The JSON schema of its output, where its author gives one.
    pub output: Option<Value>,
    /// It has an undo.
    pub undoable: bool,
    /// It can be asked whether an unknown attempt took effect.
    pub verifiable: bool,
    /// Its SQL commits together with its outcome.
    pub transactional: bool,
    /// The queue whose workers execute it; none: the run's own.
    pub queue: Option<String>,
    /// How often and how long it is tried.
    pub policy: PolicyInfo,
    /// Who holds it back, and why.
    pub hold: Option<HoldNote>,
}

/// How often and how long a step is tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct PolicyInfo {
    /// Attempts in all.
    pub max_attempts: u32,
    /// The wait before the second.
    pub first_ms: u64,
    /// The longest wait.
    pub longest_ms: u64,
    /// How long one attempt may take.
    pub attempt_timeout_ms: u64,
    /// How long the step may take in all.
    pub deadline_ms: Option<u64>,
    /// Attempts of its undo in all.
    pub undo_max_attempts: u32,
}

/// Who holds something back, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct HoldNote {
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Time,
}

/// A queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct QueueInfo {
    /// Its name.
    pub name: String,
    /// Runs that are due and that nobody has.
    pub due: i64,
    /// Runs that workers hold.
    pub held: i64,
    /// Since when the oldest of those that are due is.
    pub oldest_due_at: Option<Time>,
    /// The names of the live workers that serve it.
    pub workers: Vec<String>,
    /// Who holds it back, and why.
    pub hold: Option<HoldNote>,
}

/// A worker process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct WorkerInfo {
    /// Its number.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Whether one of its lanes has been heard of in the last half minute.
    pub alive: bool,
    /// The queues that it serves.
    pub queues: Vec<String>,
    /// The workflows that it has, as `name v1`.
    pub workflows: Vec<String>,
    /// Runs that it may hold.
    pub slots: i32,
    /// Runs that it holds.
    pub active_runs: i64,
    /// When it started.
    pub started_at: Time,
    /// When it was last heard of.
    pub last_beat: Option<Time>,
    /// Its flushing connections, live ones and those that were declared dead.
    pub lanes: Vec<LaneInfo>,
}

/// A worker's flushing connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct LaneInfo {
    /// Its number.
    pub id: i32,
    /// It has not been declared dead.
    pub alive: bool,
    /// When it was last heard of.
    pub beat: Time,
    /// Runs that it holds.
    pub active_runs: i64,
}

impl ActivityInfo {
    /// What people see of an activity, without its hold.
    pub(crate) fn of(meta: &ActivityMeta) -> Self {
        let Schema { input, output } = (meta.schema)();
        Self {
            name: meta.name.to_owned(),
            input,
            output,
            undoable: meta.undoable,
            verifiable: meta.verifiable,
            transactional: meta.transactional,
            queue: meta.queue.map(str::to_owned),
            policy: PolicyInfo::of(&meta.policy),
            hold: None,
        }
    }
}

impl PolicyInfo {
    /// What people see of a policy.
    pub(crate) fn of(policy: &Policy) -> Self {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            max_attempts: policy.retry.max_attempts,
            first_ms: ms(policy.retry.first),
            longest_ms: ms(policy.retry.longest),
            attempt_timeout_ms: ms(policy.attempt_timeout),
            deadline_ms: policy.deadline.map(ms),
            undo_max_attempts: policy.undo_retry.max_attempts,
        }
    }
}
