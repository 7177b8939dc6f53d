//! The engine. Authors use [`Workflow`], [`Activity`] and [`Context`]; callers and operators use [`Engine`].
//!
//! A process that works on runs spawns [`Engine::work`]. A process that only serves spawns [`Engine::maintenance`]: what comes
//! round by the clock, shared by as many processes as there are. Either delivers events to sinks: see [`outbox`].

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))] // see core::time

pub mod activity;
mod activity_error;
mod api;
mod breakers;
pub mod check;
pub mod core;
mod credentials;
mod error;
mod hints;
mod maintenance;
mod metrics;
mod names;
mod observer;
pub mod outbox;
mod pulse;
mod read_models;
mod registry;
mod role;
mod service;
mod store;
pub mod testing;
mod trouble;
mod worker;
mod workflow;
mod write_probe;

#[cfg(feature = "server")]
pub(crate) use self::metrics::SECONDS;
#[cfg(test)]
pub(crate) use self::read_models::samples;
pub use self::{
    activity::{
        Activity, ActivityCall, ActivityCalls, ActivityContext, Answer, CallId, LARGEST_OUTPUT, Verified,
        current_traceparent,
    },
    activity_error::ActivityError,
    api::{
        Admitted, Allowance, AuditRecord, Batched, Batcher, Breaker, DEFAULT_MAX_PAYLOAD, DEFAULT_RETENTION, Engine,
        HeldBack, Limbo, Limiter, OpenedSession, Operator, RunWatch, SESSION_FOR, SendSignal, StartRun, Started,
        Subject, TopicPart, TopicRecord,
    },
    core::{
        attention::AttentionKind,
        breaker::{BreakerMode, BreakerRules, BreakerState},
        bucket::Rate,
        context::{Call, Context, SideValue, StepFailure},
        holds::HoldKind,
        join::{join, join_all},
        mapping::{EventFields, Incoming, Mapping, Pointer, Rule, Then, WhichRun},
        model::{Direction, Failure, Json, Outcome, PastAttempt, RunId, StepError, StepKind, Time, WaitKind, to_json},
        operation::OperationStatus,
        policy::{Policy, PolicyOverride, Retry},
        schedule::{CatchUp, Overlap, SlotOutcome},
        schema::Schema,
        trace::Trace,
        verb::{Declared, Verb},
        visibility::Visibility,
        words::UnknownWord,
    },
    credentials::{Identity, VERDICT_FOR},
    error::Error,
    maintenance::{Maintenance, MaintenanceConfig},
    metrics::HISTOGRAMS,
    names::DEFAULT_QUEUE,
    observer::{Observed, Observer},
    read_models::*,
    registry::Registry,
    role::Role,
    store::{
        Lent,
        schema::DEFAULT_SCHEMA,
        session::guarded,
        transaction::{Transaction, begin},
    },
    worker::{Worker, WorkerConfig},
    workflow::Workflow,
};
