//! `backstitch schedule set`: makes or replaces a schedule, and tells when it starts next.

use reqwest::Method;
use serde_json::json;

use super::{coming, path, read};
use crate::cli::{
    client::Client,
    output::{Out, now},
    run::json_argument,
};

/// What to set.
#[derive(Debug, clap::Args)]
#[command(override_usage = "backstitch schedule set [OPTIONS] --cron <EXPR> --workflow <WORKFLOW>
                               --input <JSON> <NAME>")]
pub(crate) struct Args {
    /// Its name
    name: String,
    /// When, as in crontab(5): minute, hour, day of month, month, day of week
    #[arg(long, value_name = "EXPR")]
    cron: String,
    /// The workflow that is started
    #[arg(long)]
    workflow: String,
    /// Its input: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON")]
    input: String,
    /// The zone whose clock the expression means
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// What a slot does while the previous run has not ended
    #[arg(long, value_parser = ["skip", "queue", "allow"], default_value = "skip")]
    overlap: String,
    /// What becomes of slots that no server saw to in time
    #[arg(long, value_parser = ["none", "latest", "all"], default_value = "latest")]
    catch_up: String,
    /// The queue whose workers take the runs
    #[arg(long)]
    queue: Option<String>,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only show when it would start
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let body = json!({
        "cron": args.cron, "time_zone": args.time_zone, "workflow": args.workflow,
        "input": json_argument("--input", &args.input)?, "queue": args.queue, "overlap": args.overlap,
        "catch_up": args.catch_up, "reason": args.reason, "dry_run": args.dry_run,
    });
    let answer = client.send(Method::PUT, &path(&args.name), Some(&body), None).await?;
    let schedule = read(&answer)?;
    out.show(&answer, || {
        let done = match (args.dry_run, answer["created"] == true) {
            (true, _) => "would be set",
            (false, true) => "is set",
            (false, false) => "is replaced",
        };
        let paused = if schedule.paused { " (paused: nothing starts)" } else { "" };
        format!("schedule {} {done}{paused}\n{}", schedule.name, coming(&schedule, now()))
    })
}
