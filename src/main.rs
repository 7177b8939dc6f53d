//! The binary: parses the command line, sets up logging, and calls [`backstitch::cli`].

use std::process::ExitCode;

use backstitch::{
    cli::{Cli, output::tell},
    telemetry,
};

/// Workers allocate and free small objects by the million; see docs/decisions/0011.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    if let Err(error) = telemetry::init(cli.default_log(), cli.counts_statements()) {
        tell(format!("error: {error:#}"));
        return ExitCode::from(2);
    }
    cli.run().await
}
