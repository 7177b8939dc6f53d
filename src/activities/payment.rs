//! `check_payment` and `settle_payment`: the outcome of a payment. Settled means certainly captured or certainly void.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{IntentRef, after_effect, from_gateway, lock, order_reader::OrderReader, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError, Policy, Retry, Time, begin},
    orders::{state::PaymentState, store},
    payments::{Intent, IntentStatus, PaymentGateway, UNREADABLE},
};

/// Money that the gateway captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Paid {
    /// Minor units.
    pub amount: i64,
    /// ISO code.
    pub currency: String,
}

impl Paid {
    /// What a payment that has succeeded captured. One of nothing is no answer: the order must not go on with it.
    pub(super) fn of(intent: &Intent) -> Result<Self, ActivityError> {
        if intent.captured > 0 {
            return Ok(Self { amount: intent.captured, currency: intent.currency.clone() });
        }
        Err(ActivityError::unknown(
            UNREADABLE,
            "the gateway says that the payment has succeeded, but not how much it is",
        ))
    }
}

/// Result of `check_payment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Checked {
    /// When, on the database's clock.
    pub at: Time,
    /// The gateway's answer.
    pub settled: Settled,
}

/// Result of `settle_payment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Settled {
    /// The money is captured.
    Captured(Paid),
    /// It is certainly void.
    Voided,
    /// Declined: nothing moved.
    Declined,
    /// The bank has agreed, and the money is still to be captured.
    Authorised,
    /// It may still end either way: ask again later.
    Open,
}

fn settled(intent: &Intent) -> Result<Settled, ActivityError> {
    Ok(match intent.status {
        IntentStatus::Succeeded => Settled::Captured(Paid::of(intent)?),
        IntentStatus::Canceled => Settled::Voided,
        IntentStatus::RequiresPaymentMethod => Settled::Declined,
        IntentStatus::RequiresCapture => Settled::Authorised,
        _ => Settled::Open,
    })
}

/// Reads a payment; changes nothing.
pub struct CheckPayment {
    pub(super) pool: PgPool,
    pub(super) gateway: Arc<dyn PaymentGateway>,
}

impl Activity for CheckPayment {
    const NAME: &'static str = "check_payment";
    type Input = IntentRef;
    type Output = Checked;

    async fn run(&self, _cx: &ActivityContext, input: &IntentRef) -> Result<Checked, ActivityError> {
        let intent = self.gateway.get_intent(&input.intent_id).await.map_err(|error| from_gateway(&error))?;
        input.check_owner(&intent)?;
        let settled = settled(&intent)?;
        let mut conn = self.pool.acquire().await?;
        Ok(Checked { at: store::now(&mut conn).await?, settled })
    }
}

/// Input of `settle_payment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Settling {
    /// The payment.
    #[serde(flatten)]
    pub intent: IntentRef,
    /// It may have been captured; the order's payment is `unknown` until that is settled.
    pub unknown: bool,
}

/// Voids a payment, or finds that it can no longer be voided.
pub struct SettlePayment {
    pub(super) pool: PgPool,
    pub(super) orders: OrderReader,
    pub(super) gateway: Arc<dyn PaymentGateway>,
}

impl Activity for SettlePayment {
    const NAME: &'static str = "settle_payment";
    type Input = Settling;
    type Output = Settled;

    /// An hour: the order can't end before the outcome is known, and a long gateway outage should be noticed.
    fn policy() -> Policy {
        Policy { retry: Retry { max_attempts: 240, ..Retry::default() }, ..Policy::default() }
    }

    async fn run(&self, cx: &ActivityContext, input: &Settling) -> Result<Settled, ActivityError> {
        input.intent.check_booked(&self.orders.read(input.intent.order_id).await?)?;
        if input.unknown {
            self.mark_unknown(&input.intent).await?;
        }
        match self.gateway.cancel_intent(cx.key(), &input.intent.intent_id).await {
            Ok(intent) => settled(&intent),
            Err(error) => match error.intent() {
                Some(intent) => settled(intent),
                None => Err(from_gateway(&error)),
            },
        }
    }
}

impl SettlePayment {
    async fn mark_unknown(&self, intent: &IntentRef) -> Result<(), ActivityError> {
        let mut tx = begin(&self.pool).await?;
        let mut order = lock(&mut tx, intent.order_id).await?;
        // A worker that is late finds the order in a later state, and leaves it alone.
        if order.payment_state == PaymentState::Pending {
            order.become_paid(PaymentState::Unknown).map_err(refused)?;
            store::orders::save(&mut tx, &order).await?;
        }
        tx.commit().await.map_err(after_effect)
    }
}
