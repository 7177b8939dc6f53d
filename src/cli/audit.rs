//! `backstitch audit`: operators' actions and refusals, newest first.

use anyhow::Context;
use serde::Deserialize;

use super::{
    client::{Client, ServerArgs},
    output::{Out, WIDTH, cut, now, relative, table, tell},
    shapes::{List, Time},
};

/// Filters for entries.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only actions on this run
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Only actions of this bulk operation
    #[arg(long, value_name = "ID")]
    operation: Option<String>,
    /// Only what this person or program did: key:NAME, cli:NAME or key:NAME (cli:NAME)
    #[arg(long)]
    actor: Option<String>,
    /// Only this verb
    #[arg(long)]
    action: Option<String>,
    /// Only actions that were carried out, or only refusals
    #[arg(long, value_parser = ["done", "refused"])]
    outcome: Option<String>,
    /// Only at or after this time (RFC 3339)
    #[arg(long)]
    since: Option<String>,
    /// At most this many (up to 200)
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Cursor from the previous page
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    at: Time,
    actor: String,
    action: String,
    run_id: Option<String>,
    subject: Option<String>,
    outcome: String,
    code: Option<String>,
    reason: Option<String>,
}

pub(super) async fn run(args: Args, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let given = [
        ("run_id", args.run),
        ("operation_id", args.operation),
        ("actor", args.actor),
        ("action", args.action),
        ("outcome", args.outcome),
        ("since", args.since),
        ("limit", Some(args.limit.to_string())),
        ("cursor", args.cursor),
    ];
    let query: Vec<(&str, String)> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let whole = Client::new(server)?.get("/v1/audit", &query).await?;
    if out.json() {
        return out.show(&whole, String::new);
    }
    let page: List<Entry> = serde_json::from_value(whole).context("the server's list has an unknown form")?;
    if page.items.is_empty() {
        tell("no such entries");
        return Ok(());
    }
    out.show(&(), || render(&page.items, now()))?;
    if let Some(cursor) = page.next_cursor {
        tell(format!("more with --cursor {cursor}"));
    }
    Ok(())
}

/// One line each, followed by the reason or refusal.
fn render(entries: &[Entry], now: Time) -> String {
    let row = |entry: &Entry| {
        let to = entry.run_id.clone().or_else(|| entry.subject.clone()).unwrap_or_else(|| "-".to_owned());
        vec![
            relative(entry.at, now).trim_end_matches(" ago").to_owned(),
            cut(&entry.actor, 10),
            cut(&entry.action, 11),
            cut(&to, 36),
            entry.outcome.clone(),
        ]
    };
    let text = table(&["AGE", "ACTOR", "ACTION", "TO", ""], entries.iter().map(row));
    let mut lines = text.lines();
    let mut all: Vec<String> = lines.next().map(str::to_owned).into_iter().collect();
    for (line, entry) in lines.zip(entries) {
        all.push(line.to_owned());
        let said = [&entry.code, &entry.reason].into_iter().flatten().cloned().collect::<Vec<_>>().join("; ");
        if !said.is_empty() {
            all.push(format!("       {}", cut(&said.replace('\n', " "), usize::from(WIDTH) - 7)));
        }
    }
    all.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_fit_eighty_columns_and_keep_ids_whole() {
        let entry = |outcome: &str, code: Option<&str>| -> Entry {
            serde_json::from_value(json!({
                "at": "2026-01-01T00:00:00Z", "actor": "cli:annabelle", "action": "compensate", "outcome": outcome,
                "code": code, "run_id": "01998877-6655-7443-8221-100000000000", "reason": "the customer called about it"
            }))
            .expect("an entry")
        };
        let now = "2026-01-01T01:00:00Z".parse().expect("a time");
        let text = render(&[entry("done", None), entry("refused", Some("wrong_state"))], now);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
        assert!(text.contains("01998877-6655-7443-8221-100000000000"), "{text}");
        insta::assert_snapshot!(text, @r"
        AGE    ACTOR       ACTION      TO
        1h00m  cli:annab…  compensate  01998877-6655-7443-8221-100000000000  done
               the customer called about it
        1h00m  cli:annab…  compensate  01998877-6655-7443-8221-100000000000  refused
               wrong_state; the customer called about it
        ");
    }
}
