//! Differences: what orders, captures, refunds, stock and the gateway's own list disagree about, and what mends each kind.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{money::format_amount, state::Word};
use crate::engine::Time;

/// What disagrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The gateway has money for an order that our books don't have.
    CapturedWithoutOrder,
    /// The gateway has money for an order by a payment beside the one that is booked.
    CapturedTwice,
    /// The gateway has money that its order's books don't have.
    CaptureUnbooked,
    /// Our books have money that the gateway doesn't have.
    CaptureMissing,
    /// Both have money, in other amounts or currencies.
    AmountDiffers,
    /// Our books gave back more than the gateway did.
    RefundMissing,
    /// The gateway gave back more than our books did.
    RefundTooMuch,
    /// Money is authorised, and nobody will capture it.
    UncapturedHold,
    /// An item's reserved units are not the sum of its reservations.
    StockDiffers,
    /// An order is cancelled and still has units.
    StockKept,
    /// An order's own records disagree.
    BooksDiffer,
    /// An order has not come to its end, and its run has.
    LeftAlone,
}

impl Word for DifferenceKind {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::CapturedWithoutOrder, "captured_without_order"),
        (Self::CapturedTwice, "captured_twice"),
        (Self::CaptureUnbooked, "capture_unbooked"),
        (Self::CaptureMissing, "capture_missing"),
        (Self::AmountDiffers, "amount_differs"),
        (Self::RefundMissing, "refund_missing"),
        (Self::RefundTooMuch, "refund_too_much"),
        (Self::UncapturedHold, "uncaptured_hold"),
        (Self::StockDiffers, "stock_differs"),
        (Self::StockKept, "stock_kept"),
        (Self::BooksDiffer, "books_differ"),
        (Self::LeftAlone, "left_alone"),
    ];
    const MOVES: &'static [(Self, Self)] = &[];
}

/// What becomes of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DifferenceState {
    /// It is there.
    Open,
    /// An operator had it mended.
    Mended,
    /// It went away by itself.
    Gone,
}

impl Word for DifferenceState {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Self::Open, "open"), (Self::Mended, "mended"), (Self::Gone, "gone")];
    const MOVES: &'static [(Self, Self)] = &[];
}

/// What mends a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mend {
    /// The gateway refunds the difference.
    Refund,
    /// The gateway voids the authorisation.
    Void,
    /// The order's units are released.
    Restock,
    /// The item's reserved units are counted again.
    Recount,
    /// Nothing moves: the difference is accepted, for a reason.
    WriteOff,
}

impl Word for Mend {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Refund, "refund"),
        (Self::Void, "void"),
        (Self::Restock, "restock"),
        (Self::Recount, "recount"),
        (Self::WriteOff, "write_off"),
    ];
    const MOVES: &'static [(Self, Self)] = &[];
}

impl DifferenceKind {
    /// What mends it, unless an operator writes it off.
    pub const fn mend(self) -> Mend {
        match self {
            Self::CapturedWithoutOrder | Self::CapturedTwice | Self::CaptureUnbooked | Self::RefundMissing => {
                Mend::Refund
            }
            Self::UncapturedHold => Mend::Void,
            Self::StockDiffers => Mend::Recount,
            Self::StockKept | Self::LeftAlone => Mend::Restock,
            Self::CaptureMissing | Self::AmountDiffers | Self::RefundTooMuch | Self::BooksDiffer => Mend::WriteOff,
        }
    }

    /// What it says, in words.
    const fn means(self) -> &'static str {
        match self {
            Self::CapturedWithoutOrder => "the gateway has money of an order that is not in our books",
            Self::CapturedTwice => "the gateway has money for the order twice",
            Self::CaptureUnbooked => "the gateway has money that is not booked",
            Self::CaptureMissing => "our books have money that the gateway does not have",
            Self::AmountDiffers => "the gateway captured another amount than our books say",
            Self::RefundMissing => "our books gave back more than the gateway did",
            Self::RefundTooMuch => "the gateway gave back more than our books say",
            Self::UncapturedHold => "money is authorised that nobody will capture",
            Self::StockDiffers => "its reserved units are not the sum of its reservations",
            Self::StockKept => "it is cancelled and still has units",
            Self::BooksDiffer => "its own records disagree",
            Self::LeftAlone => "it has not come to its end, and no run sees to it",
        }
    }
}

/// A difference as a comparison finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What disagrees.
    pub kind: DifferenceKind,
    /// The order, if it is about one.
    pub order_id: Option<Uuid>,
    /// The gateway's id of the payment, if it is about one.
    pub payment_id: Option<String>,
    /// The item, if it is about one.
    pub sku: Option<String>,
    /// What our books say.
    pub expected: i64,
    /// What is there.
    pub actual: i64,
    /// ISO code; none for units of stock.
    pub currency: Option<String>,
}

/// A difference and its numbers.
pub(crate) type AsItIs = (DifferenceKind, String, i64, i64);

impl Mismatch {
    /// What it is about: with its kind, what makes it another difference than the others.
    pub(crate) fn about(&self) -> String {
        let order = || self.order_id.map(|id| id.to_string());
        self.payment_id.clone().or_else(order).or_else(|| self.sku.clone()).unwrap_or_default()
    }

    /// With this it is the same as one that was written off.
    pub(crate) fn as_it_is(&self) -> AsItIs {
        (self.kind, self.about(), self.expected, self.actual)
    }

    /// The difference in a sentence.
    pub fn sentence(&self) -> String {
        let amount = |number| amount(number, self.currency.as_deref());
        let order = self.order_id.map(|id| format!("order {id}: "));
        let subject = order.or_else(|| self.sku.as_ref().map(|sku| format!("item {sku}: "))).unwrap_or_default();
        let payment = self.payment_id.as_ref().map(|id| format!(" (payment {id})")).unwrap_or_default();
        format!(
            "{subject}{}{payment}: {} expected, {} found",
            self.kind.means(),
            amount(self.expected),
            amount(self.actual)
        )
    }
}

/// An amount of money, or of units.
pub fn amount(number: i64, currency: Option<&str>) -> String {
    currency.map_or_else(|| format!("{number} units"), |currency| format_amount(number, currency))
}

/// A difference on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Difference {
    /// Its id.
    pub id: Uuid,
    /// What disagrees.
    pub kind: DifferenceKind,
    /// The order, if it is about one.
    pub order_id: Option<Uuid>,
    /// The gateway's id of the payment, if it is about one.
    pub payment_id: Option<String>,
    /// The item, if it is about one.
    pub sku: Option<String>,
    /// What our books say: minor units, or units of stock.
    pub expected: i64,
    /// What is there.
    pub actual: i64,
    /// ISO code; none for units of stock.
    pub currency: Option<String>,
    /// What became of it.
    pub state: DifferenceState,
    /// When a comparison found it first.
    pub first_seen: Time,
    /// When one found it last.
    pub last_seen: Time,
    /// What mends it, or did.
    pub mend: Mend,
    /// Who had it mended.
    pub mended_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The run that mends it, or did.
    pub mend_run: Option<Uuid>,
    /// When it was mended.
    pub mended_at: Option<Time>,
}

/// How many are open of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct OpenDifferences {
    /// The kind.
    pub kind: DifferenceKind,
    /// How many.
    pub count: i64,
}

/// A comparison of the books with the gateway: how far it is, or what it found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Reconciliation {
    /// The run that compares.
    pub run_id: Uuid,
    /// When it began.
    pub began_at: Time,
    /// When this was last written.
    pub updated_at: Time,
    /// When it was done; none: it goes on, or its run failed.
    pub ended_at: Option<Time>,
    /// What it is at: `payments`, `orders`, `refunds`, `stock`, `second_look`, `done`.
    pub phase: String,
    /// Payments of the gateway's list.
    pub payments: i64,
    /// Orders with a payment.
    pub orders: i64,
    /// Refunds of the gateway's list.
    pub refunds: i64,
    /// Payments and orders that are still moving: not compared.
    pub under_way: i64,
    /// Answers of the gateway that leave out what has to be known: not compared.
    pub unknown: i64,
    /// Differences that it saw.
    pub differences: i64,
    /// Why its last attempt failed.
    pub error: Option<String>,
}

/// A comparison, and what is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ReconciliationStatus {
    /// The comparison; none where there was none yet.
    pub comparison: Option<Reconciliation>,
    /// Open differences, by kind.
    pub open: Vec<OpenDifferences>,
}
