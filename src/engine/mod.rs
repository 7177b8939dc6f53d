//! The engine. Authors use [`Workflow`], [`Activity`] and [`Context`]; callers and operators use [`Engine`].

pub mod activity;
mod client;
pub mod core;
mod error;
mod registry;
mod view;
mod workflow;

pub use self::{
    activity::{Activity, ActivityContext, ActivityError, Verified},
    client::{Engine, Operator, StartRun, Started},
    core::{
        context::{Call, Context, SideValue, StepFailure},
        join::{join, join_all},
        model::{Failure, Json, Outcome, RunId, Time, to_json},
        policy::{Policy, Retry},
    },
    error::Error,
    registry::Registry,
    view::{ActionPlan, Page, PlannedUndo, Run, RunFilter, RunResult, StepView, WaitingOn},
    workflow::Workflow,
};
