//! The contract between orders and their runs: names, inputs, and the one signal. These shapes are durable: existing
//! runs were started with them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    difference::{Difference, DifferenceKind, Mend, amount},
    error::Error,
    order::Order,
    refund::RefundTiers,
};
use crate::payments::FIRST_VENDOR;

/// The workflow of an order.
pub const ORDER: &str = "order";

/// The workflow of a payment that arrived after its order was cancelled.
pub const LATE_PAYMENT: &str = "late_payment";

/// The scheduled workflow that archives orders which their runs did not archive, and drops history past its age.
pub const ARCHIVE_SWEEP: &str = "archive_sweep";

/// The scheduled workflow that compares the books with the gateway's.
pub const RECONCILE: &str = "reconcile";

/// The workflow that mends a difference.
pub const MEND: &str = "mend_difference";

/// The one signal that order runs wait for. One, because a run waits for several kinds of changes at a time; the facts
/// are in the tables, so a signal that comes twice or late changes nothing.
pub const ORDER_CHANGED: &str = "order_changed";

/// A vendor that an order may be paid at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Source {
    /// The vendor.
    pub vendor: String,
    /// The payment method's token there.
    pub token: String,
}

/// The vendor of what was recorded when there was one.
pub fn first_vendor() -> String {
    FIRST_VENDOR.to_owned()
}

/// Whether it goes without saying.
pub fn is_first_vendor(vendor: &str) -> bool {
    vendor == FIRST_VENDOR
}

/// Input of an order's run. The windows are those of the settings when the order was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct OrderInput {
    /// The order.
    pub order_id: Uuid,
    /// The amount to charge, in minor units.
    pub amount: i64,
    /// ISO code.
    pub currency: String,
    /// The payment method's token.
    pub token: String,
    /// The vendor that it is of.
    #[serde(default = "first_vendor", skip_serializing_if = "is_first_vendor")]
    pub vendor: String,
    /// Where the order may be paid instead, where it can't be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Source>,
    /// How long the order may wait for its payment, from the start of the run.
    pub payment_window_ms: u64,
    /// How long after it was placed a customer may cancel.
    pub refund_window_ms: u64,
}

impl OrderInput {
    /// For an order that is about to be inserted.
    ///
    /// # Errors
    /// `invalid_request` when the order's refund tiers can't be read, or there is nowhere to pay.
    pub fn new(order: &Order, sources: Vec<Source>, payment_window: Duration) -> Result<Self, Error> {
        let mut sources = sources.into_iter();
        let nowhere = || Error::InvalidRequest("payment has no token".to_owned());
        let Source { vendor, token } = sources.next().ok_or_else(nowhere)?;
        Ok(Self {
            order_id: order.id,
            amount: order.total,
            currency: order.currency.clone(),
            token,
            vendor,
            fallbacks: sources.collect(),
            payment_window_ms: millis(payment_window),
            refund_window_ms: millis(tiers(order)?.window()),
        })
    }
}

/// Input of a late payment's run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct LatePaymentInput {
    /// The order.
    pub order_id: Uuid,
    /// The gateway's id of the payment.
    pub intent_id: String,
    /// How long after it was placed a customer may cancel.
    pub refund_window_ms: u64,
}

impl LatePaymentInput {
    /// For a payment of this order.
    ///
    /// # Errors
    /// `invalid_request` when the order's refund tiers can't be read.
    pub fn new(order: &Order, intent_id: &str) -> Result<Self, Error> {
        let refund_window_ms = millis(tiers(order)?.window());
        Ok(Self { order_id: order.id, intent_id: intent_id.to_owned(), refund_window_ms })
    }
}

/// Input of a sweep of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct SweepInput {
    /// How long an ended order stays in the live tables, in milliseconds.
    #[serde(default = "half_an_hour_ms")]
    pub after_ms: u64,
    /// How many months of history to keep.
    #[serde(default = "a_year_in_months")]
    pub keep_months: u32,
    /// How many days the gateway's events and the callers' idempotency keys are remembered.
    #[serde(default = "a_month_in_days")]
    pub keep_days: u32,
}

impl Default for SweepInput {
    fn default() -> Self {
        Self { after_ms: half_an_hour_ms(), keep_months: a_year_in_months(), keep_days: a_month_in_days() }
    }
}

const fn half_an_hour_ms() -> u64 {
    30 * 60 * 1000
}

const fn a_year_in_months() -> u32 {
    12
}

const fn a_month_in_days() -> u32 {
    30
}

/// Input of a comparison with the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ReconcileInput {
    /// How far back payments, orders and refunds are compared, in milliseconds.
    #[serde(default = "a_week_ms")]
    pub look_back_ms: u64,
    /// What changed within so many milliseconds is taken to be under way.
    #[serde(default = "ten_minutes_ms")]
    pub grace_ms: u64,
    /// How long after the first look at the earliest what differs is looked at again, in milliseconds.
    #[serde(default = "five_seconds_ms")]
    pub second_look_ms: u64,
}

impl Default for ReconcileInput {
    fn default() -> Self {
        Self { look_back_ms: a_week_ms(), grace_ms: ten_minutes_ms(), second_look_ms: five_seconds_ms() }
    }
}

const fn a_week_ms() -> u64 {
    7 * 24 * 3_600_000
}

const fn ten_minutes_ms() -> u64 {
    600_000
}

const fn five_seconds_ms() -> u64 {
    5_000
}

/// Input of a mend: a difference as it was when an operator wanted it mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct MendInput {
    /// The difference.
    pub difference_id: Uuid,
    /// What disagrees.
    pub kind: DifferenceKind,
    /// What mends it.
    pub mend: Mend,
    /// The order, if it is about one.
    pub order_id: Option<Uuid>,
    /// The payment, if it is about one.
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

impl MendInput {
    /// Of this difference.
    pub fn new(difference: &Difference, mend: Mend) -> Self {
        let Difference { id, kind, order_id, expected, actual, .. } = *difference;
        let Difference { payment_id, sku, currency, .. } = difference.clone();
        Self { difference_id: id, kind, mend, order_id, payment_id, sku, expected, actual, currency }
    }

    /// By how much both sides differ.
    pub const fn amount(&self) -> i64 {
        self.actual.saturating_sub(self.expected).saturating_abs()
    }

    /// What is going to be done, in a sentence.
    pub fn plan(&self) -> String {
        let payment = self.payment_id.as_deref().unwrap_or("of nobody");
        let difference = amount(self.amount(), self.currency.as_deref());
        match self.mend {
            Mend::Refund => format!("the gateway refunds {difference} of payment {payment}"),
            Mend::Void => format!("the gateway voids payment {payment}, which holds {difference}"),
            Mend::Restock if self.kind == DifferenceKind::LeftAlone => {
                "the order is cancelled, and its units go back on the shelf, if it keeps no money".to_owned()
            }
            Mend::Restock => format!("{difference} of the order go back on the shelf"),
            Mend::Recount => format!(
                "the reserved units of item {} are set from {} to {}",
                self.sku.as_deref().unwrap_or_default(),
                self.actual,
                self.expected
            ),
            Mend::WriteOff => format!("nothing moves: a difference of {difference} is accepted"),
        }
    }
}

/// What happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// A cancel was accepted.
    Cancel,
    /// The gateway reported on its payment.
    Payment,
    /// The gateway reported on a refund.
    Refund,
    /// Fulfilment reported.
    Fulfilment,
}

/// The signal's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct OrderChanged {
    /// What it is about.
    pub news: News,
}

/// The refund tiers at an order's placing.
///
/// # Errors
/// `invalid_request` when they can't be read.
pub fn tiers(order: &Order) -> Result<RefundTiers, Error> {
    order.refund_tiers.parse().map_err(|error: super::refund::BadTiers| Error::InvalidRequest(error.to_string()))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
