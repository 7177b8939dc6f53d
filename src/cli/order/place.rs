//! `backstitch order place`: places an order; with `--wait`, waits for the outcome.

use reqwest::Method;

use super::show_order;
use crate::{
    cli::{client::Client, output::Out},
    orders::{Delivery, Payment, PlaceOrder, Wanted},
};

/// Arguments of `order place`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Item; may be repeated, each with its --quantity
    #[arg(long, required = true)]
    sku: Vec<String>,
    /// Units of the item before it; 1 by default
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    quantity: Vec<i64>,
    /// The payment token
    #[arg(long, value_name = "TOKEN")]
    payment: String,
    /// The customer's id
    #[arg(long, default_value = "cli")]
    customer: String,
    /// Delivery address
    #[arg(long, default_value = "1 Main Street")]
    address: String,
    /// Idempotency key: repeating it returns the first order
    #[arg(long)]
    key: Option<String>,
    /// Wait until it is placed or cancelled; exit 1 if it is cancelled
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(args: Args, client: &Client, out: Out) -> anyhow::Result<()> {
    anyhow::ensure!(args.quantity.len() <= args.sku.len(), "more --quantity than --sku: give one per item");
    let quantities = args.quantity.iter().copied().chain(std::iter::repeat(1));
    let order = PlaceOrder {
        customer_id: args.customer,
        items: args.sku.into_iter().zip(quantities).map(|(sku, quantity)| Wanted { sku, quantity }).collect(),
        currency: None,
        payment: Payment::of(args.payment),
        delivery: Some(Delivery { address: args.address, lat: None, lon: None, at: None }),
        contact: None,
    };
    let body = serde_json::to_value(&order)?;
    let path = if args.wait { "/v1/orders?wait=30s" } else { "/v1/orders" };
    let order = client.send(Method::POST, path, Some(&body), args.key.as_deref()).await?;
    show_order(&order, out)?;
    let cancelled = args.wait && order["state"] == "cancelled";
    anyhow::ensure!(!cancelled, "the order is cancelled: {}", order["cancel_reason"].as_str().unwrap_or("no reason"));
    Ok(())
}
