//! `backstitch operation …`: show bulk operations and their results, and stop them.

use std::time::Duration;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::json;

use super::{
    answer::{read, show, show_list},
    args::SliceArgs,
    client::{Client, ServerArgs},
    output::{Out, age, cut, now, relative, table, tell},
};
use crate::engine::{Operation, OperationRun, OperationStatus, Slice};

/// How often a followed operation is read.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Number of refused runs shown one by one.
const SHOWN: u32 = 10;

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List bulk operations, newest first
    List(SliceArgs),
    /// Show a bulk operation and the results of its runs
    Show(Id),
    /// Follow a bulk operation until it ends
    Watch(Id),
    /// Pause a bulk operation
    Pause(Change),
    /// Resume a paused bulk operation
    Resume(Change),
    /// Cancel a bulk operation; runs already processed stay so
    Cancel(Change),
}

/// An operation.
#[derive(Debug, clap::Args)]
pub(super) struct Id {
    /// The operation's id
    id: String,
}

/// A change of an operation.
#[derive(Debug, clap::Args)]
pub(super) struct Change {
    /// The operation's id
    id: String,
    /// Reason, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::List(args) => list(&args, &client, out).await,
        Verb::Show(Id { id }) => show_one(&id, &client, out).await,
        Verb::Watch(Id { id }) => follow(&id, &client, out).await,
        Verb::Pause(args) => change_status("pause", args, &client, out).await,
        Verb::Resume(args) => change_status("resume", args, &client, out).await,
        Verb::Cancel(args) => change_status("cancel", args, &client, out).await,
    }
}

async fn list(args: &SliceArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let answer = client.get("/v1/operations", &args.query()).await?;
    let row = |operation: &Operation| {
        vec![
            operation.id.to_string(),
            operation.action.clone(),
            out.paint(operation.status.word()),
            format!("{}/{}", operation.done, operation.total),
            operation.refused.to_string(),
            age(operation.created_at, now()),
        ]
    };
    let header = ["OPERATION", "ACTION", "STATUS", "DONE", "REFUSED", "AGE"];
    show_list(&answer, out, "no bulk operations", |operations| table(&header, operations.iter().map(row)))?;
    Ok(())
}

async fn show_one(id: &str, client: &Client, out: Out) -> anyhow::Result<()> {
    let answer = client.get(&format!("/v1/operations/{id}"), &[]).await?;
    let operation = show(&answer, out, |operation| render(operation, out))?;
    let Some(operation) = operation.filter(|operation| operation.refused > 0) else { return Ok(()) };
    let query = [("outcome", "refused".to_owned()), ("limit", SHOWN.to_string())];
    let slice: Slice<OperationRun> = read(&client.get(&format!("/v1/operations/{id}/runs"), &query).await?)?;
    let row = |run: OperationRun| {
        let (code, message) = (run.code.unwrap_or_default(), run.message.unwrap_or_default());
        vec![run.run_id.to_string(), format!("{code}: {message}")]
    };
    tell(format!("\n{}", table(&["REFUSED RUN", "WHY"], slice.items.into_iter().map(row))));
    if operation.refused > i64::from(SHOWN) {
        tell(format!("… and {} more, in GET /v1/operations/{id}/runs", operation.refused - i64::from(SHOWN)));
    }
    Ok(())
}

async fn change_status(verb: &str, args: Change, client: &Client, out: Out) -> anyhow::Result<()> {
    let path = format!("/v1/operations/{}/{verb}", args.id);
    let answer = client.send(Method::POST, &path, Some(&json!({"reason": args.reason})), None).await?;
    show(&answer, out, |operation| render(operation, out))?;
    Ok(())
}

/// Follows an operation until it ends or is paused, with a progress bar on terminals, and prints its result.
///
/// # Errors
/// When runs refused it, so that scripts notice.
pub(super) async fn follow(id: &str, client: &Client, out: Out) -> anyhow::Result<()> {
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
    let (answer, operation) = loop {
        let answer = client.get(&format!("/v1/operations/{id}"), &[]).await?;
        let operation: Operation = read(&answer)?;
        bar.set_length(operation.total.unsigned_abs());
        bar.set_position((operation.done + operation.refused).unsigned_abs());
        let left = operation.eta.map(|eta| format!(", through {}", relative(eta, now()))).unwrap_or_default();
        bar.set_message(format!("{}, {} refused{left}", operation.status, operation.refused));
        if operation.status.is_end() || operation.status == OperationStatus::Paused {
            break (answer, operation);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    bar.finish_and_clear();
    out.show(&answer, || render(&operation, out))?;
    if operation.status == OperationStatus::Paused {
        tell(format!("it is paused; `backstitch operation resume {id}` resumes it."));
    }
    if operation.refused > 0 {
        bail!(
            "{} of {} runs refused it\n`backstitch operation show {id}` lists them.",
            operation.refused,
            operation.total
        );
    }
    Ok(())
}

fn render(operation: &Operation, out: Out) -> String {
    let Operation { id, action, status, total, rate, actor, .. } = operation;
    let mut lines = vec![format!("operation {id}  {action}  {}", out.paint(status.word()))];
    lines.push(format!(
        "  {total} runs, at most {rate} a second, by {actor}, {}",
        relative(operation.created_at, now())
    ));
    lines.extend(operation.reason.as_ref().map(|reason| format!("  reason: {}", cut(reason, 68))));
    lines.extend(operation.eta.map(|eta| format!("  through {}", relative(eta, now()))));
    lines.push(String::new());
    let row = |outcome: &str, code: &str, count: i64, example: &str| {
        vec![out.paint(outcome), code.to_owned(), count.to_string(), example.to_owned()]
    };
    let mut rows = vec![row("done", "", operation.done, "")];
    for refusals in &operation.refusals {
        rows.push(row("refused", &refusals.code, refusals.count, refusals.example.as_deref().unwrap_or_default()));
    }
    if operation.open > 0 {
        rows.push(row(if operation.status.is_end() { "left" } else { "open" }, "", operation.open, ""));
    }
    lines.push(table(&["OUTCOME", "CODE", "RUNS", "FOR EXAMPLE"], rows));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::output::{Format, WIDTH},
        engine::samples,
    };

    #[test]
    fn a_result_tells_what_was_refused_and_why() {
        let operation = samples::with(
            samples::operation_json(),
            json!({
                "status": "completed", "total": 1000, "done": 990, "refused": 10, "open": 0, "created_at": now(), "eta": null,
                "refusals": [
                    {"code": "wrong_state", "count": 10, "example": "a run that is completed can't Retry".repeat(3)},
                ],
            }),
        );
        let out = Out { format: Format::Table, colour: false };
        let text = render(&operation, out);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
        assert!(text.contains("wrong_state  10"), "{text}");
    }
}
