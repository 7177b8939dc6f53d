//! The engine. Authors use [`Workflow`], [`Activity`] and [`Context`]; callers and operators use [`Engine`].

pub mod activity;
mod client;
pub mod core;
mod error;
mod hints;
mod limbo;
mod operator;
mod registry;
mod store;
pub mod testing;
mod view;
mod worker;
mod workflow;

pub use self::{
    activity::{Activity, ActivityContext, ActivityError, Verified},
    client::{DEFAULT_MAX_PAYLOAD, DEFAULT_QUEUE, Engine, StartRun, Started},
    core::{
        action::{Action, Declared, StepDirection},
        context::{Call, Context, SideValue, StepFailure},
        join::{join, join_all},
        model::{Failure, Json, Outcome, RunId, Time, to_json},
        policy::{Policy, PolicyOverride, Retry},
    },
    error::Error,
    limbo::Limbo,
    operator::{Operator, Subject},
    registry::Registry,
    view::{ActionPlan, Page, PlannedUndo, Run, RunFilter, RunResult, ServerSettings, StepView, WaitingOn},
    worker::{Worker, WorkerConfig},
    workflow::Workflow,
};
