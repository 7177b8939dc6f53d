//! `backstitch run show`: one run and the timeline of its steps.

use super::timeline;
use crate::cli::{
    answer,
    client::Client,
    output::{Out, now},
};

/// The run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, or a beginning that no other run has
    pub(super) id: String,
}

pub(super) async fn run(args: &Args, client: &Client, out: Out) -> anyhow::Result<()> {
    show_run(&client.run_id(&args.id).await?, client, out).await
}

/// Shows one run.
pub(super) async fn show_run(id: &str, client: &Client, out: Out) -> anyhow::Result<()> {
    let answer = client.get(&format!("/v1/runs/{id}"), &[]).await?;
    answer::show(&answer, out, |run| timeline::render(run, out, now()))?;
    Ok(())
}
