//! `backstitch run cancel`, `compensate`, `retry`: what an operator asks of one run.
//!
//! The dangerous ones demand a reason, and on a terminal they show their plan and ask before they act.

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{
    client::Client,
    output::{Out, confirm, table, tell},
    shapes::Plan,
};

/// A retry.
#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    /// The run's id
    id: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only show what would happen
    #[arg(long)]
    dry_run: bool,
}

/// An action that is not taken back.
#[derive(Debug, clap::Args)]
pub(crate) struct DangerousArgs {
    /// The run's id
    id: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only show what would happen
    #[arg(long)]
    dry_run: bool,
    /// Don't ask
    #[arg(long, short = 'y')]
    yes: bool,
}

pub(super) async fn retry(args: RetryArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let answer = act(client, "retry", &args.id, args.reason.as_deref(), args.dry_run).await?;
    finish(&answer, out)
}

pub(super) async fn dangerous(action: &str, args: DangerousArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let reason = Some(args.reason.as_str());
    if !args.dry_run && !args.yes && std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        let preview = act(client, action, &args.id, reason, true).await?;
        tell(render(&read(&preview)?));
        anyhow::ensure!(confirm(&format!("{action} run {}?", args.id))?, "nothing was changed");
    }
    let answer = act(client, action, &args.id, reason, args.dry_run).await?;
    finish(&answer, out)
}

async fn act(client: &Client, action: &str, id: &str, reason: Option<&str>, dry_run: bool) -> anyhow::Result<Value> {
    let body = json!({"reason": reason, "dry_run": dry_run});
    client.send(Method::POST, &format!("/v1/runs/{id}/{action}"), Some(&body), None).await
}

fn finish(answer: &Value, out: Out) -> anyhow::Result<()> {
    let plan = read(answer)?;
    out.show(answer, || render(&plan))?;
    if !out.json() && !plan.dry_run {
        tell(format!("accepted; `backstitch run watch {}` follows it.", plan.run));
    }
    Ok(())
}

fn read(answer: &Value) -> anyhow::Result<Plan> {
    serde_json::from_value(answer.clone()).context("the server describes its plan in a way that is new to us")
}

fn render(plan: &Plan) -> String {
    let would = if plan.dry_run { "would be" } else { "is" };
    let mut text = format!("{} {would} done to run {}, which is {}", plan.action, plan.run, plan.status);
    if !plan.undo.is_empty() {
        let rows = plan.undo.iter().enumerate().map(|(at, undo)| {
            let after: Vec<String> = undo.after.iter().map(u32::to_string).collect();
            vec![
                (at + 1).to_string(),
                undo.seq.to_string(),
                undo.activity.clone(),
                undo.outcome.clone(),
                after.join(","),
            ]
        });
        text.push('\n');
        text.push_str(&table(&["UNDO", "STEP", "ACTIVITY", "OUTCOME", "AFTER"], rows));
    } else if plan.action != "retry" {
        text.push_str("\nnothing has to be undone");
    }
    if !plan.retry.is_empty() {
        let steps: Vec<String> = plan.retry.iter().map(u32::to_string).collect();
        text.push_str(&format!("\ntried again: step {}", steps.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_lists_its_undos_in_the_order_in_which_they_are_made() {
        let plan = json!({
            "run": "r1", "action": "cancel", "dry_run": true, "status": "waiting", "retry": [],
            "undo": [
                {"seq": 2, "activity": "charge", "outcome": "unknown", "after": []},
                {"seq": 0, "activity": "reserve_stock", "outcome": "ok", "after": [2]},
            ],
        });
        insta::assert_snapshot!(render(&read(&plan).expect("a plan")), @"");
    }
}
