//! Verbs on many runs, with a filter in place of an id. They preview, ask for confirmation, create a bulk operation and
//! follow it.

use std::io::IsTerminal;

use anyhow::ensure;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{
    cli::{
        answer::{read, show},
        args::ConditionArgs,
        client::Client,
        operation,
        output::{Out, confirm, cut, table, tell},
    },
    engine::{Operation, OperationPreview, PreviewedRun},
};

/// Filters for runs, in place of an id.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Many runs at a time, in place of ID")]
pub(crate) struct FilterArgs {
    #[command(flatten)]
    conditions: ConditionArgs,
    /// Maximum number of runs per second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
}

/// The verb to carry out on the runs.
#[derive(Debug)]
pub(crate) struct Bulk<'a> {
    pub(crate) action: &'a str,
    /// The verb's own fields.
    pub(crate) arguments: Map<String, Value>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) dry_run: bool,
    pub(crate) yes: bool,
}

/// Previews, asks for confirmation, creates the operation, follows it.
pub(crate) async fn run(bulk: Bulk<'_>, filter: FilterArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let Bulk { action, reason, .. } = bulk;
    ensure!(
        reason.is_some(),
        "a bulk operation needs a reason\nGive one with --reason TEXT; it is kept in the audit log."
    );
    let FilterArgs { conditions, rate } = filter;
    let filter = conditions.filter();
    let body = |dry_run: bool| {
        json!({
            "action": action, "arguments": bulk.arguments, "filter": filter, "reason": reason, "rate": rate,
            "dry_run": dry_run,
        })
    };
    if bulk.dry_run || (!bulk.yes && std::io::stdin().is_terminal()) {
        let answer = client.send(Method::POST, "/v1/operations", Some(&body(true)), None).await?;
        if bulk.dry_run {
            show(&answer, out, render)?;
            return Ok(());
        }
        let preview: OperationPreview = read(&answer)?;
        tell(render(&preview));
        ensure!(preview.total > 0, "no run matches; nothing was changed");
        ensure!(confirm(&format!("{action} {} runs?", preview.total))?, "nothing was changed");
    }
    let created = client.send(Method::POST, "/v1/operations", Some(&body(false)), None).await?;
    let id = read::<Operation>(&created)?.id.to_string();
    tell(format!("operation {id}: it continues by itself; Ctrl-C only stops watching"));
    operation::follow(&id, client, out).await
}

fn render(preview: &OperationPreview) -> String {
    let mut text = format!("{} would be applied to {} runs", preview.action, preview.total);
    if preview.total == 0 {
        return text;
    }
    let counts = preview.statuses.iter().map(|status| vec![status.status.to_string(), status.count.to_string()]);
    text.push_str(&format!("\n{}\n\nthe first of them:\n", table(&["STATUS", "RUNS"], counts)));
    let row = |run: &PreviewedRun| vec![run.run_id.to_string(), cut(&describe_effect(run), 40)];
    text.push_str(&table(&["RUN", "WHAT WOULD HAPPEN"], preview.sample.iter().map(row)));
    text
}

/// What would happen to one run, in a few words.
fn describe_effect(run: &PreviewedRun) -> String {
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
    use crate::{cli::output::WIDTH, engine::samples};

    #[test]
    fn a_preview_counts_and_shows_the_first_within_eighty_columns() {
        let undo = json!({"seq": 0, "activity": "reserve_stock", "outcome": "ok", "input": null, "after": [], "summary": null});
        let mut charge = undo.clone();
        charge["summary"] = json!("refund 25.00 EUR");
        let plan: Value = samples::with(samples::plan_json(), json!({"undo": [charge, undo], "retry": []}));
        let (first, second) = ("01998877-6655-7443-8221-100000000000", "01998877-6655-7443-8221-100000000001");
        let preview = json!({
            "total": 1200, "statuses": [{"status": "stuck", "count": 1100}, {"status": "waiting", "count": 100}],
            "sample": [
                {"run_id": first, "code": null, "message": null, "plan": plan},
                {"run_id": second, "code": "past_pivot", "message": "it is past its pivot", "plan": null},
            ],
        });
        let text = render(&samples::with(samples::preview_json(), preview));
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
