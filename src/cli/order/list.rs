//! `backstitch order list`: orders, newest first, live and archived together.

use crate::{
    cli::{
        answer::show_list,
        args::SliceArgs,
        client::Client,
        output::{Out, age, cut, now, table},
    },
    orders::{Order, money::format_amount, state::Word},
};

/// Arguments of `order list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this customer's orders
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    #[command(flatten)]
    slice: SliceArgs,
}

pub(super) async fn run(args: Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let mut query = args.slice.query();
    query.extend(args.customer.map(|customer| ("customer_id", customer)));
    let answer = client.get("/v1/orders", &query).await?;
    let row = |order: &Order| {
        vec![
            order.id.to_string(),
            out.paint(order.state.word()),
            cut(order.payment_state.word(), 12),
            format_amount(order.total, &order.currency),
            age(order.created_at, now()),
        ]
    };
    let header = ["ORDER", "STATE", "PAYMENT", "TOTAL", "AGE"];
    show_list(&answer, out, "no orders", |orders| table(&header, orders.iter().map(row)))?;
    Ok(())
}
