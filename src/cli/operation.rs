//! `backstitch operation …`: show bulk operations and their results, and stop them.

use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    client::{Client, ServerArgs},
    output::{Out, cut, now, relative, table, tell},
    shapes::List,
};

/// How often a followed operation is read.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Number of refused runs shown one by one.
const SHOWN: u32 = 10;

const NEW_TO_US: &str = "the server's operation has an unknown form";

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List bulk operations, newest first
    List(ListArgs),
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

/// The page.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// At most this many (up to 200)
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Cursor from the previous page
    #[arg(long)]
    cursor: Option<String>,
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

/// An operation, as the tables show it.
#[derive(Debug, Deserialize)]
pub(super) struct Operation {
    pub(super) id: String,
    action: String,
    status: String,
    total: u64,
    done: u64,
    refused: u64,
    open: u64,
    rate: u32,
    actor: String,
    reason: Option<String>,
    created_at: chrono::DateTime<chrono::Utc>,
    eta: Option<chrono::DateTime<chrono::Utc>>,
    #[serde(default)]
    refusals: Vec<Refusals>,
}

#[derive(Debug, Deserialize)]
struct Refusals {
    code: String,
    count: u64,
    example: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RefusedRun {
    run_id: String,
    code: Option<String>,
    message: Option<String>,
}

impl Operation {
    fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "cancelled")
    }
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::List(args) => list(args, &client, out).await,
        Verb::Show(Id { id }) => show(&id, &client, out).await,
        Verb::Watch(Id { id }) => follow(&id, &client, out).await,
        Verb::Pause(args) => change("pause", args, &client, out).await,
        Verb::Resume(args) => change("resume", args, &client, out).await,
        Verb::Cancel(args) => change("cancel", args, &client, out).await,
    }
}

/// Reads an operation from an answer.
pub(super) fn read(answer: &Value) -> anyhow::Result<Operation> {
    serde_json::from_value(answer.clone()).context(NEW_TO_US)
}

async fn list(args: ListArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.cursor.map(|cursor| ("cursor", cursor)));
    let whole = client.get("/v1/operations", &query).await?;
    if out.json() {
        return out.show(&whole, String::new);
    }
    let page: List<Operation> = serde_json::from_value(whole).context(NEW_TO_US)?;
    if page.items.is_empty() {
        tell("no bulk operations");
        return Ok(());
    }
    out.show(&(), || {
        let row = |operation: &Operation| {
            vec![
                operation.id.clone(),
                operation.action.clone(),
                out.paint(&operation.status),
                format!("{}/{}", operation.done, operation.total),
                operation.refused.to_string(),
                relative(operation.created_at, now()).trim_end_matches(" ago").to_owned(),
            ]
        };
        table(&["OPERATION", "ACTION", "STATUS", "DONE", "REFUSED", "AGE"], page.items.iter().map(row))
    })?;
    if let Some(cursor) = page.next_cursor {
        tell(format!("more with --cursor {cursor}"));
    }
    Ok(())
}

async fn show(id: &str, client: &Client, out: Out) -> anyhow::Result<()> {
    let whole = client.get(&format!("/v1/operations/{id}"), &[]).await?;
    let operation = read(&whole)?;
    out.show(&whole, || render(&operation, out))?;
    if !out.json() && operation.refused > 0 {
        let query = [("outcome", "refused".to_owned()), ("limit", SHOWN.to_string())];
        let page = client.get(&format!("/v1/operations/{id}/runs"), &query).await?;
        let page: List<RefusedRun> = serde_json::from_value(page).context(NEW_TO_US)?;
        let row = |run: RefusedRun| {
            vec![run.run_id, format!("{}: {}", run.code.unwrap_or_default(), run.message.unwrap_or_default())]
        };
        tell(format!("\n{}", table(&["REFUSED RUN", "WHY"], page.items.into_iter().map(row))));
        if operation.refused > u64::from(SHOWN) {
            tell(format!("… and {} more, in GET /v1/operations/{id}/runs", operation.refused - u64::from(SHOWN)));
        }
    }
    Ok(())
}

async fn change(verb: &str, args: Change, client: &Client, out: Out) -> anyhow::Result<()> {
    let path = format!("/v1/operations/{}/{verb}", args.id);
    let answer = client.send(Method::POST, &path, Some(&json!({"reason": args.reason})), None).await?;
    let operation = read(&answer)?;
    out.show(&answer, || render(&operation, out))
}

/// Follows an operation until it ends or is paused, with a progress bar on terminals, and prints its result.
///
/// # Errors
/// When runs refused it, so that scripts notice.
pub(super) async fn follow(id: &str, client: &Client, out: Out) -> anyhow::Result<()> {
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
    let (whole, operation) = loop {
        let whole = client.get(&format!("/v1/operations/{id}"), &[]).await?;
        let operation = read(&whole)?;
        bar.set_length(operation.total);
        bar.set_position(operation.done + operation.refused);
        let left = operation.eta.map(|eta| format!(", through {}", relative(eta, now()))).unwrap_or_default();
        bar.set_message(format!("{}, {} refused{left}", operation.status, operation.refused));
        if operation.is_over() || operation.status == "paused" {
            break (whole, operation);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    bar.finish_and_clear();
    out.show(&whole, || render(&operation, out))?;
    if operation.status == "paused" {
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
    let mut lines = vec![format!("operation {id}  {action}  {}", out.paint(status))];
    lines.push(format!(
        "  {total} runs, at most {rate} a second, by {actor}, {}",
        relative(operation.created_at, now())
    ));
    lines.extend(operation.reason.as_ref().map(|reason| format!("  reason: {}", cut(reason, 68))));
    lines.extend(operation.eta.map(|eta| format!("  through {}", relative(eta, now()))));
    lines.push(String::new());
    let row = |outcome: &str, code: &str, count: u64, example: &str| {
        vec![out.paint(outcome), code.to_owned(), count.to_string(), example.to_owned()]
    };
    let mut rows = vec![row("done", "", operation.done, "")];
    for refusals in &operation.refusals {
        rows.push(row("refused", &refusals.code, refusals.count, refusals.example.as_deref().unwrap_or_default()));
    }
    if operation.open > 0 {
        rows.push(row(if operation.is_over() { "left" } else { "open" }, "", operation.open, ""));
    }
    lines.push(table(&["OUTCOME", "CODE", "RUNS", "FOR EXAMPLE"], rows));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::{Format, WIDTH};

    #[test]
    fn a_result_tells_what_was_refused_and_why() {
        let operation = json!({
            "id": "0199-o", "action": "retry", "status": "completed", "total": 1000, "done": 990, "refused": 10, "open": 0,
            "rate": 50, "actor": "cli:ann", "reason": "the gateway is back", "created_at": now(), "eta": null,
            "refusals": [{"code": "wrong_state", "count": 10, "example": "a run that is completed can't Retry".repeat(3)}],
        });
        let out = Out { format: Format::Table, colour: false };
        let text = render(&read(&operation).expect("an operation"), out);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
        assert!(text.contains("wrong_state  10"), "{text}");
    }
}
