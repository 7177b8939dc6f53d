//! `backstitch run start`: starts a run, and with `--wait` waits for its end.

use reqwest::Method;
use serde_json::json;

use super::show::show_run;
use crate::{
    cli::{
        answer::read,
        args::json_argument,
        client::{Client, WAIT},
        output::{Out, tell},
    },
    engine::{Run, RunResult, RunStatus},
};

/// Arguments of `run start`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The workflow's name
    workflow: String,
    /// Its input: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON")]
    input: String,
    /// Idempotency key: repeating it returns the first run
    #[arg(long)]
    key: Option<String>,
    /// Queue
    #[arg(long)]
    queue: Option<String>,
    /// Wait until it ends; exit 1 unless it completes
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(args: Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let mut body = json!({"workflow": args.workflow, "input": json_argument("--input", &args.input)?});
    if let Some(queue) = args.queue {
        body["queue"] = queue.into();
    }
    let answer = client.send(Method::POST, "/v1/runs", Some(&body), args.key.as_deref()).await?;
    let id = read::<Run>(&answer)?.id.to_string();
    if args.wait {
        let status = wait_for_end(client, &id).await?;
        show_run(&id, client, out).await?;
        anyhow::ensure!(status == RunStatus::Completed, "the run is {status}");
        return Ok(());
    }
    out.show(&answer, || id.clone())?;
    if !out.json() {
        tell(format!("`backstitch run watch {id}` follows it."));
    }
    Ok(())
}

/// Waits until the run has ended, or is stuck or paused, and returns its status.
async fn wait_for_end(client: &Client, id: &str) -> anyhow::Result<RunStatus> {
    let wait = [("wait", format!("{}s", WAIT.as_secs()))];
    loop {
        let RunResult { status, .. } = read(&client.get(&format!("/v1/runs/{id}/result"), &wait).await?)?;
        if status.has_ended() || matches!(status, RunStatus::Stuck | RunStatus::Paused) {
            return Ok(status);
        }
        tell(format!("{status} …"));
    }
}
