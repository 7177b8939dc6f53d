//! `backstitch man`: manual pages: one on stdout, to read with `man -l -`, or all of them into a directory.

use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;

use super::output::{say, tell};

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Read one:     backstitch man run cancel | man -l -\nInstall all:  backstitch man --dir ~/.local/share/man/man1"
)]
pub(super) struct Args {
    /// The command, such as `run cancel`; without it, backstitch itself
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Vec<String>,
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints or writes them.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let mut root = super::Cli::command();
    root.build();
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir).with_context(|| format!("could not create {}", dir.display()))?;
        clap_mangen::generate_to(super::Cli::command(), dir)
            .with_context(|| format!("writing to {}", dir.display()))?;
        tell(format!("the pages are in {}", dir.display()));
        return Ok(());
    }
    let mut command = &root;
    for name in &args.command {
        let unknown = || format!("there is no command `{name}`; `backstitch --help` lists the commands");
        command = command.find_subcommand(name).with_context(unknown)?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    say(String::from_utf8_lossy(&page).trim_end())
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    /// All commands, with their full names.
    fn all(command: &Command, name: &str, found: &mut Vec<(String, Command)>) {
        found.push((name.to_owned(), command.clone()));
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            all(verb, &format!("{name} {}", verb.get_name()), found);
        }
    }

    fn commands() -> Vec<(String, Command)> {
        let mut root = crate::cli::Cli::command();
        root.build();
        let mut found = Vec::new();
        all(&root, "backstitch", &mut found);
        found
    }

    #[test]
    fn every_command_and_argument_says_what_it_is() {
        for (name, command) in commands() {
            assert!(command.get_about().is_some(), "{name} does not say what it does");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{name}: {} does not say what it is", argument.get_id());
            }
        }
    }

    #[test]
    fn every_help_fits_80_columns() {
        let mut wide = Vec::new();
        for (name, mut command) in commands() {
            for help in [command.render_help(), command.render_long_help()] {
                let help = help.to_string();
                wide.extend(
                    help.lines().filter(|line| line.chars().count() > 80).map(|line| format!("{name}: {line}")),
                );
            }
        }
        assert!(wide.is_empty(), "{}", wide.join("\n"));
    }
}
