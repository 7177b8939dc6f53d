//! `backstitch run list`: runs, newest first, one line each.

use anyhow::Context;

use crate::cli::{
    client::Client,
    output::{Out, WIDTH, cut, now, relative, table, tell},
    shapes::{List, Run},
};

const LONGEST_WORKFLOW: usize = 10;

/// Filters for runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this workflow
    #[arg(long)]
    workflow: Option<String>,
    /// Only this version of it
    #[arg(long)]
    version: Option<i32>,
    /// Only this status
    #[arg(long)]
    status: Option<String>,
    /// Only the run with this key
    #[arg(long)]
    key: Option<String>,
    /// Only runs with this tag: NAME or NAME:VALUE
    #[arg(long)]
    tag: Option<String>,
    /// Only runs with this error code: of their failure, or of a step that needs attention
    #[arg(long, value_name = "CODE")]
    error: Option<String>,
    /// Only runs that failed, are stuck or need attention at this step
    #[arg(long, value_name = "NAME")]
    step: Option<String>,
    /// Only runs with the same error, as `backstitch attention` groups them
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    /// Only runs started at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only runs started before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only runs that an operator should look at
    #[arg(long)]
    attention: bool,
    /// At most this many (up to 200)
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Cursor from the previous page
    #[arg(long)]
    cursor: Option<String>,
}

pub(super) async fn run(args: Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let given = [
        ("workflow", args.workflow),
        ("version", args.version.map(|version| version.to_string())),
        ("status", args.status),
        ("key", args.key),
        ("tag", args.tag),
        ("error", args.error),
        ("step", args.step),
        ("fingerprint", args.fingerprint),
        ("since", args.since),
        ("until", args.until),
        ("attention", args.attention.then(|| "true".to_owned())),
        ("limit", Some(args.limit.to_string())),
        ("cursor", args.cursor),
    ];
    let query: Vec<(&str, String)> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let whole = client.get("/v1/runs", &query).await?;
    if out.json() {
        return out.show(&whole, String::new);
    }
    let page: List<Run> = serde_json::from_value(whole).context("the server's list has an unknown form")?;
    if page.items.is_empty() {
        tell("no runs");
        return Ok(());
    }
    out.show(&(), || render(&page.items, out, now()))?;
    if let Some(cursor) = page.next_cursor {
        tell(format!("more with --cursor {cursor}"));
    }
    Ok(())
}

fn render(runs: &[Run], out: Out, now: chrono::DateTime<chrono::Utc>) -> String {
    let age = |run: &Run| relative(run.created_at, now).trim_end_matches(" ago").to_owned();
    // What the other columns leave; columns are two spaces apart.
    let widest =
        |text: &dyn Fn(&Run) -> usize, header: &str| runs.iter().map(text).max().unwrap_or(0).max(header.len());
    let taken = widest(&|run| run.id.len(), "RUN")
        + widest(&|run| cut(&run.workflow, LONGEST_WORKFLOW).chars().count(), "WORKFLOW")
        + widest(&|run| run.status.len(), "STATUS")
        + widest(&|run| age(run).len(), "AGE");
    let room = usize::from(WIDTH).saturating_sub(taken + 10);
    let row = |run: &Run| {
        let workflow = cut(&run.workflow, LONGEST_WORKFLOW);
        vec![run.id.clone(), workflow, out.paint(&run.status), age(run), cut(&note(run), room)]
    };
    table(&["RUN", "WORKFLOW", "STATUS", "AGE", "NOTE"], runs.iter().map(row))
}

/// Why it failed, or what it waits for, in a word.
fn note(run: &Run) -> String {
    match (&run.failure, &run.waiting_on) {
        (Some(failure), _) => failure.code.clone(),
        (None, Some(waiting)) => waiting.name.clone().unwrap_or_else(|| waiting.kind.clone()),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::output::Format;

    #[test]
    fn a_list_fits_eighty_columns_and_keeps_ids_whole() {
        let run = |status: &str, workflow: &str| -> Run {
            serde_json::from_value(json!({
                "id": "01998877-6655-7443-8221-100000000000", "workflow": workflow, "version": 1, "queue": "default",
                "status": status, "created_at": "2026-01-01T00:00:00Z",
                "waiting_on": {"kind": "signal", "name": "cancel"},
            }))
            .expect("a run")
        };
        let runs = [run("compensating", "order_fulfilment_of_the_shop"), run("waiting", "order")];
        let now = "2026-01-01T00:01:30Z".parse().expect("a time");
        let text = render(&runs, Out { format: Format::Table, colour: false }, now);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
        insta::assert_snapshot!(text, @r"
        RUN                                   WORKFLOW    STATUS        AGE    NOTE
        01998877-6655-7443-8221-100000000000  order_ful…  compensating  1m30s  cancel
        01998877-6655-7443-8221-100000000000  order       waiting       1m30s  cancel
        ");
    }
}
