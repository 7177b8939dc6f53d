//! `backstitch run show`: one run and the timeline of its steps.

use super::{read, timeline};
use crate::cli::{
    client::Client,
    output::{Out, now},
};

/// The run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    pub(super) id: String,
}

pub(super) async fn run(args: &Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let (whole, run) = read(client, &args.id).await?;
    out.show(&whole, || timeline::render(&run, out, now()))
}
