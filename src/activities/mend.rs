//! What mends a difference: `mend_refund` and `mend_void` at the gateway, `mend_stock` and `settle_difference` in our tables.
//!
//! Before money moves, the payment is looked at again on both sides: only what still differs as the operator saw it is
//! mended. A refund is found again by the difference's id in its metadata, and is made under a key of that id, so that
//! neither a second attempt nor a second run makes another.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Made, from_gateway, lock, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError, Verified},
    orders::{
        Error, Order,
        difference::{DifferenceKind, Mend},
        money::format_amount,
        reconcile::{Runs, Sides, Unreadable, Verdict, look_now},
        runs::MendInput,
        state::{CancelReason, OrderState, StockState},
        store::{self, differences, items, reservations},
    },
    payments::{IntentStatus, NewRefund, PaymentGateway},
};

/// The metadata field with the difference that a refund mends.
const DIFFERENCE: &str = "difference";

/// The gateway that a difference is mended at, and the books that say whether it is still there.
#[derive(Clone)]
pub struct MendSides {
    pub(super) pool: PgPool,
    pub(super) gateway: Arc<dyn PaymentGateway>,
}

impl MendSides {
    /// Refuses what is no longer as the operator saw it.
    async fn check(&self, cx: &ActivityContext, input: &MendInput, payment_id: &str) -> Result<(), ActivityError> {
        let sides = Sides { pool: &self.pool, gateway: self.gateway.as_ref(), runs: Runs::Step(cx) };
        let verdict = match look_now(sides, payment_id).await {
            Ok(verdict) => verdict,
            Err(Unreadable::Gateway(error)) => return Err(from_gateway(&error)),
            Err(Unreadable::Database(error)) => return Err(refused(Error::from(error))),
            Err(Unreadable::Engine(error)) => return Err(error.into()),
        };
        match verdict {
            Verdict::Settled(found)
                if found
                    .iter()
                    .any(|now| (now.kind, now.expected, now.actual) == (input.kind, input.expected, input.actual)) =>
            {
                Ok(())
            }
            Verdict::Unknown => Err(ActivityError::failed("payment_unknown", "the gateway's answer says too little")),
            Verdict::UnderWay => Err(ActivityError::failed("payment_under_way", "the payment is still moving")),
            Verdict::Settled(_) => Err(changed()),
        }
    }

    /// The refund that mends this difference, and how many were refused.
    async fn find_refund(&self, input: &MendInput, payment_id: &str) -> Result<(Option<Made>, usize), ActivityError> {
        let id = input.difference_id.to_string();
        let all = self.gateway.refunds_of(payment_id).await.map_err(|error| from_gateway(&error))?;
        let ours = all.into_iter().filter(|refund| refund.metadata.get(DIFFERENCE) == Some(&id));
        let (void, good): (Vec<_>, Vec<_>) = ours.partition(|refund| refund.status.is_void());
        let made = good.into_iter().next().map(|refund| Made { refund_id: refund.id, status: refund.status });
        Ok((made, void.len()))
    }
}

fn changed() -> ActivityError {
    ActivityError::failed("difference_changed", "the difference is no longer as it was: compare again").fatal()
}

fn payment_of(input: &MendInput) -> Result<&str, ActivityError> {
    input.payment_id.as_deref().ok_or_else(changed)
}

/// Refunds what the gateway has too much of.
pub struct MendRefund(pub(super) MendSides);

impl Activity for MendRefund {
    const NAME: &'static str = "mend_refund";
    const VERIFIABLE: bool = true;
    type Input = MendInput;
    type Output = Made;

    async fn run(&self, cx: &ActivityContext, input: &MendInput) -> Result<Made, ActivityError> {
        let payment_id = payment_of(input)?;
        let (made, refused) = self.0.find_refund(input, payment_id).await?;
        if let Some(made) = made {
            return Ok(made);
        }
        self.0.check(cx, input, payment_id).await?;
        let new = NewRefund {
            intent_id: payment_id.to_owned(),
            amount: input.amount(),
            order_id: input.order_id.map(|id| id.to_string()).unwrap_or_default(),
            metadata: [(DIFFERENCE.to_owned(), input.difference_id.to_string())].into(),
        };
        let key = format!("mend-{}-{refused}", input.difference_id);
        let refund = self.0.gateway.refund(&key, &new).await.map_err(|error| from_gateway(&error))?;
        if refund.status.is_void() {
            return Err(ActivityError::failed("refund_failed", "the gateway refused the refund").fatal());
        }
        Ok(Made { refund_id: refund.id, status: refund.status })
    }

    /// The key of another attempt is the same at the gateway, so one that is still on its way makes no second refund.
    async fn verify(&self, _cx: &ActivityContext, input: &MendInput) -> Result<Verified<Made>, ActivityError> {
        let (made, _) = self.0.find_refund(input, payment_of(input)?).await?;
        Ok(made.map_or(Verified::NeverWill, Verified::Happened))
    }
}

/// Voids an authorisation.
pub struct MendVoid(pub(super) MendSides);

impl Activity for MendVoid {
    const NAME: &'static str = "mend_void";
    const VERIFIABLE: bool = true;
    type Input = MendInput;
    type Output = ();

    async fn run(&self, cx: &ActivityContext, input: &MendInput) -> Result<(), ActivityError> {
        let payment_id = payment_of(input)?;
        self.0.check(cx, input, payment_id).await?;
        let key = format!("mend-{}", input.difference_id);
        let voided = self.0.gateway.cancel_intent(&key, payment_id).await.map_err(|error| from_gateway(&error))?;
        if voided.status == IntentStatus::Canceled { Ok(()) } else { Err(changed()) }
    }

    async fn verify(&self, _cx: &ActivityContext, input: &MendInput) -> Result<Verified<()>, ActivityError> {
        let read = self.0.gateway.get_intent(payment_of(input)?).await;
        Ok(match read.map_err(|error| from_gateway(&error))?.status {
            IntentStatus::Canceled => Verified::Happened(()),
            IntentStatus::RequiresCapture | IntentStatus::Succeeded => Verified::NeverWill,
            _ => Verified::NotYet,
        })
    }
}

/// Puts stock right.
#[derive(Clone, Copy, Debug)]
pub struct MendStock;

impl Activity for MendStock {
    const NAME: &'static str = "mend_stock";
    const TRANSACTIONAL: bool = true;
    type Input = MendInput;
    type Output = ();

    async fn run(&self, cx: &ActivityContext, input: &MendInput) -> Result<(), ActivityError> {
        let mut conn = cx.tx().await?;
        match (input.mend, input.order_id, &input.sku) {
            (Mend::Recount, _, Some(sku)) => items::recount(&mut conn, sku).await?,
            (Mend::Restock, Some(order_id), _) => {
                let mut order = lock(&mut conn, order_id).await?;
                if input.kind == DifferenceKind::LeftAlone {
                    let is_left = cx.ended_among(&mut conn, &[order.run_id]).await?.contains(&order.run_id);
                    end(&mut order, is_left)?;
                } else if order.state != OrderState::Cancelled {
                    return Err(changed());
                }
                reservations::release(&mut conn, &[order_id]).await?;
                if order.stock_state != StockState::Released && order.stock_state != StockState::None {
                    order.become_stocked(StockState::Released).map_err(refused)?;
                }
                store::orders::save(&mut conn, &order).await?;
            }
            _ => return Err(changed()),
        }
        Ok(())
    }
}

/// Cancels an order that no run sees to. What it keeps of its customer's money has to go back first.
fn end(order: &mut Order, is_left: bool) -> Result<(), ActivityError> {
    if !is_left {
        return Err(changed());
    }
    if order.captured > order.refunded {
        let kept = format_amount(order.captured - order.refunded, &order.currency);
        let message = format!("the order keeps {kept} of its customer's money, which has to go back first");
        return Err(ActivityError::failed("money_kept", message).fatal());
    }
    order.begin_cancelling(CancelReason::System).map_err(refused)?;
    order.become_state(OrderState::Cancelled).map_err(refused)
}

/// Which difference was mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct DifferenceRef {
    /// The difference.
    pub difference_id: Uuid,
}

/// Records that a difference is mended.
#[derive(Clone, Copy, Debug)]
pub struct SettleDifference;

impl Activity for SettleDifference {
    const NAME: &'static str = "settle_difference";
    const TRANSACTIONAL: bool = true;
    type Input = DifferenceRef;
    type Output = ();

    async fn run(&self, cx: &ActivityContext, input: &DifferenceRef) -> Result<(), ActivityError> {
        Ok(differences::end_mend(&mut *cx.tx().await?, input.difference_id, cx.run_id()).await?)
    }
}
