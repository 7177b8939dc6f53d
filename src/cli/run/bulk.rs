//! Verbs on many runs, with a filter in place of an id. They preview, ask for confirmation, create a bulk operation and
//! follow it.

use std::io::IsTerminal;

use anyhow::{Context, ensure};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cli::{
    client::Client,
    operation,
    output::{Out, confirm, cut, table, tell},
};

/// The filters, any of which replaces an id.
pub(crate) const FILTERS: [&str; 9] =
    ["workflow", "version", "status", "error", "step", "fingerprint", "tag", "since", "until"];

/// Filters for runs, in place of an id.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Many runs at a time, in place of ID")]
pub(crate) struct FilterArgs {
    /// Runs of this workflow
    #[arg(long)]
    workflow: Option<String>,
    /// Runs of this version of it
    #[arg(long)]
    version: Option<i32>,
    /// Runs of this status
    #[arg(long)]
    status: Option<String>,
    /// Runs with this error code: of their failure, or of a step that needs attention
    #[arg(long, value_name = "CODE")]
    error: Option<String>,
    /// Runs that failed, are stuck or need attention at this step
    #[arg(long, value_name = "NAME")]
    step: Option<String>,
    /// Runs with the same error, as `backstitch attention` groups them
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    /// Runs with this tag: NAME or NAME:VALUE
    #[arg(long)]
    tag: Option<String>,
    /// Runs started at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Runs started before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Maximum number of runs per second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
}

impl FilterArgs {
    /// The filter for the API.
    fn filter(&self) -> Map<String, Value> {
        let text = |value: &Option<String>| value.clone().map(Value::from);
        let conditions = [
            ("workflow", text(&self.workflow)),
            ("version", self.version.map(Value::from)),
            ("status", text(&self.status)),
            ("error", text(&self.error)),
            ("step", text(&self.step)),
            ("fingerprint", text(&self.fingerprint)),
            ("tag", text(&self.tag)),
            ("since", text(&self.since)),
            ("until", text(&self.until)),
        ];
        conditions.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// The verb to carry out on the runs.
#[derive(Debug)]
pub(crate) struct Bulk<'a> {
    pub(crate) action: &'a str,
    /// The verb's own fields.
    pub(crate) arguments: Value,
    pub(crate) reason: Option<&'a str>,
    pub(crate) dry_run: bool,
    pub(crate) yes: bool,
}

#[derive(Debug, Deserialize)]
struct Preview {
    action: String,
    total: u64,
    statuses: Vec<StatusCount>,
    sample: Vec<Previewed>,
}

#[derive(Debug, Deserialize)]
struct StatusCount {
    status: String,
    count: u64,
}

#[derive(Debug, Deserialize)]
struct Previewed {
    run_id: String,
    plan: Option<Plan>,
    code: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Plan {
    status: String,
    undo: Vec<Undo>,
    retry: Vec<u32>,
}

#[derive(Debug, Deserialize)]
struct Undo {
    activity: String,
    summary: Option<String>,
}

/// Previews, asks for confirmation, creates the operation, follows it.
pub(crate) async fn run(bulk: Bulk<'_>, filter: &FilterArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let Bulk { action, reason, .. } = bulk;
    ensure!(
        reason.is_some(),
        "a bulk operation needs a reason\nGive one with --reason TEXT; it is kept in the audit log."
    );
    let body = |dry_run: bool| {
        json!({
            "action": action, "arguments": bulk.arguments, "filter": filter.filter(), "reason": reason, "rate": filter.rate,
            "dry_run": dry_run,
        })
    };
    if bulk.dry_run || (!bulk.yes && std::io::stdin().is_terminal()) {
        let whole = client.send(Method::POST, "/v1/operations", Some(&body(true)), None).await?;
        let preview: Preview =
            serde_json::from_value(whole.clone()).context("the server's preview has an unknown form")?;
        if bulk.dry_run {
            return out.show(&whole, || render(&preview));
        }
        tell(render(&preview));
        ensure!(preview.total > 0, "no run matches; nothing was changed");
        ensure!(confirm(&format!("{action} {} runs?", preview.total))?, "nothing was changed");
    }
    let created = client.send(Method::POST, "/v1/operations", Some(&body(false)), None).await?;
    let created = operation::read(&created)?;
    tell(format!("operation {}: it continues by itself; Ctrl-C only stops watching", created.id));
    operation::follow(&created.id, client, out).await
}

fn render(preview: &Preview) -> String {
    let mut text = format!("{} would be applied to {} runs", preview.action, preview.total);
    if preview.total == 0 {
        return text;
    }
    let counts = preview.statuses.iter().map(|status| vec![status.status.clone(), status.count.to_string()]);
    text.push_str(&format!("\n{}\n\nthe first of them:\n", table(&["STATUS", "RUNS"], counts)));
    let row = |run: &Previewed| vec![run.run_id.clone(), cut(&would(run), 40)];
    text.push_str(&table(&["RUN", "WHAT WOULD HAPPEN"], preview.sample.iter().map(row)));
    text
}

/// What would happen to one run, in a few words.
fn would(run: &Previewed) -> String {
    let Some(plan) = &run.plan else {
        return format!("refused: {}", run.code.as_deref().unwrap_or("?"));
    };
    let undo: Vec<&str> =
        plan.undo.iter().map(|undo| undo.summary.as_deref().unwrap_or(undo.activity.as_str())).collect();
    let retry: Vec<String> = plan.retry.iter().map(u32::to_string).collect();
    match (undo.is_empty(), retry.is_empty()) {
        (false, _) => format!("undo {}", undo.join(", ")),
        (_, false) => format!("try step {} again", retry.join(", ")),
        _ => format!("accepted; it is {}", plan.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::WIDTH;

    #[test]
    fn a_preview_counts_and_shows_the_first_within_eighty_columns() {
        let preview = json!({
            "dry_run": true, "action": "cancel", "total": 1200,
            "statuses": [{"status": "stuck", "count": 1100}, {"status": "waiting", "count": 100}],
            "sample": [
                {"run_id": "01998877-6655-7443-8221-100000000000", "code": null, "plan": {"status": "stuck", "retry": [],
                    "undo": [{"activity": "charge", "summary": "refund 25.00 EUR"}, {"activity": "reserve_stock"}]}},
                {"run_id": "01998877-6655-7443-8221-100000000001", "code": "past_pivot", "plan": null},
            ],
        });
        let text = render(&serde_json::from_value(preview).expect("a preview"));
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
        insta::assert_snapshot!(text, @r"
        cancel would be applied to 1200 runs
        STATUS   RUNS
        stuck    1100
        waiting  100

        the first of them:
        RUN                                   WHAT WOULD HAPPEN
        01998877-6655-7443-8221-100000000000  undo refund 25.00 EUR, reserve_stock
        01998877-6655-7443-8221-100000000001  refused: past_pivot
        ");
    }
}
