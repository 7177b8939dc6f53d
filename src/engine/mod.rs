//! The engine. Authors use [`Workflow`], [`Activity`] and [`Context`]; callers and operators use [`Engine`].

pub mod activity;
mod client;
pub mod core;
mod credentials;
mod error;
mod hints;
mod keys;
mod limbo;
mod operator;
mod registry;
mod role;
mod store;
pub mod testing;
mod view;
mod worker;
mod workflow;

pub use self::{
    activity::{Activity, ActivityContext, ActivityError, Verified},
    client::{DEFAULT_MAX_PAYLOAD, DEFAULT_QUEUE, Engine, StartRun, Started},
    core::{
        action::{Action, Declared, PolicyOverride, StepDirection},
        context::{Call, Context, SideValue, StepFailure},
        join::{join, join_all},
        model::{Failure, Json, Outcome, RunId, Time, to_json},
        policy::{Policy, Retry},
    },
    credentials::{Identity, VERDICT_FOR},
    error::Error,
    keys::{OpenedSession, SESSION_FOR},
    limbo::Limbo,
    operator::Operator,
    registry::Registry,
    role::{NoRole, Role},
    view::{
        ActionPlan, ApiKey, CreatedKey, NewKey, Page, PlannedUndo, Run, RunFilter, RunResult, ServerSettings, StepView,
        WaitingOn,
    },
    worker::{Worker, WorkerConfig},
    workflow::Workflow,
};
