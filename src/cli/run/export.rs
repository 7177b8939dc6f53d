//! `backstitch run export`: a run with everything that is on record of it, as JSON, for a ticket or an archive.

use std::path::PathBuf;

use anyhow::Context;

use crate::cli::{
    client::Client,
    output::{say, tell},
};

/// Which run, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    id: String,
    /// A file that is made or replaced; stdout unless given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(args: &Args, client: &Client) -> anyhow::Result<()> {
    let document = client.get(&format!("/v1/runs/{}/export", args.id), &[]).await?;
    let text = serde_json::to_string_pretty(&document)?;
    let Some(path) = &args.out else {
        say(&text);
        return Ok(());
    };
    std::fs::write(path, text + "\n").with_context(|| format!("{} can't be written", path.display()))?;
    tell(format!("wrote {}", path.display()));
    Ok(())
}
