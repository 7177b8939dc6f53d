//! What `backstitch bench` measures: loads that anybody can run on a database of theirs (docs/benchmarks.md).
//!
//! | file | does |
//! |---|---|
//! | `scenario` | what a load has to say of itself, so that the runner can do the rest |
//! | `plain` | the standard load: runs of five sequential in-process steps |
//! | `runner` | starts the runs, executes them in this process, then some one at a time on the idle engine |
//! | `measure` | counts in the database and in this process, from outside of the engine |
//! | `report` | the figures, as they are printed and written as JSON |
//!
//! A further load is a further file with a [`scenario::Scenario`]; runner, measuring and report stay as they are.

mod measure;
mod plain;
mod report;
mod runner;
mod scenario;

use sqlx::PgPool;

use crate::engine::Error;

pub use report::Report;
pub use runner::Load;

/// Runs the standard load on a schema of a database, which is migrated and keeps the runs. `progress` gets the number of ended
/// runs.
///
/// # Errors
/// When the database fails, or when not every run in it has ended with all of its steps: then there is no report.
pub async fn run(pool: &PgPool, schema: &str, load: Load, progress: impl Fn(u64)) -> Result<Report, Error> {
    runner::run(plain::Plain::new()?, (pool, schema), load, progress).await
}
