//! Read models: what people see, behind the API, the CLI and the pages alike. Field names are the contract's. One file per noun.

mod attention;
mod audit;
mod fleet;
mod plan;
mod runs;
mod server;
mod why;

pub use self::{
    attention::{ATTENTION_KINDS, Attention, AttentionFilter, AttentionGroup},
    audit::{AuditEntry, AuditFilter},
    fleet::{
        ActivityView, HoldNote, LaneView, PolicyView, QueueView, StatusCount, VersionView, WorkerView, WorkflowView,
        Workflows,
    },
    plan::{ActionPlan, PlannedUndo},
    runs::{Page, Run, RunFilter, RunResult, StepView, WaitingOn},
    server::ServerSettings,
    why::{Next, Why},
};
