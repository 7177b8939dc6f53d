//! `backstitch schedule pause`, `resume`, `run`, `delete`.

use reqwest::Method;
use serde_json::{Value, json};

use super::path;
use crate::{
    cli::{
        answer::show,
        client::{Client, encoded},
        output::{Out, confirm, tell},
    },
    engine::{ScheduleChange, ScheduledRun},
};

/// A schedule, and the reason.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name
    name: String,
    /// Reason, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only check, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `schedule delete`.
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    which: Args,
    /// Don't ask for confirmation
    #[arg(long, short = 'y')]
    yes: bool,
}

impl Args {
    fn body(&self) -> Value {
        json!({"reason": self.reason, "dry_run": self.dry_run})
    }
}

pub(super) async fn change(action: &str, args: &Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let answer = client.send(Method::POST, &format!("{}/{action}", path(&args.name)), Some(&args.body()), None).await?;
    let describe = |change: &ScheduleChange| {
        let state = if change.schedule.paused { "paused" } else { "on" };
        format!("schedule {} {} {state}", change.schedule.name, would_be(change))
    };
    show(&answer, out, describe)?;
    Ok(())
}

pub(super) async fn run(args: &Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let answer = client.send(Method::POST, &format!("{}/run", path(&args.name)), Some(&args.body()), None).await?;
    let describe = |started: &ScheduledRun| {
        started.run_id.map_or_else(|| "a run would be started".to_owned(), |id| id.to_string())
    };
    if let Some(id) = show(&answer, out, describe)?.and_then(|started| started.run_id) {
        tell(format!("`backstitch run watch {id}` follows it."));
    }
    Ok(())
}

pub(super) async fn delete(args: &DeleteArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let DeleteArgs { which, yes } = args;
    if !yes && !which.dry_run {
        let question = format!("delete schedule {} and the record of its slots?", which.name);
        anyhow::ensure!(confirm(&question)?, "nothing was changed");
    }
    let reason = which.reason.as_deref().map_or_else(String::new, |reason| format!("&reason={}", encoded(reason)));
    let path = format!("{}?dry_run={}{reason}", path(&which.name), which.dry_run);
    let answer = client.send(Method::DELETE, &path, None, None).await?;
    let describe = |change: &ScheduleChange| format!("schedule {} {} deleted", change.schedule.name, would_be(change));
    show(&answer, out, describe)?;
    Ok(())
}

const fn would_be(change: &ScheduleChange) -> &'static str {
    if change.dry_run { "would be" } else { "is" }
}
