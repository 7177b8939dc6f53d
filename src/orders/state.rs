//! The states of an order on three axes, and every legal move. All changes of an order are checked here.
//!
//! ```text
//! order    created ─▶ awaiting_payment ─▶ placed ─▶ processing ─▶ shipped ─▶ delivered
//!             │              │             ▲ │           │
//!             └──────┬───────┘             │ └─────┬─────┘
//!                    └────▶ cancelling ◀───────────┘
//!                               └────▶ cancelled ──┘ a late payment only
//!
//! payment  none ─▶ pending ─▶ captured ─▶ refund_pending ─▶ partially_refunded | refunded
//!                    │  ▲         ▲             │ ▲
//!                    │  └ unknown ┤             ▼ │
//!                    ▼            │        refund_failed
//!                  failed, voided ┘ a late payment
//!
//! stock    none ─▶ held ─▶ committed ─▶ released        held ─▶ released ─▶ held, committed: a late payment
//! ```
//!
//! `cancelling` is a lock: while an order is in it, only its run moves it on. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A state that is stored as a word.
pub trait Word: Copy + PartialEq + fmt::Debug + 'static {
    /// All states with their words.
    const WORDS: &'static [(Self, &'static str)];
    /// Every legal move on this axis; staying in a state needs no entry.
    const MOVES: &'static [(Self, Self)];

    /// The word in tables and in the API.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }

    /// The state with this word.
    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
    }

    /// Moves to `to`.
    ///
    /// # Errors
    /// When the table above has no such move.
    fn to(self, to: Self) -> Result<Self, IllegalMove> {
        if self == to || Self::MOVES.contains(&(self, to)) {
            return Ok(to);
        }
        Err(IllegalMove { from: self.word(), to: to.word() })
    }
}

/// A move that is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {from} can't become {to}")]
pub struct IllegalMove {
    /// The present state.
    pub from: &'static str,
    /// The requested state.
    pub to: &'static str,
}

/// State of the order as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Accepted; its stock is not reserved yet.
    Created,
    /// Its stock is reserved.
    AwaitingPayment,
    /// Paid, with its stock committed.
    Placed,
    /// Its refund window is over, or it has been dispatched.
    Processing,
    /// Dispatched.
    Shipped,
    /// Arrived.
    Delivered,
    /// A cancel was accepted, or it failed: its run is undoing it.
    Cancelling,
    /// Everything is undone and settled.
    Cancelled,
}

impl Word for OrderState {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Created, "created"),
        (Self::AwaitingPayment, "awaiting_payment"),
        (Self::Placed, "placed"),
        (Self::Processing, "processing"),
        (Self::Shipped, "shipped"),
        (Self::Delivered, "delivered"),
        (Self::Cancelling, "cancelling"),
        (Self::Cancelled, "cancelled"),
    ];
    const MOVES: &'static [(Self, Self)] = &[
        (Self::Created, Self::AwaitingPayment),
        (Self::AwaitingPayment, Self::Placed),
        (Self::Placed, Self::Processing),
        (Self::Processing, Self::Shipped),
        (Self::Shipped, Self::Delivered),
        (Self::Created, Self::Cancelling),
        (Self::AwaitingPayment, Self::Cancelling),
        (Self::Placed, Self::Cancelling),
        (Self::Processing, Self::Cancelling),
        (Self::Cancelling, Self::Cancelled),
        (Self::Cancelled, Self::Placed), // a late payment only
    ];
}

impl OrderState {
    /// Whether the order can still be cancelled on request.
    pub fn can_be_cancelled(self) -> bool {
        self.to(Self::Cancelling).is_ok() && self != Self::Cancelling
    }

    /// Whether it was paid and not cancelled.
    pub const fn is_placed(self) -> bool {
        matches!(self, Self::Placed | Self::Processing | Self::Shipped | Self::Delivered)
    }

    /// Whether it has been placed or cancelled, so that waiting for it to be placed is over.
    pub const fn is_decided(self) -> bool {
        self.is_placed() || matches!(self, Self::Cancelled)
    }
}

/// State of an order's payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// No payment yet.
    None,
    /// An intent exists; no money is known to have moved.
    Pending,
    /// The money is captured.
    Captured,
    /// Money may have moved; being settled.
    Unknown,
    /// Declined: no money moved.
    Failed,
    /// Certainly void.
    Voided,
    /// A refund is pending.
    RefundPending,
    /// Partially refunded, and no more is owed.
    PartiallyRefunded,
    /// Fully refunded.
    Refunded,
    /// A refund failed; the refunds say what is owed.
    RefundFailed,
}

impl Word for PaymentState {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::None, "none"),
        (Self::Pending, "pending"),
        (Self::Captured, "captured"),
        (Self::Unknown, "unknown"),
        (Self::Failed, "failed"),
        (Self::Voided, "voided"),
        (Self::RefundPending, "refund_pending"),
        (Self::PartiallyRefunded, "partially_refunded"),
        (Self::Refunded, "refunded"),
        (Self::RefundFailed, "refund_failed"),
    ];
    const MOVES: &'static [(Self, Self)] = &[
        (Self::None, Self::Pending),
        (Self::Pending, Self::Captured),
        (Self::Pending, Self::Unknown),
        (Self::Pending, Self::Failed),
        (Self::Pending, Self::Voided),
        (Self::Unknown, Self::Captured),
        (Self::Unknown, Self::Failed),
        (Self::Unknown, Self::Voided),
        // It is void there, and tried at another vendor.
        (Self::Unknown, Self::Pending),
        // A late payment: the gateway captured the money after all.
        (Self::Failed, Self::Captured),
        (Self::Voided, Self::Captured),
        (Self::Captured, Self::RefundPending),
        (Self::RefundPending, Self::PartiallyRefunded),
        (Self::RefundPending, Self::Refunded),
        (Self::RefundPending, Self::RefundFailed),
        (Self::RefundFailed, Self::RefundPending),
        // An operator compensates a partially refunded order: the rest follows.
        (Self::PartiallyRefunded, Self::RefundPending),
    ];
}

/// State of an order's stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StockState {
    /// Nothing is reserved.
    None,
    /// All lines are reserved.
    Held,
    /// All lines have been taken from stock.
    Committed,
    /// All lines have been released.
    Released,
}

impl Word for StockState {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Self::None, "none"), (Self::Held, "held"), (Self::Committed, "committed"), (Self::Released, "released")];
    const MOVES: &'static [(Self, Self)] = &[
        (Self::None, Self::Held),
        (Self::Held, Self::Committed),
        (Self::Held, Self::Released),
        (Self::Committed, Self::Released),
        // A late payment: reserved again, if possible, also if nothing was reserved before the cancel.
        (Self::Released, Self::Held),
    ];
}

/// Why an order was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Declined, or voided because its outcome was not known in time.
    PaymentFailed,
    /// Not paid within the payment window.
    PaymentExpired,
    /// A line was out of stock.
    OutOfStock,
    /// On the customer's request.
    Customer,
    /// On the seller's request.
    Seller,
    /// By an operator or a rule.
    System,
}

impl Word for CancelReason {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::PaymentFailed, "payment_failed"),
        (Self::PaymentExpired, "payment_expired"),
        (Self::OutOfStock, "out_of_stock"),
        (Self::Customer, "customer"),
        (Self::Seller, "seller"),
        (Self::System, "system"),
    ];
    const MOVES: &'static [(Self, Self)] = &[];
}

/// Who requests a cancel.
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CancelBy {
    /// The customer: refunded by the tiers.
    Customer,
    /// The seller: refunded in full.
    Seller,
    /// An operator or a rule: refunded in full.
    System,
}

impl Word for CancelBy {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Self::Customer, "customer"), (Self::Seller, "seller"), (Self::System, "system")];
    const MOVES: &'static [(Self, Self)] = &[];
}

impl CancelBy {
    /// The order's cancel reason for this requester.
    pub const fn reason(self) -> CancelReason {
        match self {
            Self::Customer => CancelReason::Customer,
            Self::Seller => CancelReason::Seller,
            Self::System => CancelReason::System,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_the_api_agree() {
        fn check<T: Word + Serialize>() {
            for (state, word) in T::WORDS {
                assert_eq!(serde_json::to_value(state).ok().as_ref().and_then(|v| v.as_str()), Some(*word));
                assert_eq!(T::from_word(word), Some(*state));
            }
        }
        check::<OrderState>();
        check::<PaymentState>();
        check::<StockState>();
        check::<CancelReason>();
        check::<CancelBy>();
    }

    #[test]
    fn the_drawing_names_every_state() {
        let drawing = include_str!("state.rs").split("```").nth(1).unwrap_or_default();
        let words = |found: &mut Vec<&str>, more: &[&'static str]| found.extend(more);
        let mut all = Vec::new();
        words(&mut all, &OrderState::WORDS.iter().map(|(_, word)| *word).collect::<Vec<_>>());
        words(&mut all, &PaymentState::WORDS.iter().map(|(_, word)| *word).collect::<Vec<_>>());
        words(&mut all, &StockState::WORDS.iter().map(|(_, word)| *word).collect::<Vec<_>>());
        for word in all {
            assert!(drawing.contains(word), "{word}");
        }
    }

    #[test]
    fn a_cancelling_order_can_only_become_cancelled() {
        for (state, _) in OrderState::WORDS {
            let allowed = matches!(state, OrderState::Cancelling | OrderState::Cancelled);
            assert_eq!(OrderState::Cancelling.to(*state).is_ok(), allowed, "{state:?}");
        }
    }

    #[test]
    fn what_has_left_the_house_is_not_cancelled() {
        assert!(!OrderState::Shipped.can_be_cancelled() && !OrderState::Delivered.can_be_cancelled());
        assert!(OrderState::Created.can_be_cancelled() && OrderState::Processing.can_be_cancelled());
    }

    #[test]
    fn money_that_went_back_does_not_come_again() {
        for (state, _) in PaymentState::WORDS {
            assert!(PaymentState::Refunded.to(*state).is_err() || *state == PaymentState::Refunded);
        }
    }
}
