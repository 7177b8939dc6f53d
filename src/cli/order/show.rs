//! `backstitch order show`: one order, live or archived.

use super::show_order;
use crate::cli::{client::Client, output::Out};

/// The order.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The order's id
    id: String,
}

pub(super) async fn run(args: &Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let id = &args.id;
    show_order(&client.get(&format!("/v1/orders/{id}"), &[]).await?, out)
}
