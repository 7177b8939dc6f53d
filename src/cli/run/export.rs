//! `backstitch run export`: a run with all its records, as JSON, for a ticket or an archive.

use std::path::PathBuf;

use anyhow::Context;

use crate::cli::{
    client::Client,
    output::{say, tell},
};

/// Arguments of `run export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, or a beginning that no other run has
    id: String,
    /// File to create or replace; stdout by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(args: &Args, client: &Client) -> anyhow::Result<()> {
    let document = client.get(&format!("/v1/runs/{}/export", client.run_id(&args.id).await?), &[]).await?;
    let text = serde_json::to_string_pretty(&document)?;
    let Some(path) = &args.out else {
        return say(&text);
    };
    std::fs::write(path, text + "\n").with_context(|| format!("could not write {}", path.display()))?;
    tell(format!("wrote {}", path.display()));
    Ok(())
}
