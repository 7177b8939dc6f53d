//! `backstitch run start`: starts a run, and with `--wait` waits for its end.

use reqwest::Method;
use serde_json::json;

use super::{json_argument, show};
use crate::cli::{
    client::{Client, WAIT},
    output::{Out, tell},
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
    let run = client.send(Method::POST, "/v1/runs", Some(&body), args.key.as_deref()).await?;
    let id = run["id"].as_str().unwrap_or_default().to_owned();
    if args.wait {
        let status = wait_for_end(client, &id).await?;
        show::run(&show::Args { id: id.clone() }, client, out).await?;
        anyhow::ensure!(status == "completed", "the run is {status}");
        return Ok(());
    }
    out.show(&run, || id.clone())?;
    if !out.json() {
        tell(format!("`backstitch run watch {id}` follows it."));
    }
    Ok(())
}

/// Waits until the run has ended, or is stuck or paused, and returns its status.
async fn wait_for_end(client: &Client, id: &str) -> anyhow::Result<String> {
    let wait = [("wait", format!("{}s", WAIT.as_secs()))];
    loop {
        let result = client.get(&format!("/v1/runs/{id}/result"), &wait).await?;
        let status = result["status"].as_str().unwrap_or_default();
        if result["ended"] == true || matches!(status, "stuck" | "paused") {
            return Ok(status.to_owned());
        }
        tell(format!("{status} …"));
    }
}
