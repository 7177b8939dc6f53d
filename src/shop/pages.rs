//! `/orders` and `/orders/{id}`: the shop's view: where order, payment and stock stand, and the money.

use askama::Template;
use uuid::Uuid;

use super::problem;
use crate::{
    http::{
        base::{Base, filters},
        page::{self, Address, Fragment},
        problem::Problem,
    },
    orders::{Order, OrderFilter, Orders, money, state::Word},
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
pub(super) async fn render_list(orders: &Orders, base: &Base, address: &Address) -> Result<Fragment, Problem> {
    let customer = address.param("customer_id").unwrap_or_default();
    let found = if customer.is_empty() {
        crate::orders::OrderPage { items: Vec::new(), next_cursor: None }
    } else {
        let cursor = address.param("cursor").map(str::to_owned);
        orders.list(&OrderFilter { customer_id: Some(customer.to_owned()), limit: None, cursor }).await?
    };
    let next = address.next(found.next_cursor);
    Fragment::render(base, "Orders", "orders", &OrdersPage { customer, orders: found.items, next })
}

/// One order.
pub(super) async fn render_one(orders: &Orders, base: &Base, id: &str) -> Result<Fragment, Problem> {
    let unknown = |_| problem::new("unknown_order", format!("there is no order {id}"));
    let order = orders.get(Uuid::parse_str(id).map_err(unknown)?).await?;
    Fragment::render(base, format!("Order {}", page::short(&order.id)), "orders", &OrderPage { order })
}

/// What is paid and not given back.
fn kept(order: &Order) -> String {
    money::format_amount(order.captured - order.refunded, &order.currency)
}

/// An amount; templates hand references over.
fn amount(minor: &i64, currency: &str) -> String {
    money::format_amount(*minor, currency)
}
