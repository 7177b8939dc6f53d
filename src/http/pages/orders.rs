//! `/orders` and `/orders/{id}`: the shop's view: where order, payment and stock stand, and the money.

use askama::Template;
use uuid::Uuid;

use super::{address::Address, format, layout::Fragment, links};
use crate::{
    http::{App, base::filters, problem::Problem},
    orders::{Order, OrderFilter, state::Word},
};

#[derive(Template)]
#[template(path = "orders.html")]
struct OrdersPage<'a> {
    customer: &'a str,
    orders: Vec<Order>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    order: Order,
}

/// A customer's orders.
pub(super) async fn render_list(app: &App, address: &Address) -> Result<Fragment, Problem> {
    let customer = address.param("customer_id").unwrap_or_default();
    let page = if customer.is_empty() {
        crate::orders::OrderPage { items: Vec::new(), next_cursor: None }
    } else {
        let cursor = address.param("cursor").map(str::to_owned);
        app.orders.list(&OrderFilter { customer_id: customer.to_owned(), limit: None, cursor }).await?
    };
    let next = address.next(page.next_cursor);
    Fragment::render(app, "Orders", "orders", &OrdersPage { customer, orders: page.items, next })
}

/// One order.
pub(super) async fn render_one(app: &App, id: &str) -> Result<Fragment, Problem> {
    let unknown = |_| Problem::new("unknown_order", format!("there is no order {id}"));
    let order = app.orders.get(Uuid::parse_str(id).map_err(unknown)?).await?;
    Fragment::render(app, format!("Order {}", format::short(&order.id)), "orders", &OrderPage { order })
}

/// What is paid and not given back.
fn kept(order: &Order) -> String {
    format::money(&(order.captured - order.refunded), &order.currency)
}
