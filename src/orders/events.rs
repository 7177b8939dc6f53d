//! What a change of an order says outside: which events, and what is in them. Pure.
//!
//! Contact, address and token are in none of them.

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    changes::Move,
    order::{Item, Line, Order},
    state::{CancelReason, OrderState, PaymentState, StockState},
};

/// The schema of what events say of an order.
const ORDER_SCHEMA: &str = "urn:backstitch:order:1";
/// Of its payment.
const PAYMENT_SCHEMA: &str = "urn:backstitch:payment:1";

/// Everything that the shop's events are called.
pub const EVENT_TYPES: &[&str] = &[
    "order.created",
    "order.awaiting_payment",
    "order.placed",
    "order.processing",
    "order.shipped",
    "order.delivered",
    "order.cancelling",
    "order.cancelled",
    "order.updated",
    "payment.captured",
    "payment.failed",
    "payment.unknown",
    "payment.refunded",
    "stock.depleted",
    "stock.replenished",
];

/// An event of an order that is about to be written.
#[derive(Debug)]
pub(crate) struct OrderEvent {
    pub(crate) id: Uuid,
    pub(crate) order: Uuid,
    pub(crate) event_type: &'static str,
    pub(crate) dataschema: &'static str,
    /// JSON.
    pub(crate) data: String,
}

/// What an event says of an order.
#[derive(Debug, Serialize)]
struct OrderData<'a> {
    state: OrderState,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<OrderState>,
    payment_state: PaymentState,
    stock_state: StockState,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<CancelReason>,
    customer_id: &'a str,
    total: i64,
    currency: &'a str,
    #[serde(skip_serializing_if = "<[Line]>::is_empty")]
    items: &'a [Line],
}

/// What an event says of an order's payment; amounts are in minor units.
#[derive(Debug, Serialize)]
struct PaymentData<'a> {
    payment_state: PaymentState,
    previous: PaymentState,
    customer_id: &'a str,
    total: i64,
    captured: i64,
    refunded: i64,
    currency: &'a str,
}

/// The events that saving an order means, in the order in which they happened.
pub(crate) fn events_of(order: &Order) -> Vec<OrderEvent> {
    let Some(delivery) = &order.changes.on_record else {
        return vec![order_event(order, "order.created", order.state, None)];
    };
    let of_move = |one: &Move| match *one {
        Move::State(from, to) => Some(order_event(order, state_type(to), to, Some(from))),
        Move::Payment(from, to) => payment_type(to).map(|event_type| payment_event(order, event_type, to, from)),
    };
    let mut events: Vec<OrderEvent> = order.changes.moves.iter().filter_map(of_move).collect();
    if *delivery != order.delivery {
        events.push(order_event(order, "order.updated", order.state, None));
    }
    events
}

/// The event of an item whose units can be ordered again, or no longer: its type, the schema of its data, and that. Of what
/// orders reserve and release, statements find it out by themselves.
pub(crate) fn stock_event(before: &Item, after: &Item) -> Option<(&'static str, &'static str, Value)> {
    let event_type = match (before.available > 0, after.available > 0) {
        (true, false) => "stock.depleted",
        (false, true) => "stock.replenished",
        _ => return None,
    };
    let data = json!({"available": after.available, "on_hand": after.on_hand, "held": after.held});
    Some((event_type, "urn:backstitch:stock:1", data))
}

const fn state_type(state: OrderState) -> &'static str {
    match state {
        OrderState::Created => "order.created",
        OrderState::AwaitingPayment => "order.awaiting_payment",
        OrderState::Placed => "order.placed",
        OrderState::Processing => "order.processing",
        OrderState::Shipped => "order.shipped",
        OrderState::Delivered => "order.delivered",
        OrderState::Cancelling => "order.cancelling",
        OrderState::Cancelled => "order.cancelled",
    }
}

/// What there is to say of a payment. A void ends an unknown payment as a decline does: no money moved.
const fn payment_type(state: PaymentState) -> Option<&'static str> {
    match state {
        PaymentState::Captured => Some("payment.captured"),
        PaymentState::Failed | PaymentState::Voided => Some("payment.failed"),
        PaymentState::Unknown => Some("payment.unknown"),
        PaymentState::PartiallyRefunded | PaymentState::Refunded => Some("payment.refunded"),
        PaymentState::None | PaymentState::Pending | PaymentState::RefundPending | PaymentState::RefundFailed => None,
    }
}

fn order_event(order: &Order, event_type: &'static str, state: OrderState, previous: Option<OrderState>) -> OrderEvent {
    let data = OrderData {
        state,
        previous,
        payment_state: order.payment_state,
        stock_state: order.stock_state,
        cancel_reason: order.cancel_reason,
        customer_id: &order.customer_id,
        total: order.total,
        currency: &order.currency,
        items: if event_type == "order.created" { &order.items } else { &[] },
    };
    event(order.id, event_type, ORDER_SCHEMA, &data)
}

fn payment_event(
    order: &Order,
    event_type: &'static str,
    payment_state: PaymentState,
    previous: PaymentState,
) -> OrderEvent {
    let data = PaymentData {
        payment_state,
        previous,
        customer_id: &order.customer_id,
        total: order.total,
        captured: order.captured,
        refunded: order.refunded,
        currency: &order.currency,
    };
    event(order.id, event_type, PAYMENT_SCHEMA, &data)
}

fn event(order: Uuid, event_type: &'static str, dataschema: &'static str, data: &impl Serialize) -> OrderEvent {
    // Texts, numbers and words always have a JSON form.
    let data = serde_json::to_string(data).unwrap_or_else(|_| "{}".to_owned());
    OrderEvent { id: Uuid::now_v7(), order, event_type, dataschema, data }
}
