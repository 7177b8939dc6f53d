//! `backstitch run …`: start, read and operate runs, one command per file.

mod bulk;
mod export;
mod list;
mod show;
mod signal;
mod start;
pub(super) mod timeline;
mod verb;
mod watch;
mod why;

use super::{
    client::{Client, ServerArgs},
    output::Out,
};
use crate::engine;

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Start a run
    Start(start::Args),
    /// List runs, newest first
    List(list::Args),
    /// Show a run and the timeline of its steps
    Show(show::Args),
    /// Follow a run until it ends
    Watch(watch::Args),
    /// Explain what a run waits for, since when, and what happens next
    Why(why::Args),
    /// Print a run with all its records, as JSON
    Export(export::Args),
    /// Send a signal to a run
    Signal(signal::Args),
    /// Retry a stuck or failed run where it failed, or a waiting step at once
    Retry(verb::RetryArgs),
    /// Stop a run and undo its steps, if it is not past its pivot
    Cancel(verb::DangerousArgs),
    /// Undo a run's steps, in any state
    Compensate(verb::DangerousArgs),
    /// Stop starting a run's steps, and freeze its timers
    Pause(verb::PlainArgs),
    /// Resume a paused run
    Resume(verb::PlainArgs),
    /// Skip a step that has not succeeded, or an undo
    Skip(verb::SkipArgs),
    /// Declare the outcome of an unknown step
    Resolve(verb::ResolveArgs),
    /// End a run in its present state, without undo
    Abandon(verb::DangerousArgs),
    /// Remove a run from the attention list
    Acknowledge(verb::PlainArgs),
    /// Start a new run from a step of this one
    Fork(verb::ForkArgs),
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::Start(args) => start::run(args, &client, out).await,
        Verb::List(args) => list::run(args, &client, out).await,
        Verb::Show(args) => show::run(&args, &client, out).await,
        Verb::Watch(args) => watch::run(&args, &client, out).await,
        Verb::Why(args) => why::run(&args, &client, out).await,
        Verb::Export(args) => export::run(&args, &client).await,
        Verb::Signal(args) => signal::run(args, &client).await,
        Verb::Retry(args) => verb::retry(args, &client, out).await,
        Verb::Cancel(args) => verb::dangerous(engine::Verb::Cancel, args, &client, out).await,
        Verb::Compensate(args) => verb::dangerous(engine::Verb::Compensate, args, &client, out).await,
        Verb::Pause(args) => verb::plain(engine::Verb::Pause, args, &client, out).await,
        Verb::Resume(args) => verb::plain(engine::Verb::Resume, args, &client, out).await,
        Verb::Skip(args) => verb::skip(args, &client, out).await,
        Verb::Resolve(args) => verb::resolve(args, &client, out).await,
        Verb::Abandon(args) => verb::dangerous(engine::Verb::Abandon, args, &client, out).await,
        Verb::Acknowledge(args) => verb::plain(engine::Verb::Acknowledge, args, &client, out).await,
        Verb::Fork(args) => verb::fork(args, &client, out).await,
    }
}
