//! `backstitch run signal`: puts a signal into a run's inbox.

use reqwest::Method;

use crate::cli::{
    args::optional_json,
    client::{Client, encoded},
    output::tell,
};

/// Arguments of `run signal`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, or a beginning that no other run has
    id: String,
    /// The signal's name
    name: String,
    /// Payload: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    /// Idempotency key: repeating it changes nothing
    #[arg(long)]
    key: Option<String>,
}

pub(super) async fn run(args: Args, client: &Client) -> anyhow::Result<()> {
    let payload = optional_json("--payload", args.payload.as_deref())?;
    let id = client.run_id(&args.id).await?;
    let path = format!("/v1/runs/{id}/signals/{}", encoded(&args.name));
    client.send(Method::POST, &path, payload.as_ref(), args.key.as_deref()).await?;
    tell(format!("signal {} is recorded; `backstitch run show {id}` shows its effect.", args.name));
    Ok(())
}
