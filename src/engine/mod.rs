//! The engine. Authors use [`Workflow`], [`Activity`] and [`Context`]; callers and operators use [`Engine`].

pub mod activity;
mod client;
pub mod core;
mod error;
mod finding;
mod hints;
mod limbo;
mod operator;
mod registry;
mod store;
pub mod testing;
mod view;
mod why;
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
        policy::{Policy, Retry, Schema},
    },
    error::Error,
    limbo::Limbo,
    operator::Operator,
    registry::Registry,
    view::{
        ATTENTION_KINDS, ActionPlan, ActivityView, Attention, AttentionFilter, AttentionGroup, AuditEntry, AuditFilter,
        HoldNote, LaneView, Next, Page, PlannedUndo, PolicyView, QueueView, Run, RunFilter, RunResult, ServerSettings,
        StatusCount, StepView, VersionView, WaitingOn, Why, WorkerView, WorkflowView, Workflows,
    },
    worker::{Worker, WorkerConfig},
    workflow::Workflow,
};
