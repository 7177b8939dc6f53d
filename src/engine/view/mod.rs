//! Read models: what people see, behind the API, the CLI and the pages alike. Field names are the contract's. One file per noun.

mod keys;
mod plan;
mod runs;
mod server;

pub use self::{
    keys::{ApiKey, CreatedKey, NewKey},
    plan::{ActionPlan, PlannedUndo},
    runs::{Page, Run, RunFilter, RunResult, StepView, WaitingOn},
    server::ServerSettings,
};
