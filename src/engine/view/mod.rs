//! Read models: what people see, behind the API, the CLI and the pages alike. Field names are the contract's. One file per noun.

mod holds;
mod plan;
mod runs;
mod schedules;
mod server;

pub use self::{
    holds::Hold,
    plan::{ActionPlan, PlannedUndo},
    runs::{Page, Run, RunFilter, RunResult, StepView, WaitingOn},
    schedules::{Schedule, ScheduleChange, ScheduleDetail, ScheduleSpec, ScheduledRun, Slot},
    server::ServerSettings,
};
