//! The engine. Authors use [`Workflow`], [`Activity`] and [`Context`]; callers and operators use [`Engine`].

pub mod activity;
mod client;
pub mod core;
mod error;
mod gauges;
mod hints;
mod limbo;
mod metrics;
mod observer;
mod operator;
mod registry;
mod store;
pub mod testing;
mod view;
mod worker;
mod workflow;

pub use self::{
    activity::{Activity, ActivityContext, ActivityError, Verified, current_traceparent},
    client::{DEFAULT_MAX_PAYLOAD, DEFAULT_QUEUE, Engine, StartRun, Started},
    core::{
        action::{Action, Declared, PolicyOverride, StepDirection},
        context::{Call, Context, SideValue, StepFailure},
        join::{join, join_all},
        model::{Direction, Failure, Json, Outcome, RunId, Time, to_json},
        policy::{Policy, Retry},
        trace::Trace,
    },
    error::Error,
    limbo::Limbo,
    observer::{Observed, Observer},
    operator::Operator,
    registry::Registry,
    view::{ActionPlan, Gauges, Page, PlannedUndo, Run, RunFilter, RunResult, ServerSettings, StepView, WaitingOn},
    worker::{Worker, WorkerConfig},
    workflow::Workflow,
};
