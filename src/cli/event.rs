//! `backstitch event …`: events that leave, and the sinks that get them.

use reqwest::Method;
use serde_json::json;

use super::{
    answer::{show, show_list},
    client::{Client, ServerArgs},
    output::{Out, age, cut, now, table},
};
use crate::engine::{
    Time,
    outbox::{Event, EventFilter, SinkState},
};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List events, oldest first
    List(ListArgs),
    /// List the sinks of events, and how far each has got
    Sinks,
    /// Have a sink pass over the event that it would get next, and never takes
    Skip(SkipArgs),
}

/// Arguments of `skip`.
#[derive(Debug, clap::Args)]
pub(super) struct SkipArgs {
    /// The sink
    sink: String,
    /// The event's number: one more than the sink has got
    number: i64,
    /// Reason, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only events behind this number
    #[arg(long, value_name = "NUMBER", alias = "cursor")]
    after: Option<i64>,
    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only events of this subject: of the shop's, an order's id or an item's key
    #[arg(long)]
    subject: Option<String>,
    /// At most this many (up to 200)
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::List(ListArgs { after, event_type, subject, limit }) => {
            let filter = EventFilter { after, event_type, subject, limit: Some(limit) };
            let answer = client.find("/v1/events", &filter).await?;
            show_list(&answer, out, "no such events", |events| render(events, now()))?;
        }
        Verb::Sinks => {
            let answer = client.find("/v1/events/sinks", &()).await?;
            show_list(&answer, out, "no sinks", |sinks| render_sinks(sinks, now()))?;
        }
        Verb::Skip(SkipArgs { sink, number, reason, dry_run }) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            anyhow::ensure!(!sink.is_empty() && sink.chars().all(plain), "{sink:?} is no sink's name");
            let body = json!({"sequence": number, "reason": reason, "dry_run": dry_run});
            let answer = client.send(Method::POST, &format!("/v1/events/sinks/{sink}/skip"), Some(&body), None).await?;
            show(&answer, out, |sink: &SinkState| render_sinks(std::slice::from_ref(sink), now()))?;
        }
    }
    Ok(())
}

fn render(events: &[Event], now: Time) -> String {
    let row = |event: &Event| {
        let subject = cut(&event.subject, 36);
        vec![event.sequence.to_string(), age(event.time, now), cut(&event.event_type, 22), subject]
    };
    table(&["NUMBER", "AGE", "TYPE", "SUBJECT"], events.iter().map(row))
}

fn render_sinks(sinks: &[SinkState], now: Time) -> String {
    let row = |sink: &SinkState| {
        let failing = sink.failing_since.map_or_else(|| "-".to_owned(), |since| age(since, now));
        let error = sink.error.as_deref().unwrap_or("-").replace('\n', " ");
        vec![cut(&sink.name, 16), sink.sequence.to_string(), age(sink.seen_at, now), failing, cut(&error, 30)]
    };
    table(&["SINK", "HAS GOT", "SEEN", "FAILING", "ERROR"], sinks.iter().map(row))
}
