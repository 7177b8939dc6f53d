//! `backstitch inbox …`: events from outside: list them, and retry or discard those that are parked.

use reqwest::Method;
use serde_json::json;

use super::{
    answer::{show, show_list},
    args::{SliceArgs, parse_word},
    client::{Client, ServerArgs},
    output::{Out, WIDTH, age, cut, now, table},
};
use crate::engine::{ReceivedEvent, ReceivedFilter, ReceivedState, RunId, Time};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List events from outside, the latest first
    List(ListArgs),
    /// Show an event, with its body while it is parked
    Show(EventArgs),
    /// Do with a parked event what its source's rules say now
    Retry(RetryArgs),
    /// Discard a parked event: nothing comes of it
    Discard(DiscardArgs),
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only events of this source
    #[arg(long)]
    source: Option<String>,
    /// Only events that this came of
    #[arg(long, value_parser = parse_word::<ReceivedState>(ReceivedState::WORDS))]
    state: Option<ReceivedState>,
    #[command(flatten)]
    slice: SliceArgs,
}

/// Which event.
#[derive(Debug, clap::Args)]
pub(super) struct EventArgs {
    /// Its id, as `inbox list` shows it
    id: RunId,
}

/// Arguments of `retry`.
#[derive(Debug, clap::Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    event: EventArgs,
    /// Reason, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only show what would come of it
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `discard`.
#[derive(Debug, clap::Args)]
pub(super) struct DiscardArgs {
    #[command(flatten)]
    event: EventArgs,
    /// Reason, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::List(ListArgs { source, state, slice }) => {
            let filter = ReceivedFilter { source, state, limit: Some(slice.limit), cursor: slice.cursor };
            let answer = client.find("/v1/inbox", &filter).await?;
            show_list(&answer, out, "no such events", |events| render(events, now()))?;
        }
        Verb::Show(EventArgs { id }) => {
            let answer = client.get(&format!("/v1/inbox/events/{id}"), &[]).await?;
            show(&answer, out, describe)?;
        }
        Verb::Retry(RetryArgs { event: EventArgs { id }, reason, dry_run }) => {
            let body = json!({"reason": reason, "dry_run": dry_run});
            let answer = client.send(Method::POST, &format!("/v1/inbox/events/{id}/retry"), Some(&body), None).await?;
            show(&answer, out, describe)?;
        }
        Verb::Discard(DiscardArgs { event: EventArgs { id }, reason }) => {
            let path = format!("/v1/inbox/events/{id}/discard");
            let answer = client.send(Method::POST, &path, Some(&json!({"reason": reason})), None).await?;
            show(&answer, out, describe)?;
        }
    }
    Ok(())
}

/// One line each, followed by why it is parked.
fn render(events: &[ReceivedEvent], now: Time) -> String {
    let row = |event: &ReceivedEvent| {
        let (kind, source) = (cut(&event.kind, 12), cut(&event.source, 10));
        vec![age(event.received_at, now), event.id.to_string(), source, kind, event.state.to_string()]
    };
    let text = table(&["AGE", "ID", "SOURCE", "TYPE", ""], events.iter().map(row));
    let mut lines = text.lines();
    let mut all: Vec<String> = lines.next().map(str::to_owned).into_iter().collect();
    for (line, event) in lines.zip(events) {
        all.push(line.to_owned());
        let why = event.message.as_ref().map(|message| cut(&message.replace('\n', " "), usize::from(WIDTH) - 7));
        all.extend(why.map(|why| format!("       {why}")));
    }
    all.join("\n")
}

/// All of one, in lines.
fn describe(event: &ReceivedEvent) -> String {
    let run = event.run_id.map(|run| format!(", run {run}")).unwrap_or_default();
    let mut lines = vec![format!("{} {} of {} is {}{run}", event.kind, event.event_id, event.source, event.state)];
    lines.extend(event.message.clone());
    lines.extend(event.body.as_ref().map(|body| body.get().to_owned()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_events_fits_eighty_columns() {
        let event = ReceivedEvent {
            id: RunId::nil(),
            source: "a-source-with-a-long-name".to_owned(),
            event_id: "e1".to_owned(),
            kind: "com.example.parcel.delivered".to_owned(),
            state: ReceivedState::Discarded,
            code: Some("unmappable".to_owned()),
            message: Some("word ".repeat(40)),
            run_id: None,
            received_at: now(),
            body: None,
        };
        let text = render(std::slice::from_ref(&event), now());
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
        assert!(text.contains(&RunId::nil().to_string()) && text.contains("word"), "{text}");
        assert!(describe(&event).starts_with("com.example.parcel.delivered e1 of"));
    }
}
