//! `backstitch schedule …`: runs that start on a schedule.

mod act;
mod list;
mod set;
mod show;

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::{
    client::{Client, ServerArgs},
    output::Out,
    shapes::List,
};

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
    Pause(act::Args),
    /// Resume a paused schedule
    Resume(act::Args),
    /// Start a run now, in addition to its slots
    Run(act::Args),
    /// Delete a schedule; its runs stay
    Delete(act::DeleteArgs),
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::Set(args) => set::run(args, &client, out).await,
        Verb::List => list::run(&client, out).await,
        Verb::Show(args) => show::run(&args, &client, out).await,
        Verb::Pause(args) => act::change("pause", &args, &client, out).await,
        Verb::Resume(args) => act::change("resume", &args, &client, out).await,
        Verb::Run(args) => act::run(&args, &client, out).await,
        Verb::Delete(args) => act::delete(&args, &client, out).await,
    }
}

/// A schedule, with the fields that tables need.
#[derive(Debug, Deserialize)]
struct Schedule {
    name: String,
    cron: String,
    time_zone: String,
    workflow: String,
    queue: Option<String>,
    overlap: String,
    catch_up: String,
    paused: bool,
    next: Vec<DateTime<Utc>>,
    last: Option<Slot>,
    missed: i64,
    queued: i64,
    slots: Option<List<Slot>>,
}

/// A slot.
#[derive(Debug, Deserialize)]
struct Slot {
    slot: DateTime<Utc>,
    outcome: String,
    run_id: Option<String>,
    message: Option<String>,
}

/// A schedule's path, with its name escaped.
fn path(name: &str) -> String {
    format!("/v1/schedules/{}", encoded(name))
}

/// Escapes a text for a path or query.
fn encoded(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escaped).collect()
}

fn read(answer: &Value) -> anyhow::Result<Schedule> {
    serde_json::from_value(answer.clone()).context("the server's schedule has an unknown form")
}

/// A moment in its zone, as `Mon 05 Jan 09:00 CET`.
fn in_zone(moment: DateTime<Utc>, zone: &str) -> String {
    let zone: chrono_tz::Tz = zone.parse().unwrap_or(chrono_tz::UTC);
    moment.with_timezone(&zone).format("%a %d %b %H:%M %Z").to_string()
}

/// The coming slots, one line each.
fn coming(schedule: &Schedule, now: DateTime<Utc>) -> String {
    let line = |slot: &DateTime<Utc>| {
        format!("  next {} ({})", in_zone(*slot, &schedule.time_zone), super::output::relative(*slot, now))
    };
    schedule.next.iter().map(line).collect::<Vec<_>>().join("\n")
}
