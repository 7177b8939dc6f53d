//! `/orders` and `/orders/{id}`: the shop's view: where order, payment and stock stand, and the money.

use askama::Template;
use uuid::Uuid;

use super::{
    format,
    view::{Fragment, View},
};
use crate::{
    http::{App, problem::Problem},
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
pub(super) async fn list(app: &App, view: &View) -> Result<Fragment, Problem> {
    let customer = view.param("customer_id").unwrap_or_default();
    let page = if customer.is_empty() {
        crate::orders::OrderPage { items: Vec::new(), next_cursor: None }
    } else {
        let cursor = view.param("cursor").map(str::to_owned);
        app.orders.list(&OrderFilter { customer_id: customer.to_owned(), limit: None, cursor }).await?
    };
    let next = page.next_cursor.map(|cursor| view.with("cursor", &cursor));
    Fragment::of("Orders", "orders", &OrdersPage { customer, orders: page.items, next })
}

/// One order.
pub(super) async fn one(app: &App, id: &str) -> Result<Fragment, Problem> {
    let unknown = |_| Problem::new("unknown_order", format!("there is no order {id}"));
    let order = app.orders.get(Uuid::parse_str(id).map_err(unknown)?).await?;
    Fragment::of(format!("Order {}", format::short(&order.id)), "orders", &OrderPage { order })
}

/// What is paid and not given back.
fn kept(order: &Order) -> String {
    format::money(&(order.captured - order.refunded), &order.currency)
}
