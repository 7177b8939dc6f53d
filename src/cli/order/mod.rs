//! `backstitch order …`: a customer's commands, one per file.

mod cancel;
mod list;
mod place;
mod show;

use super::{
    answer::show,
    client::{Client, ServerArgs},
    output::{Out, now, relative, table},
};
use crate::orders::{Line, Order, money::format_amount, state::Word};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Place an order
    Place(place::Args),
    /// Show an order
    Show(show::Args),
    /// Cancel an order
    Cancel(cancel::Args),
    /// List orders, newest first
    List(list::Args),
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::Place(args) => place::run(args, &client, out).await,
        Verb::Show(args) => show::run(&args, &client, out).await,
        Verb::Cancel(args) => cancel::run(args, &client, out).await,
        Verb::List(args) => list::run(args, &client, out).await,
    }
}

/// An order for people.
fn render(order: &Order, out: Out) -> String {
    let reason = order.cancel_reason.map(|reason| format!(" ({})", reason.word())).unwrap_or_default();
    let ago = |at| relative(at, now());
    let mut lines = vec![
        format!("order {}  {}{reason}", order.id, out.paint(order.state.word())),
        format!("  customer   {}", order.customer_id),
        format!("  payment    {}", order.payment_state.word()),
        format!("  stock      {}", order.stock_state.word()),
        format!("  total      {}", format_amount(order.total, &order.currency)),
        format!("  refunded   {}", format_amount(order.refunded, &order.currency)),
        format!("  created    {}", ago(order.created_at)),
        format!("  placed     {}", order.placed_at.map_or_else(|| "not yet".to_owned(), ago)),
        format!("  run        {}", order.run_id),
        String::new(),
    ];
    let row =
        |line: &Line| vec![line.sku.clone(), line.quantity.to_string(), format_amount(line.price, &order.currency)];
    lines.push(table(&["SKU", "QUANTITY", "PRICE"], order.items.iter().map(row)));
    lines.join("\n")
}

/// Shows an answer that is an order.
fn show_order(answer: &serde_json::Value, out: Out) -> anyhow::Result<()> {
    show(answer, out, |order| render(order, out))?;
    Ok(())
}
