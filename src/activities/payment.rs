//! `check_payment` and `settle_payment`: what became of a payment that was asked for. Settled means captured or surely
//! void, nothing between.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{IntentRef, after_effect, from_gateway, lock, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError, Policy, Retry, Time},
    orders::{state::PaymentState, store},
    payments::{Intent, IntentStatus, PaymentGateway},
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
    pub(super) fn of(intent: &Intent) -> Self {
        Self { amount: intent.captured, currency: intent.currency.clone() }
    }
}

/// How a payment stood when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Checked {
    /// When, on the database's clock.
    pub at: Time,
    /// What the gateway said.
    pub settled: Settled,
}

/// Whether a payment is settled, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Settled {
    /// The money is captured.
    Captured(Paid),
    /// Surely void.
    Voided,
    /// Declined: nothing moved.
    Declined,
    /// It may end either way: ask again later.
    Open,
}

fn settled(intent: &Intent) -> Settled {
    match intent.status {
        IntentStatus::Succeeded => Settled::Captured(Paid::of(intent)),
        IntentStatus::Canceled => Settled::Voided,
        IntentStatus::RequiresPaymentMethod => Settled::Declined,
        _ => Settled::Open,
    }
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
        let read = self.gateway.get_intent(&input.intent_id).await;
        let settled = settled(&read.map_err(|error| from_gateway(&error))?);
        let mut conn = self.pool.acquire().await?;
        Ok(Checked { at: store::now(&mut conn).await?, settled })
    }
}

/// What is to be settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Settling {
    /// The payment.
    #[serde(flatten)]
    pub intent: IntentRef,
    /// It may have been captured: the order says so until it is known.
    pub unknown: bool,
}

/// Voids a payment, or finds out that it can't be voided any more.
pub struct SettlePayment {
    pub(super) pool: PgPool,
    pub(super) gateway: Arc<dyn PaymentGateway>,
}

impl Activity for SettlePayment {
    const NAME: &'static str = "settle_payment";
    type Input = Settling;
    type Output = Settled;

    /// An hour: the order can't end before this is known, and a gateway that is down for long should be seen.
    fn policy() -> Policy {
        Policy { retry: Retry { max_attempts: 240, ..Retry::default() }, ..Policy::default() }
    }

    async fn run(&self, cx: &ActivityContext, input: &Settling) -> Result<Settled, ActivityError> {
        if input.unknown {
            self.mark_unknown(&input.intent).await?;
        }
        match self.gateway.cancel_intent(cx.key(), &input.intent.intent_id).await {
            Ok(intent) => Ok(settled(&intent)),
            Err(error) => match error.intent() {
                Some(intent) => Ok(settled(intent)),
                None => Err(from_gateway(&error)),
            },
        }
    }
}

impl SettlePayment {
    async fn mark_unknown(&self, intent: &IntentRef) -> Result<(), ActivityError> {
        let mut tx = self.pool.begin().await?;
        let mut order = lock(&mut tx, intent.order_id).await?;
        // A worker that comes too late finds the order further on, and leaves it alone.
        if order.payment_state == PaymentState::Pending {
            order.become_paid(PaymentState::Unknown).map_err(refused)?;
            store::orders::save(&mut tx, &order).await?;
        }
        tx.commit().await.map_err(after_effect)
    }
}
