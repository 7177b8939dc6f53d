//! `backstitch attention`: what needs an operator, grouped by error, most runs first.

use anyhow::Context;
use serde::Deserialize;

use super::{
    client::{Client, ServerArgs},
    output::{Out, WIDTH, cut, now, relative, table, tell},
    shapes::{List, Time},
};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List what needs attention, grouped by error
    List(Args),
}

/// Filters for groups.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Args {
    /// Only this workflow
    #[arg(long)]
    workflow: Option<String>,
    /// Only this kind: stuck, poison, unknown, undo_failed, best_effort, retrying or overdue
    #[arg(long)]
    kind: Option<String>,
    /// At most this many groups (up to 200)
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: Option<u32>,
    /// Cursor from the previous page
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Group {
    fingerprint: Option<String>,
    kind: String,
    workflow: Option<String>,
    step: Option<String>,
    queue: Option<String>,
    code: String,
    message: String,
    count: i64,
    first_seen: Time,
    last_seen: Time,
    example: String,
}

/// Without a subcommand, `list`.
pub(super) async fn run(verb: Option<Verb>, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let Verb::List(args) = verb.unwrap_or_else(|| Verb::List(Args::default()));
    let given = [
        ("workflow", args.workflow),
        ("kind", args.kind),
        ("limit", args.limit.map(|limit| limit.to_string())),
        ("cursor", args.cursor),
    ];
    let query: Vec<(&str, String)> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let whole = Client::new(server)?.get("/v1/attention", &query).await?;
    if out.json() {
        return out.show(&whole, String::new);
    }
    let page: List<Group> = serde_json::from_value(whole).context("the server's list has an unknown form")?;
    if page.items.is_empty() {
        tell("nothing needs attention");
        return Ok(());
    }
    out.show(&(), || render(&page.items, now()))?;
    if let Some(cursor) = page.next_cursor {
        tell(format!("more with --cursor {cursor}"));
    }
    next_commands(&page.items);
    Ok(())
}

fn render(groups: &[Group], now: Time) -> String {
    let age = |at: Time| relative(at, now).trim_end_matches(" ago").to_owned();
    let row = |group: &Group| {
        let place = group.step.clone().or_else(|| group.queue.clone()).unwrap_or_else(|| "-".to_owned());
        vec![
            group.count.to_string(),
            group.kind.clone(),
            cut(group.workflow.as_deref().unwrap_or("-"), 12),
            cut(&place, 14),
            cut(&group.code, 16),
            age(group.first_seen),
            age(group.last_seen),
        ]
    };
    let header = ["RUNS", "KIND", "WORKFLOW", "STEP", "CODE", "FIRST", "LAST"];
    let mut text = table(&header, groups.iter().map(row));
    text.push('\n');
    for group in groups {
        let whole = format!("{}: {}", group.code, group.message);
        text.push_str(&format!("\n{:>5}  {}", group.count, cut(&whole.replace('\n', " "), usize::from(WIDTH) - 7)));
    }
    text
}

/// Suggests commands for the largest group.
fn next_commands(groups: &[Group]) {
    let Some(first) = groups.first() else { return };
    tell(format!("one of them:  backstitch run why {}", first.example));
    if let Some(fingerprint) = &first.fingerprint {
        tell(format!("all of them:  backstitch run list --fingerprint {fingerprint}"));
    } else {
        tell("the workers:  backstitch fleet queues");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_fit_eighty_columns() {
        let group = |kind: &str, count: i64| -> Group {
            serde_json::from_value(json!({
                "fingerprint": "00000000deadbeef", "kind": kind, "workflow": "order_fulfilment", "step": "charge",
                "code": "gateway_unavailable_for_long", "message": "the gateway answered 503 to every one of 8 attempts, the last one after 15 s",
                "count": count, "first_seen": "2026-01-01T00:00:00Z", "last_seen": "2026-01-01T00:58:30Z",
                "example": "01998877-6655-7443-8221-100000000000"
            }))
            .expect("a group")
        };
        let text =
            render(&[group("best_effort", 12_345), group("stuck", 1)], "2026-01-01T01:00:00Z".parse().expect("a time"));
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
        insta::assert_snapshot!(text, @r"
        RUNS   KIND         WORKFLOW      STEP    CODE              FIRST  LAST
        12345  best_effort  order_fulfi…  charge  gateway_unavail…  1h00m  1m30s
        1      stuck        order_fulfi…  charge  gateway_unavail…  1h00m  1m30s

        12345  gateway_unavailable_for_long: the gateway answered 503 to every one of 8…
            1  gateway_unavailable_for_long: the gateway answered 503 to every one of 8…
        ");
    }
}
