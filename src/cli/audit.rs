//! `backstitch audit`: operators' actions and refusals, newest first.

use anyhow::Context;

use super::{
    answer::show_list,
    args::{SliceArgs, parse_word},
    client::{Client, ServerArgs},
    output::{Out, WIDTH, age, cut, now, table},
};
use crate::engine::{ActionOutcome, AuditEntry, AuditFilter, RunId, Time};

/// Filters for entries.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only actions on this run: its id, or a beginning that no other has
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Only actions of this bulk operation
    #[arg(long, value_name = "ID")]
    operation: Option<RunId>,
    /// Only what this person or program did: key:NAME, cli:NAME or key:NAME (cli:NAME)
    #[arg(long)]
    actor: Option<String>,
    /// Only this verb
    #[arg(long)]
    action: Option<String>,
    /// Only actions that were carried out, or only refusals
    #[arg(long, value_parser = parse_word::<ActionOutcome>(ActionOutcome::WORDS))]
    outcome: Option<ActionOutcome>,
    /// Only at or after this time (RFC 3339)
    #[arg(long)]
    since: Option<Time>,
    #[command(flatten)]
    slice: SliceArgs,
}

pub(super) async fn run(args: Args, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    let run_id = match &args.run {
        Some(given) => Some(client.run_id(given).await?.parse().context("--run is not the id of a run")?),
        None => None,
    };
    let filter = AuditFilter {
        run_id,
        operation_id: args.operation,
        actor: args.actor,
        action: args.action,
        outcome: args.outcome,
        since: args.since,
        limit: Some(args.slice.limit),
        cursor: args.slice.cursor,
    };
    let answer = client.find("/v1/audit", &filter).await?;
    show_list(&answer, out, "no such entries", |entries| render(entries, now()))?;
    Ok(())
}

/// One line each, followed by the reason or refusal.
fn render(entries: &[AuditEntry], now: Time) -> String {
    let row = |entry: &AuditEntry| {
        let to =
            entry.run_id.map(|id| id.to_string()).or_else(|| entry.subject.clone()).unwrap_or_else(|| "-".to_owned());
        vec![age(entry.at, now), cut(&entry.actor, 10), cut(&entry.action, 11), cut(&to, 36), entry.outcome.to_string()]
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
    use crate::engine::samples;

    #[test]
    fn entries_fit_eighty_columns_and_keep_ids_whole() {
        let entry = |outcome: &str, code: Option<&str>| -> AuditEntry {
            samples::with(
                samples::audit_json(),
                json!({
                    "at": "2026-01-01T00:00:00Z", "actor": "cli:annabelle", "action": "compensate", "outcome": outcome,
                    "code": code, "run_id": "01998877-6655-7443-8221-100000000000", "reason": "the customer called about it"
                }),
            )
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
