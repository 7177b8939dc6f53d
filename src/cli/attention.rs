//! `backstitch attention`: what needs an operator, grouped by error, most runs first.

use super::{
    answer::show_list,
    args::parse_word,
    client::{Client, ServerArgs},
    output::{Out, WIDTH, age, cut, now, table, tell},
};
use crate::engine::{AttentionFilter, AttentionGroup, AttentionKind, Time};

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
    #[arg(long, value_parser = parse_word::<AttentionKind>(AttentionKind::WORDS), hide_possible_values = true)]
    kind: Option<AttentionKind>,
    /// At most this many groups (up to 200)
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: Option<u32>,
    /// Cursor from the previous page
    #[arg(long)]
    cursor: Option<String>,
}

/// Without a subcommand, `list`.
pub(super) async fn run(verb: Option<Verb>, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let Verb::List(args) = verb.unwrap_or_else(|| Verb::List(Args::default()));
    let Args { workflow, kind, limit, cursor } = args;
    let filter = AttentionFilter { workflow, kind, limit, cursor };
    let answer = Client::new(server)?.find("/v1/attention", &filter).await?;
    let groups = show_list(&answer, out, "nothing needs attention", |groups| render(groups, now()))?;
    suggest_commands(&groups);
    Ok(())
}

fn render(groups: &[AttentionGroup], now: Time) -> String {
    let row = |group: &AttentionGroup| {
        let place = group.step.clone().or_else(|| group.queue.clone()).unwrap_or_else(|| "-".to_owned());
        vec![
            group.count.to_string(),
            group.kind.to_string(),
            cut(group.workflow.as_deref().unwrap_or("-"), 12),
            cut(&place, 14),
            cut(&group.code, 16),
            age(group.first_seen, now),
            age(group.last_seen, now),
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
fn suggest_commands(groups: &[AttentionGroup]) {
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
    use crate::engine::samples;

    #[test]
    fn groups_fit_eighty_columns() {
        let group = |kind: &str, count: i64| -> AttentionGroup {
            samples::with(
                samples::attention_group_json(),
                json!({
                    "kind": kind, "count": count, "workflow": "order_fulfilment", "code": "gateway_unavailable_for_long",
                    "message": "the gateway answered 503 to every one of 8 attempts, the last one after 15 s",
                    "last_seen": "2026-01-01T00:58:30Z",
                }),
            )
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
