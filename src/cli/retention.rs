//! `backstitch retention …`: how long ended runs are kept, and what would be deleted.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    answer::{show, show_list},
    client::{Client, ServerArgs},
    output::{Out, table},
};
use crate::engine::{Keeping, PartitionCount, Retention};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List how long ended runs are kept
    List,
    /// Set how long the ended runs of a workflow are kept
    Set {
        /// The workflow
        workflow: String,
        /// How long, such as 90d; `default` removes the workflow's own setting
        keep: String,
        /// Reason, for the audit log
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Only check, change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Count what the servers would delete next
    Run {
        /// Required: servers delete by themselves, this command never does
        #[arg(long, required = true)]
        dry_run: bool,
    },
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::List => show_retention(&client.get("/v1/retention", &[]).await?, out),
        Verb::Set { workflow, keep, reason, dry_run } => {
            let keep = (keep != "default").then_some(keep);
            let body = json!({"keep": keep, "reason": reason, "dry_run": dry_run});
            show_retention(
                &client.send(Method::PUT, &format!("/v1/retention/{workflow}"), Some(&body), None).await?,
                out,
            )
        }
        Verb::Run { .. } => {
            let answer = client.get("/v1/retention/plan", &[]).await?;
            show(&answer, out, render_plan)?;
            Ok(())
        }
    }
}

fn show_retention(answer: &Value, out: Out) -> anyhow::Result<()> {
    let row = |set: &Retention| {
        let keep = humantime::format_duration(Duration::from_secs(set.keep_s.unsigned_abs())).to_string();
        vec![set.workflow.clone().unwrap_or_else(|| "(all others)".to_owned()), keep]
    };
    show_list(answer, out, "nothing is kept", |all| table(&["WORKFLOW", "KEPT FOR"], all.iter().map(row)))?;
    Ok(())
}

fn render_plan(keeping: &Keeping) -> String {
    let row = |partition: &PartitionCount| {
        let how = match (partition.is_old, partition.go) {
            (true, _) => "the week is dropped, surviving runs are moved",
            (false, 0) => "",
            (false, _) => "row by row",
        };
        vec![partition.name.clone(), partition.go.to_string(), partition.stay.to_string(), how.to_owned()]
    };
    table(&["WEEK", "GO", "STAY", "HOW"], keeping.partitions.iter().map(row))
}
