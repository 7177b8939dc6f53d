//! The engine. Authors use [`Workflow`], [`Activity`] and [`Context`]; callers and operators use [`Engine`].
//!
//! A process that works on runs has a [`Worker`] ([`Engine::worker`]). A process that works or serves also runs
//! [`Engine::maintenance`]: what comes round by the clock, shared by as many processes as there are.

pub mod activity;
mod client;
pub mod core;
mod credentials;
mod error;
mod export;
mod finding;
mod forking;
mod gauges;
mod hints;
mod holds;
mod keys;
mod limbo;
mod maintenance;
mod metrics;
mod observer;
mod operations;
mod operator;
mod registry;
mod retention;
mod role;
mod schedules;
mod store;
pub mod testing;
mod view;
mod why;
mod worker;
mod workflow;

pub use self::{
    activity::{Activity, ActivityContext, ActivityError, Verified, current_traceparent},
    client::{DEFAULT_MAX_PAYLOAD, DEFAULT_QUEUE, DEFAULT_RETENTION, Engine, StartRun, Started},
    core::{
        context::{Call, Context, SideValue, StepFailure},
        holds::HoldKind,
        join::{join, join_all},
        model::{Direction, Failure, Json, Outcome, PastAttempt, RunId, StepError, Time, to_json},
        operation::OperationStatus,
        policy::{Policy, PolicyOverride, Retry, Schema},
        schedule::{CatchUp, Overlap},
        trace::Trace,
        verb::{Declared, StepDirection, Verb},
    },
    credentials::{Identity, VERDICT_FOR},
    error::Error,
    keys::{OpenedSession, SESSION_FOR},
    limbo::Limbo,
    maintenance::{Maintenance, MaintenanceConfig},
    observer::{Observed, Observer},
    operator::{Operator, Subject},
    registry::Registry,
    role::{NoRole, Role},
    view::*,
    worker::{Worker, WorkerConfig},
    workflow::Workflow,
};
