//! Read models: what people see, behind the API, the CLI and the pages alike. Field names are the contract's. One file per noun.

mod holds;
mod plan;
mod runs;
mod server;
pub mod words;

pub use self::holds::Hold;
pub use self::plan::{ActionPlan, PlannedUndo};
pub use self::runs::{Page, Run, RunFilter, RunResult, StepView, WaitingOn};
pub use self::server::ServerSettings;
