//! Read models: what people see, behind the API, the command line and the pages alike. Field names are the contract's. One file
//! per noun. The API serialises them and the command line reads the same types, so that neither describes them anew.
//!
//! Fields that are added later are ignored by older readers. A word that is added to an enum is an error there: in the engine an
//! enum has no value for words that nobody knows. Programs get the API's answer as it came (`-o json`), unread.

mod attention;
mod audit;
mod breakers;
mod events;
mod export;
mod fleet;
mod gauges;
mod holds;
mod keys;
mod operations;
mod plan;
mod received;
mod retention;
mod runs;
#[cfg(test)]
pub(crate) mod samples;
mod schedules;
mod server;
mod slice;
mod status;
mod why;
mod wire;

pub use self::attention::{Attention, AttentionFilter, AttentionGroup};
pub use self::audit::{ActionOutcome, AuditEntry, AuditFilter};
pub use self::breakers::{BreakerScope, BreakerStatus};
pub use self::events::{Event, EventFilter, SinkLag, SinkState};
pub use self::export::{Compensation, ExportFormat, InboxSignal, RunExport, SlotOfRun};
pub use self::fleet::{
    ActivityInfo, HoldNote, LaneInfo, PolicyInfo, QueueInfo, WorkerInfo, WorkflowInfo, WorkflowVersion, Workflows,
};
pub use self::gauges::Gauges;
pub use self::holds::Hold;
pub use self::keys::{ApiKey, CreatedKey, KeyState, NewKey};
pub use self::operations::{
    Operation, OperationPreview, OperationRefusals, OperationRun, OperationRunState, OperationStatusCount, PreviewedRun,
};
pub use self::plan::{ActionPlan, ForkPlan, PlannedUndo};
pub use self::received::{Receipt, ReceivedEvent, ReceivedFilter, ReceivedState};
pub use self::retention::{Keeping, PartitionCount, Retention};
pub use self::runs::{Run, RunFilter, RunResult, RunStep, WaitingOn};
pub use self::schedules::{Schedule, ScheduleChange, ScheduleDetail, ScheduleSpec, ScheduledRun, Slot};
pub use self::server::ServerSettings;
pub use self::slice::Slice;
pub(crate) use self::slice::check_limit;
pub use self::status::{RunStatus, StatusCount, StepState};
pub use self::why::{Mover, Next, Why};
