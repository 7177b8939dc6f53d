//! `backstitch reconcile`: what our books and the gateway's disagree about; with `--now`, compares them first.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::{
    answer::{read, show},
    client::{Client, ServerArgs},
    output::{Out, cut, now, relative, table, tell},
};
use crate::{
    engine::{RunStatus, Slice},
    orders::{
        difference::{Difference, Reconciliation, ReconciliationStatus, amount},
        state::Word,
    },
};

/// How often the progress of a comparison is asked for.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `reconcile`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Compare now, and wait for the result
    #[arg(long)]
    now: bool,
    /// At most this many differences (up to 200)
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Cursor from the previous page of differences
    #[arg(long)]
    cursor: Option<String>,
}

/// What the command prints as JSON: the server's two answers.
#[derive(serde::Serialize, serde::Deserialize)]
struct Shown {
    #[serde(flatten)]
    status: ReconciliationStatus,
    differences: Slice<Difference>,
}

pub(super) async fn run(args: &Args, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    let mut query = Vec::new();
    if args.now {
        let started = client.send(Method::POST, "/v1/reconciliation", None, None).await?;
        let run = started["run_id"].as_str().unwrap_or_default().to_owned();
        tell(format!("comparing, run {run}"));
        follow(&client, &run).await?;
        query.push(("run_id", run));
    }
    let mut answer = client.get("/v1/reconciliation", &query).await?;
    let mut filter = vec![("state", "open".to_owned()), ("limit", args.limit.to_string())];
    filter.extend(args.cursor.clone().map(|cursor| ("cursor", cursor)));
    answer["differences"] = client.get("/v1/differences", &filter).await?;
    let shown = show(&answer, out, |shown| render(shown, out))?;
    if let Some(cursor) = shown.and_then(|shown: Shown| shown.differences.next_cursor) {
        tell(format!("more with --cursor {cursor}"));
    }
    Ok(())
}

/// Shows how far a comparison is, until it has ended.
async fn follow(client: &Client, run: &str) -> anyhow::Result<()> {
    let mut last = String::new();
    loop {
        let answer = client.get("/v1/reconciliation", &[("run_id", run.to_owned())]).await?;
        let status: ReconciliationStatus = read(&answer)?;
        if let Some(comparison) = &status.comparison {
            let line = progress(comparison);
            if line != last {
                tell(&line);
                last = line;
            }
            if comparison.ended_at.is_some() {
                return Ok(());
            }
        }
        let run = client.get(&format!("/v1/runs/{run}"), &[]).await?;
        let ended = run["status"].as_str().and_then(|word| word.parse().ok()).is_some_and(RunStatus::has_ended);
        anyhow::ensure!(!ended || run["status"] == "completed", "the comparison failed: {}", failure(&run));
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn failure(run: &Value) -> String {
    let failure = &run["failure"];
    let text = |name: &str| failure[name].as_str().unwrap_or_default().to_owned();
    if failure.is_null() { "its run was ended".to_owned() } else { format!("{}: {}", text("code"), text("message")) }
}

fn progress(comparison: &Reconciliation) -> String {
    let Reconciliation { phase, payments, orders, refunds, .. } = comparison;
    let phase = phase.replace('_', " ");
    let error = comparison.error.as_ref().map(|error| format!("; tried again: {error}")).unwrap_or_default();
    format!("{phase}: {payments} payments, {orders} orders, {refunds} refunds{error}")
}

fn render(shown: &Shown, out: Out) -> String {
    let Some(comparison) = &shown.status.comparison else {
        return "the books have not been compared yet; `backstitch reconcile --now` does".to_owned();
    };
    let ended = match comparison.ended_at {
        Some(at) => format!("ended {}", relative(at, now())),
        None => format!("not ended, {}", comparison.phase.replace('_', " ")),
    };
    let Reconciliation { run_id, payments, orders, refunds, under_way, unknown, .. } = comparison;
    let mut lines = vec![
        format!("comparison {run_id}: {ended}"),
        format!("  {payments} payments, {orders} orders, {refunds} refunds; {under_way} under way, {unknown} unknown"),
    ];
    lines.extend(comparison.error.as_ref().map(|error| format!("  last failure: {error}")));
    let open: i64 = shown.status.open.iter().map(|open| open.count).sum();
    lines.push(format!("  {open} differences are open"));
    let row = |difference: &Difference| {
        let amount = |number| amount(number, difference.currency.as_deref());
        let about = difference.order_id.map(|id| id.to_string()).or_else(|| difference.sku.clone());
        vec![
            out.paint(difference.kind.word()),
            cut(&about.unwrap_or_default(), 36),
            amount(difference.expected),
            amount(difference.actual),
        ]
    };
    if !shown.differences.items.is_empty() {
        lines.push(String::new());
        lines.push(table(&["DIFFERENCE", "ABOUT", "EXPECTED", "FOUND"], shown.differences.items.iter().map(row)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::output::Format;

    #[test]
    fn open_differences_are_shown_with_their_amounts() {
        let (order, at) = ("01998877-6655-7443-8221-100000000000", "2026-01-01T00:00:00Z");
        let shown = serde_json::from_value(json!({
            "comparison": {
                "run_id": order, "began_at": at, "updated_at": at, "ended_at": null, "phase": "second_look",
                "payments": 12, "orders": 11, "refunds": 1, "under_way": 2, "unknown": 0, "differences": 0, "error": null,
            },
            "open": [{"kind": "captured_twice", "count": 1}],
            "differences": {"next_cursor": null, "items": [{
                "id": order, "kind": "captured_twice", "order_id": order, "payment_id": "pi_1", "sku": null, "expected": 0,
                "actual": 1000, "currency": "EUR", "state": "open", "first_seen": at, "last_seen": at, "mend": "refund",
                "mended_by": null, "reason": null, "mend_run": null, "mended_at": null,
            }]},
        }));
        let text = render(&shown.expect("an answer"), Out { format: Format::Table, colour: false });
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text, @r"
        comparison 01998877-6655-7443-8221-100000000000: not ended, second look
          12 payments, 11 orders, 1 refunds; 2 under way, 0 unknown
          1 differences are open

        DIFFERENCE      ABOUT                                 EXPECTED  FOUND
        captured_twice  01998877-6655-7443-8221-100000000000  0.00 EUR  10.00 EUR
        ");
    }
}
