//! THE states of an order, one small axis each, and every legal move. Whatever changes an order asks here first.
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

/// A state that stands in a table as a word.
pub trait Word: Copy + PartialEq + fmt::Debug + 'static {
    /// All states with their words.
    const WORDS: &'static [(Self, &'static str)];
    /// Every legal move on this axis; staying where one is needs no entry.
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

/// A move that an axis does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {from} can't become {to}")]
pub struct IllegalMove {
    /// Where it stands.
    pub from: &'static str,
    /// Where it was to go.
    pub to: &'static str,
}

/// Where the order as a whole stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Taken; its stock has not been looked for yet.
    Created,
    /// Its stock is held.
    AwaitingPayment,
    /// Paid, and its stock committed.
    Placed,
    /// Its refund window is over, or it has been dispatched.
    Processing,
    /// Under way.
    Shipped,
    /// Done.
    Delivered,
    /// A cancel was accepted, or it failed: its run is undoing it.
    Cancelling,
    /// All is undone and settled.
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
    /// Whether the order can still be cancelled by somebody who asks for it.
    pub fn can_be_cancelled(self) -> bool {
        self.to(Self::Cancelling).is_ok() && self != Self::Cancelling
    }

    /// Whether it was paid for and not cancelled.
    pub const fn is_placed(self) -> bool {
        matches!(self, Self::Placed | Self::Processing | Self::Shipped | Self::Delivered)
    }

    /// Whether whoever waits for the order to be placed has waited long enough.
    pub const fn is_decided(self) -> bool {
        self.is_placed() || matches!(self, Self::Cancelled)
    }
}

/// Where its money stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Nothing was asked for.
    None,
    /// An intent exists; nothing is known to have moved.
    Pending,
    /// The money is ours.
    Captured,
    /// It may have moved: being found out.
    Unknown,
    /// Declined: nothing moved.
    Failed,
    /// Surely void.
    Voided,
    /// A refund is under way.
    RefundPending,
    /// Part of it went back, and no more is owed.
    PartiallyRefunded,
    /// All of it went back.
    Refunded,
    /// A refund failed; what is owed stands in the refunds.
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
        // A late payment: the gateway has the money after all.
        (Self::Failed, Self::Captured),
        (Self::Voided, Self::Captured),
        (Self::Captured, Self::RefundPending),
        (Self::RefundPending, Self::PartiallyRefunded),
        (Self::RefundPending, Self::Refunded),
        (Self::RefundPending, Self::RefundFailed),
        (Self::RefundFailed, Self::RefundPending),
        // An operator has an order that gave back a part undone: the rest follows.
        (Self::PartiallyRefunded, Self::RefundPending),
    ];
}

/// Where its stock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StockState {
    /// Nothing was held.
    None,
    /// All lines are held.
    Held,
    /// All lines have left the stock.
    Committed,
    /// All lines are back.
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
        // A late payment: held again, if it can be; an order that was cancelled before it held anything, too.
        (Self::Released, Self::Held),
    ];
}

/// Why an order was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Declined, or it could not be made out in time and is void.
    PaymentFailed,
    /// Not paid within the payment window.
    PaymentExpired,
    /// A line was not to be had.
    OutOfStock,
    /// The customer asked for it.
    Customer,
    /// The seller asked for it.
    Seller,
    /// An operator or a rule asked for it.
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

/// Who asks for a cancel.
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CancelBy {
    /// The customer: by the refund tiers.
    Customer,
    /// The seller: everything back.
    Seller,
    /// An operator or a rule: everything back.
    System,
}

impl Word for CancelBy {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Self::Customer, "customer"), (Self::Seller, "seller"), (Self::System, "system")];
    const MOVES: &'static [(Self, Self)] = &[];
}

impl CancelBy {
    /// The reason that such a cancel leaves on the order.
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
