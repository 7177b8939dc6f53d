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
    #[arg(long, value_name = "TOKEN", required_unless_present = "token")]
    payment: Option<String>,
    /// A payment vendor's own token; may be repeated, for each vendor that may be paid at
    #[arg(long, value_name = "VENDOR=TOKEN", value_parser = parse_token)]
    token: Vec<(String, String)>,
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

/// A vendor's name and its token.
fn parse_token(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(vendor, token)| !vendor.is_empty() && !token.is_empty());
    let (vendor, token) = parts.ok_or_else(|| "VENDOR=TOKEN is needed, such as north=tok_ok".to_owned())?;
    Ok((vendor.to_owned(), token.to_owned()))
}

pub(super) async fn run(args: Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let (key, wait) = (args.key.clone(), args.wait);
    let body = serde_json::to_value(request(args)?)?;
    let path = if wait { "/v1/orders?wait=30s" } else { "/v1/orders" };
    let order = client.send(Method::POST, path, Some(&body), key.as_deref()).await?;
    show_order(&order, out)?;
    let cancelled = wait && order["state"] == "cancelled";
    anyhow::ensure!(!cancelled, "the order is cancelled: {}", order["cancel_reason"].as_str().unwrap_or("no reason"));
    Ok(())
}

fn request(args: Args) -> anyhow::Result<PlaceOrder> {
    anyhow::ensure!(args.quantity.len() <= args.sku.len(), "more --quantity than --sku: give one per item");
    let quantities = args.quantity.iter().copied().chain(std::iter::repeat(1));
    let mut vendors: Vec<&str> = args.token.iter().map(|(vendor, _)| vendor.as_str()).collect();
    vendors.sort_unstable();
    if let Some(twice) = vendors.windows(2).find(|pair| pair[0] == pair[1]) {
        anyhow::bail!("--token: there are two of {}", twice[0]);
    }
    Ok(PlaceOrder {
        customer_id: args.customer,
        items: args.sku.into_iter().zip(quantities).map(|(sku, quantity)| Wanted { sku, quantity }).collect(),
        currency: None,
        payment: Payment { token: args.payment, tokens: args.token.into_iter().collect() },
        delivery: Some(Delivery { address: args.address, lat: None, lon: None, at: None }),
        contact: None,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn payment(tokens: &[&str]) -> Result<Payment, String> {
        let words = ["place", "--sku", "tea"].iter().chain(tokens);
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        request(cli.args).map(|order| order.payment).map_err(|error| error.to_string())
    }

    #[test]
    fn vendors_tokens_are_sent_by_vendor() {
        assert_eq!(payment(&["--payment", "tok_ok"]), Ok(Payment::of("tok_ok")));
        let two = payment(&["--token", "north=a=b", "--token", "stripe=c"]).expect("a payment");
        let tokens: Vec<(&str, &str)> = two.tokens.iter().map(|(name, token)| (&**name, &**token)).collect();
        assert_eq!((two.token, tokens), (None, vec![("north", "a=b"), ("stripe", "c")]));
        for bad in [&[][..], &["--token", "north"], &["--token", "=t"], &["--token", "n=a", "--token", "n=b"]] {
            assert!(payment(bad).is_err(), "{bad:?}");
        }
    }
}
