//! `backstitch order cancel`: cancels an order for the customer, the seller or the system.

use std::io::IsTerminal;

use reqwest::Method;

use super::show_order;
use crate::{
    cli::{
        client::Client,
        output::{Out, confirm},
    },
    orders::{CancelOrder, state::CancelBy},
};

/// Arguments of `order cancel`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The order's id
    id: String,
    /// Reason
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// On whose behalf: a customer's cancel is refunded by the tiers, others in full
    #[arg(long, value_enum, default_value = "customer")]
    by: CancelBy,
    /// Don't ask for confirmation
    #[arg(long, short = 'y')]
    yes: bool,
}

pub(super) async fn run(args: Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let id = &args.id;
    if !args.yes && std::io::stdin().is_terminal() {
        anyhow::ensure!(confirm(&format!("cancel order {id}?"))?, "nothing was changed");
    }
    let body = serde_json::to_value(CancelOrder { reason: args.reason, by: Some(args.by) })?;
    show_order(&client.send(Method::POST, &format!("/v1/orders/{id}/cancel"), Some(&body), None).await?, out)
}
