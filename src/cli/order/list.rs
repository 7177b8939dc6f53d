//! `backstitch order list`: a customer's orders, live and archived together.

use anyhow::Context;

use crate::{
    cli::{
        client::Client,
        output::{Out, cut, now, relative, table, tell},
    },
    orders::{Order, OrderPage, money::format_amount, state::Word},
};

/// Arguments of `order list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The customer's id
    #[arg(long)]
    customer: String,
    /// At most this many (up to 200)
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Cursor from the previous page
    #[arg(long)]
    cursor: Option<String>,
}

pub(super) async fn run(args: Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let mut query = vec![("customer_id", args.customer), ("limit", args.limit.to_string())];
    query.extend(args.cursor.map(|cursor| ("cursor", cursor)));
    let whole = client.get("/v1/orders", &query).await?;
    if out.json() {
        return out.show(&whole, String::new);
    }
    let page: OrderPage = serde_json::from_value(whole).context("the server's list has an unknown form")?;
    if page.items.is_empty() {
        tell("no orders");
        return Ok(());
    }
    let row = |order: &Order| {
        vec![
            order.id.to_string(),
            out.paint(order.state.word()),
            cut(order.payment_state.word(), 12),
            format_amount(order.total, &order.currency),
            relative(order.created_at, now()).trim_end_matches(" ago").to_owned(),
        ]
    };
    out.show(&(), || table(&["ORDER", "STATE", "PAYMENT", "TOTAL", "AGE"], page.items.iter().map(row)))?;
    if let Some(cursor) = page.next_cursor {
        tell(format!("more with --cursor {cursor}"));
    }
    Ok(())
}
