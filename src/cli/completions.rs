//! `backstitch completions`: completion scripts for shells, on stdout.

use clap::CommandFactory;
use clap_complete::Shell;

/// The shell.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "backstitch", &mut script);
    super::output::say(String::from_utf8_lossy(&script).trim_end())
}
