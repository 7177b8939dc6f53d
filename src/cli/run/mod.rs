//! `backstitch run …`: start, read and operate runs, one command per file.

mod act;
mod bulk;
mod export;
mod list;
mod show;
mod signal;
mod start;
pub(super) mod timeline;
mod watch;
mod why;

use anyhow::Context;
use serde_json::Value;

use super::{
    client::{Client, ServerArgs},
    output::Out,
    shapes::Run,
};

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
    Retry(act::RetryArgs),
    /// Stop a run and undo its steps, if it is not past its pivot
    Cancel(act::DangerousArgs),
    /// Undo a run's steps, in any state
    Compensate(act::DangerousArgs),
    /// Stop starting a run's steps, and freeze its timers
    Pause(act::PlainArgs),
    /// Resume a paused run
    Resume(act::PlainArgs),
    /// Skip a step that has not succeeded, or an undo
    Skip(act::SkipArgs),
    /// Declare the outcome of an unknown step
    Resolve(act::ResolveArgs),
    /// End a run in its present state, without undo
    Abandon(act::DangerousArgs),
    /// Remove a run from the attention list
    Acknowledge(act::PlainArgs),
    /// Start a new run from a step of this one
    Fork(act::ForkArgs),
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
        Verb::Retry(args) => act::retry(args, &client, out).await,
        Verb::Cancel(args) => act::dangerous("cancel", args, &client, out).await,
        Verb::Compensate(args) => act::dangerous("compensate", args, &client, out).await,
        Verb::Pause(args) => act::plain("pause", args, &client, out).await,
        Verb::Resume(args) => act::plain("resume", args, &client, out).await,
        Verb::Skip(args) => act::skip(args, &client, out).await,
        Verb::Resolve(args) => act::resolve(args, &client, out).await,
        Verb::Abandon(args) => act::dangerous("abandon", args, &client, out).await,
        Verb::Acknowledge(args) => act::plain("acknowledge", args, &client, out).await,
        Verb::Fork(args) => act::fork(args, &client, out).await,
    }
}

/// Reads one run: the whole answer, and the fields that tables need.
async fn read(client: &Client, id: &str) -> anyhow::Result<(Value, Run)> {
    let whole = client.get(&format!("/v1/runs/{id}"), &[]).await?;
    let run = serde_json::from_value(whole.clone()).context("the server's run has an unknown form")?;
    Ok((whole, run))
}

/// A JSON argument: the text itself, `@FILE`, or `-` for stdin.
pub(super) fn json_argument(name: &str, text: &str) -> anyhow::Result<Value> {
    let text = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("{name}: {path} can't be read"))?,
        None if text == "-" => std::io::read_to_string(std::io::stdin()).context("stdin can't be read")?,
        None => text.to_owned(),
    };
    serde_json::from_str(&text).with_context(|| format!("{name} is not JSON"))
}
