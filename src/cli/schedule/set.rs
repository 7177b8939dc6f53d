//! `backstitch schedule set`: creates or replaces a schedule, and prints when it starts next.

use reqwest::Method;
use serde_json::json;

use super::{coming, path};
use crate::{
    cli::{
        answer::show,
        args::{json_argument, parse_word},
        client::Client,
        output::{Out, now},
    },
    engine::{CatchUp, Overlap, ScheduleChange},
};

/// Arguments of `schedule set`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "backstitch schedule set [OPTIONS] --cron <EXPR> --workflow <WORKFLOW>
                               --input <JSON> <NAME>")]
pub(crate) struct Args {
    /// Its name
    name: String,
    /// Cron expression: minute, hour, day of month, month, day of week
    #[arg(long, value_name = "EXPR")]
    cron: String,
    /// The workflow to start
    #[arg(long)]
    workflow: String,
    /// Its input: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON")]
    input: String,
    /// Time zone of the expression
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// What a slot does if the previous run has not ended
    #[arg(long, value_parser = parse_word::<Overlap>(Overlap::WORDS), default_value = "skip")]
    overlap: Overlap,
    /// Which missed slots to start after downtime
    #[arg(long, value_parser = parse_word::<CatchUp>(CatchUp::WORDS), default_value = "latest")]
    catch_up: CatchUp,
    /// Queue of the runs
    #[arg(long)]
    queue: Option<String>,
    /// Reason, for the audit log
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
    let describe = |change: &ScheduleChange| {
        let done = match (change.dry_run, change.created) {
            (true, _) => "would be set",
            (false, true) => "is set",
            (false, false) => "is replaced",
        };
        let schedule = &change.schedule;
        let paused = if schedule.paused { " (paused: nothing starts)" } else { "" };
        format!("schedule {} {done}{paused}\n{}", schedule.name, coming(schedule, now()))
    };
    show(&answer, out, describe)?;
    Ok(())
}
