//! Read models: what people see, behind the API, the CLI and the pages alike. Field names are the contract's. One file per noun.

mod attention;
mod audit;
mod export;
mod fleet;
mod gauges;
mod holds;
mod keys;
mod operations;
mod plan;
mod retention;
mod runs;
mod schedules;
mod server;
mod why;
pub mod words;

pub use self::attention::{ATTENTION_KINDS, Attention, AttentionFilter, AttentionGroup};
pub use self::audit::{AuditEntry, AuditFilter};
pub use self::export::{CompensationView, RunExport, SignalView, SlotOfRun};
pub use self::fleet::{
    ActivityView, HoldNote, LaneView, PolicyView, QueueView, StatusCount, VersionView, WorkerView, WorkflowView,
    Workflows,
};
pub use self::gauges::Gauges;
pub use self::holds::Hold;
pub use self::keys::{ApiKey, CreatedKey, NewKey};
pub use self::operations::{
    Operation, OperationPreview, OperationRefusals, OperationRun, OperationStatusCount, PreviewedRun,
};
pub use self::plan::{ActionPlan, ForkPlan, PlannedUndo};
pub use self::retention::{Keeping, PartitionView, Retention};
pub use self::runs::{Page, Run, RunFilter, RunResult, StepView, WaitingOn};
pub use self::schedules::{Schedule, ScheduleChange, ScheduleDetail, ScheduleSpec, ScheduledRun, Slot};
pub use self::server::ServerSettings;
pub use self::why::{Next, Why};
