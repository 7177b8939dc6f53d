//! `backstitch schedule …`: runs that start on a schedule.

mod list;
mod set;
mod show;
mod verb;

use super::{
    client::{Client, ServerArgs, encoded},
    output::{Out, relative},
};
use crate::engine::{Schedule, Time};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Create or replace a schedule
    Set(set::Args),
    /// List schedules
    List,
    /// Show a schedule and the results of its slots
    Show(show::Args),
    /// Pause a schedule
    Pause(verb::Args),
    /// Resume a paused schedule
    Resume(verb::Args),
    /// Start a run now, in addition to its slots
    Run(verb::Args),
    /// Delete a schedule; its runs stay
    Delete(verb::DeleteArgs),
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::Set(args) => set::run(args, &client, out).await,
        Verb::List => list::run(&client, out).await,
        Verb::Show(args) => show::run(&args, &client, out).await,
        Verb::Pause(args) => verb::change("pause", &args, &client, out).await,
        Verb::Resume(args) => verb::change("resume", &args, &client, out).await,
        Verb::Run(args) => verb::run(&args, &client, out).await,
        Verb::Delete(args) => verb::delete(&args, &client, out).await,
    }
}

/// A schedule's path, with its name escaped.
fn path(name: &str) -> String {
    format!("/v1/schedules/{}", encoded(name))
}

/// A moment in its zone, as `Mon 05 Jan 09:00 CET`.
fn in_zone(moment: Time, zone: &str) -> String {
    let zone: chrono_tz::Tz = zone.parse().unwrap_or(chrono_tz::UTC);
    moment.with_timezone(&zone).format("%a %d %b %H:%M %Z").to_string()
}

/// The coming slots, one line each.
fn coming(schedule: &Schedule, now: Time) -> String {
    let line = |slot: &Time| format!("  next {} ({})", in_zone(*slot, &schedule.time_zone), relative(*slot, now));
    schedule.next.iter().map(line).collect::<Vec<_>>().join("\n")
}
