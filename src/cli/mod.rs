//! The command line: one command per file, with its arguments and its `run`. No SQL; servers are called over HTTP.
//!
//! Data goes to stdout, everything else to stderr. Exit status: 0 done, 1 failed or found a breach, 2 wrong usage.

mod answer;
mod args;
mod attention;
mod audit;
#[cfg(feature = "embedded")]
mod bench;
pub mod client;
#[cfg(feature = "embedded")]
mod compare;
mod completions;
#[cfg(all(feature = "embedded", feature = "shop"))]
mod demo;
#[cfg(all(feature = "embedded", feature = "shop"))]
mod dev;
mod doctor;
mod event;
mod fleet;
#[cfg(feature = "shop")]
pub mod gateway_sim;
mod hold;
mod inbox;
mod key;
#[cfg(feature = "embedded")]
mod load;
mod man;
mod migrate;
#[cfg(feature = "shop")]
mod notification;
mod openapi;
mod operation;
#[cfg(feature = "shop")]
mod order;
pub mod output;
#[cfg(feature = "shop")]
mod provider;
#[cfg(feature = "shop")]
mod reconcile;
mod retention;
mod run;
mod schedule;
#[cfg(feature = "shop")]
mod serve;
#[cfg(feature = "shop")]
mod vendor;
#[cfg(feature = "shop")]
mod wiring;
#[cfg(feature = "shop")]
mod worker;

use std::{io, process::ExitCode};

use clap::Parser;

use self::{
    client::ServerArgs,
    output::{Format, Out, chain, tell},
};

/// Durable workflows and sagas on plain Postgres: start, watch and operate runs, or serve them
#[derive(Debug, Parser)]
#[command(name = "backstitch", version, arg_required_else_help = true, max_term_width = 80)]
pub struct Cli {
    /// Output format
    #[arg(short = 'o', global = true, id = "format", value_name = "FORMAT", value_enum, default_value = "table")]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

/// What servers log where the environment names no filter.
#[cfg(feature = "shop")]
const SERVER_LOG: &str = "info,sqlx=warn";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List what needs an operator, grouped by error
    Attention {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        verb: Option<attention::Verb>,
    },
    /// List operators' actions and refusals, newest first
    Audit {
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        args: audit::Args,
    },
    /// Show queues, workers and workflows
    Fleet {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        table: Option<fleet::Verb>,
    },
    #[cfg(all(feature = "embedded", feature = "shop"))]
    /// Run orders through every outcome on an embedded Postgres, and check the books
    Demo(demo::Args),
    #[cfg(all(feature = "embedded", feature = "shop"))]
    /// Run everything in one process, on an embedded Postgres: API, worker, gateway simulator
    Dev(Box<dev::Args>),
    #[cfg(feature = "shop")]
    /// Serve the API, by default with a worker
    Serve(Box<serve::Args>),
    #[cfg(feature = "shop")]
    /// Execute runs, as a member of a worker pool
    Worker(Box<worker::Args>),
    /// Create, list and revoke API keys
    Key {
        #[command(subcommand)]
        verb: key::Verb,
    },
    /// Bring the schema up to date
    Migrate(migrate::Args),
    #[cfg(feature = "shop")]
    /// Run a simulated payment gateway with fault modes: a subset of Stripe's API, or an acquirer's
    GatewaySim(gateway_sim::Args),
    /// Start, watch and operate runs
    Run {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        verb: run::Verb,
    },
    /// Show and set how long ended runs are kept
    Retention {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        verb: retention::Verb,
    },
    /// List events that leave, and the sinks that get them
    Event {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        verb: event::Verb,
    },
    /// List events from outside, and retry those that are parked
    Inbox {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        verb: inbox::Verb,
    },
    /// Start runs on a schedule
    Schedule {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        verb: schedule::Verb,
    },
    #[cfg(feature = "shop")]
    /// Place, show and cancel orders
    Order {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        verb: order::Verb,
    },
    #[cfg(feature = "shop")]
    /// Show what our books and the gateway's disagree about
    Reconcile {
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        args: reconcile::Args,
    },
    #[cfg(feature = "shop")]
    /// List payment vendors, open and close their breakers
    Vendor {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        verb: vendor::Verb,
    },
    #[cfg(feature = "shop")]
    /// List what people were told of orders, and send it again
    Notification {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        verb: notification::Verb,
    },
    #[cfg(feature = "shop")]
    /// List providers of notices, open and close their breakers
    Provider {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        verb: provider::Verb,
    },
    /// List, follow and stop bulk operations
    Operation {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        verb: operation::Verb,
    },
    /// Hold a workflow, an activity or a queue
    Hold {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        verb: hold::Verb,
    },
    #[cfg(feature = "embedded")]
    /// Measure what runs and orders cost on a database
    Bench(Box<bench::Args>),
    /// Check a database's settings, and the no-limbo and ledger invariants
    Doctor(doctor::Args),
    /// Print the OpenAPI document of the API
    Openapi,
    /// Print a manual page, or write all of them
    Man(man::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

impl Cli {
    /// Reads this process's arguments.
    ///
    /// # Errors
    /// With the exit status, if there is nothing to carry out: help has been printed, or what is wrong.
    pub fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|refused| {
            let usage = u8::try_from(refused.exit_code()).unwrap_or(2);
            match refused.print().and_then(|()| output::flush()) {
                Err(error) if !refused.use_stderr() && error.kind() != io::ErrorKind::BrokenPipe => {
                    tell(format!("error: {}: {error}", output::LOST));
                    ExitCode::FAILURE
                }
                _ => ExitCode::from(usage),
            }
        })
    }

    /// Carries out the command.
    pub async fn run(self) -> ExitCode {
        match self.dispatch().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tell(format!("error: {}", chain(&error)));
                ExitCode::FAILURE
            }
        }
    }

    /// The default log filter: servers log their activity, commands only problems.
    pub const fn default_log(&self) -> &'static str {
        match self.command {
            #[cfg(all(feature = "embedded", feature = "shop"))]
            Command::Dev(_) => SERVER_LOG,
            // A gateway that fails and workers that cope are what it shows.
            #[cfg(all(feature = "embedded", feature = "shop"))]
            Command::Demo(_) => "error",
            #[cfg(feature = "shop")]
            Command::Serve(_) | Command::Worker(_) | Command::GatewaySim(_) => SERVER_LOG,
            _ => "warn",
        }
    }

    /// Whether it counts the statements that this process sends.
    pub const fn counts_statements(&self) -> bool {
        match &self.command {
            #[cfg(feature = "embedded")]
            Command::Bench(args) => args.counts_statements(),
            _ => false,
        }
    }

    async fn dispatch(self) -> anyhow::Result<()> {
        let out = Out::new(self.format);
        match self.command {
            #[cfg(all(feature = "embedded", feature = "shop"))]
            Command::Demo(args) => demo::run(args, out).await,
            Command::Attention { server, verb } => attention::run(verb, &server, out).await,
            Command::Audit { server, args } => audit::run(args, &server, out).await,
            Command::Fleet { server, table } => fleet::run(table, &server, out).await,
            #[cfg(feature = "embedded")]
            Command::Bench(args) => bench::run(*args, out).await,
            Command::Doctor(args) => doctor::run(args, out).await,
            #[cfg(all(feature = "embedded", feature = "shop"))]
            Command::Dev(args) => dev::run(*args).await,
            #[cfg(feature = "shop")]
            Command::Serve(args) => serve::run(*args).await,
            #[cfg(feature = "shop")]
            Command::Worker(args) => worker::run(*args).await,
            Command::Key { verb } => key::run(verb, out).await,
            Command::Migrate(args) => migrate::run(args).await,
            #[cfg(feature = "shop")]
            Command::GatewaySim(args) => gateway_sim::run(args).await,
            Command::Run { server, verb } => run::run(verb, &server, out).await,
            Command::Hold { server, verb } => hold::run(verb, &server, out).await,
            Command::Retention { server, verb } => retention::run(verb, &server, out).await,
            Command::Event { server, verb } => event::run(verb, &server, out).await,
            Command::Inbox { server, verb } => inbox::run(verb, &server, out).await,
            Command::Schedule { server, verb } => schedule::run(verb, &server, out).await,
            Command::Operation { server, verb } => operation::run(verb, &server, out).await,
            #[cfg(feature = "shop")]
            Command::Order { server, verb } => order::run(verb, &server, out).await,
            #[cfg(feature = "shop")]
            Command::Reconcile { server, args } => reconcile::run(&args, &server, out).await,
            #[cfg(feature = "shop")]
            Command::Vendor { server, verb } => vendor::run(verb, &server, out).await,
            #[cfg(feature = "shop")]
            Command::Notification { server, verb } => notification::run(verb, &server, out).await,
            #[cfg(feature = "shop")]
            Command::Provider { server, verb } => provider::run(verb, &server, out).await,
            Command::Openapi => openapi::run(),
            Command::Man(args) => man::run(&args),
            Command::Completions(args) => completions::run(&args),
        }
    }
}

#[cfg(test)]
mod shown_commands;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_server_option_may_stand_anywhere() {
        for line in [
            "backstitch run --url http://h:1 show x -o json",
            "backstitch run show x --url http://h:1 -o json",
            "backstitch -o json run show x --url http://h:1",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).expect(line);
            let Command::Run { server, .. } = cli.command else { panic!("{line}") };
            assert_eq!((server.url.as_str(), cli.format), ("http://h:1/", Format::Json), "{line}");
        }
    }

    #[test]
    fn usage_errors_are_usage_errors() {
        for line in [
            "backstitch run cancel x",
            "backstitch run retry",
            "backstitch run retry x --status stuck",
            "backstitch run list --limit 0",
            "backstitch x",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
