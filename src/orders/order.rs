//! An order as the domain, the API and the history see it. The first fields are the contract's; the rest is ours.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    changes::Changes,
    delivery::Delivery,
    error::Error,
    notices::Seller,
    state::{CancelBy, CancelReason, OrderState, PaymentState, StockState, Word},
};
use crate::engine::{RunId, Time};

/// An order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Order {
    /// Its id, a UUIDv7.
    pub id: Uuid,
    /// Its run; after a late payment, the run of that payment.
    pub run_id: RunId,
    /// The customer who placed it.
    pub customer_id: String,
    /// Its state.
    pub state: OrderState,
    /// Why it was cancelled.
    pub cancel_reason: Option<CancelReason>,
    /// State of its payment.
    pub payment_state: PaymentState,
    /// State of its stock.
    pub stock_state: StockState,
    /// Its lines, by sku, with the prices at its creation.
    pub items: Vec<Line>,
    /// Minor units.
    pub total: i64,
    /// Minor units refunded to the customer.
    pub refunded: i64,
    /// ISO code.
    pub currency: String,
    /// When it was placed: paid, with its stock committed. Refund tiers count from this time.
    pub placed_at: Option<Time>,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Whether it has been moved to the history.
    pub archived: bool,
    /// Minor units that the gateway captured.
    pub captured: i64,
    /// The gateway's id of the payment.
    pub intent_id: Option<String>,
    /// Its delivery; none in the slim row that archiving leaves.
    pub delivery: Option<Delivery>,
    /// The accepted cancel.
    pub cancel: Option<Cancel>,
    /// The refund tiers at its placing.
    pub refund_tiers: String,
    /// When fulfilment reported its dispatch.
    pub dispatched_at: Option<Time>,
    /// When fulfilment reported its delivery.
    pub delivered_at: Option<Time>,
    /// What has become of it since it was read: events, when it is saved.
    #[serde(skip)]
    pub(crate) changes: Changes,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "server", schema(as = OrderLine))]
pub struct Line {
    /// The item.
    pub sku: String,
    /// Units.
    pub quantity: i64,
    /// Price of one unit, in minor units.
    pub price: i64,
}

/// An accepted cancel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "server", schema(as = OrderCancel))]
pub struct Cancel {
    /// When it was accepted, on the database's clock.
    pub at: Time,
    /// By whom.
    pub by: CancelBy,
    /// The refund, in basis points of the captured amount.
    pub bp: u32,
    /// The reason, as free text.
    pub note: Option<String>,
}

impl Order {
    /// Moves the order's axis, if the table allows it.
    ///
    /// # Errors
    /// `wrong_state`.
    pub fn become_state(&mut self, to: OrderState) -> Result<(), Error> {
        self.changes.state(self.state, self.state.to(to)?);
        self.state = to;
        Ok(())
    }

    /// Moves the payment's axis.
    ///
    /// # Errors
    /// `wrong_state`.
    pub fn become_paid(&mut self, to: PaymentState) -> Result<(), Error> {
        self.changes.payment(self.payment_state, self.payment_state.to(to)?);
        self.payment_state = to;
        Ok(())
    }

    /// Moves the stock's axis.
    ///
    /// # Errors
    /// `wrong_state`.
    pub fn become_stocked(&mut self, to: StockState) -> Result<(), Error> {
        self.stock_state = self.stock_state.to(to)?;
        Ok(())
    }

    /// Moves the order to `cancelling`. If it is there already, its reason stays.
    ///
    /// # Errors
    /// `wrong_state` for an order that can no longer be cancelled.
    pub fn begin_cancelling(&mut self, reason: CancelReason) -> Result<(), Error> {
        if self.state != OrderState::Cancelling {
            self.become_state(OrderState::Cancelling)?;
            self.cancel_reason = Some(reason);
        }
        Ok(())
    }

    /// The refund of an accepted cancel, in basis points of the captured amount; all of it if no cancel was requested.
    pub fn refund_bp(&self) -> u32 {
        self.cancel.as_ref().map_or(super::money::WHOLE_BP, |cancel| cancel.bp)
    }

    /// Books a capture, in minor units.
    ///
    /// # Errors
    /// `wrong_state`.
    pub fn book_capture(&mut self, amount: i64) -> Result<(), Error> {
        if self.captured == 0 {
            self.become_paid(PaymentState::Captured)?;
            self.captured = amount;
        }
        Ok(())
    }

    /// Books a refund, in minor units. The sum decides whether the order is partially or fully refunded.
    ///
    /// # Errors
    /// `wrong_state`.
    pub fn book_refund(&mut self, amount: i64) -> Result<(), Error> {
        self.refunded = self.refunded.saturating_add(amount);
        let whole = self.refunded >= self.captured;
        self.become_paid(if whole { PaymentState::Refunded } else { PaymentState::PartiallyRefunded })
    }
}

/// An item and its stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Item {
    /// Its key.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// Price of one unit, in minor units.
    pub price: i64,
    /// ISO code.
    pub currency: String,
    /// Units in stock, reserved ones included.
    pub on_hand: i64,
    /// Units reserved by orders.
    pub held: i64,
    /// Units that can be ordered: `on_hand - held`.
    pub available: i64,
    /// Who sells it, where the item is read or written by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller: Option<Seller>,
}

/// One page of a list, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct OrderPage {
    /// The orders.
    pub items: Vec<Order>,
    /// Cursor of the next page; none on the last one.
    pub next_cursor: Option<String>,
}
