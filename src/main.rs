//! The binary: parses the command line, sets up logging, and calls [`backstitch::cli`].

use std::process::ExitCode;

use backstitch::{cli::Cli, telemetry};
use clap::Parser;

/// Workers allocate and free small objects by the million; see docs/decisions/0011.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = telemetry::init(cli.default_log()) {
        eprintln!("error: {error:#}");
        return ExitCode::from(2);
    }
    cli.run().await
}
