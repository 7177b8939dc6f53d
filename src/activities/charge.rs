//! `charge`: confirms a payment intent. An unknown outcome is resolved by reading the intent, because the gateway may
//! replay a stored answer to a confirm.
//!
//! An intent is charged at most one time, whatever keys its confirms carry. So an unconfirmed intent may be confirmed
//! again under a new key, even if an earlier confirm is still in flight.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;

use super::{IntentRef, Paid, from_gateway, order_reader::OrderReader, void::void_or_refund};
use crate::{
    engine::{Activity, ActivityContext, ActivityError, Policy, Retry, Verified},
    orders::money::format_amount,
    payments::{GatewayError, Intent, IntentStatus, PaymentGateway, Refusal},
};

/// Input of `charge`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ChargeRequest {
    /// The order.
    pub order_id: Uuid,
    /// The gateway's id of the payment.
    pub intent_id: String,
    /// Minor units.
    pub amount: i64,
    /// ISO code.
    pub currency: String,
    /// Another vendor is asked when this one serves nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_fallback: bool,
}

impl ChargeRequest {
    fn payment(&self) -> IntentRef {
        IntentRef { order_id: self.order_id, intent_id: self.intent_id.clone() }
    }
}

/// Result of `charge`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Charged {
    /// The money is captured.
    Captured(Paid),
    /// The bank has not decided yet.
    Processing,
}

/// Confirms an intent.
pub struct Charge {
    pub(super) pool: PgPool,
    pub(super) orders: OrderReader,
    pub(super) gateway: Arc<dyn PaymentGateway>,
}

impl Activity for Charge {
    const NAME: &'static str = "charge";
    const UNDOABLE: bool = true;
    const VERIFIABLE: bool = true;
    type Input = ChargeRequest;
    type Output = Charged;

    /// Every second attempt is a verification: together about a minute at the default gateway timeout.
    fn policy() -> Policy {
        let retry = Retry { max_attempts: 16, longest: Duration::from_secs(4), ..Retry::default() };
        Policy { retry, ..Policy::default() }
    }

    async fn run(&self, cx: &ActivityContext, input: &ChargeRequest) -> Result<Charged, ActivityError> {
        input.payment().check_booked(&self.orders.read(input.order_id).await?)?;
        match self.gateway.confirm_intent(cx.key(), &input.intent_id).await {
            Ok(intent) => charged(&intent),
            Err(GatewayError::Refused(Refusal::Declined(decline))) => Err(declined(&decline.message)),
            Err(GatewayError::Refused(refusal @ Refusal::Unavailable { .. })) if input.has_fallback => {
                Err(from_gateway(&refusal.into()).fatal())
            }
            Err(error) => match error.intent() {
                Some(intent) => charged(intent),
                None => Err(from_gateway(&error)),
            },
        }
    }

    async fn verify(&self, _cx: &ActivityContext, input: &ChargeRequest) -> Result<Verified<Charged>, ActivityError> {
        let intent = self.gateway.get_intent(&input.intent_id).await.map_err(|error| from_gateway(&error))?;
        input.payment().check_owner(&intent)?;
        Ok(match intent.status {
            IntentStatus::Succeeded => Verified::Happened(Charged::Captured(Paid::of(&intent)?)),
            IntentStatus::Processing => Verified::Happened(Charged::Processing),
            // An authorised one is captured by another attempt, for the same amount: a vendor takes one capture of that.
            IntentStatus::RequiresConfirmation
            | IntentStatus::RequiresPaymentMethod
            | IntentStatus::RequiresCapture
            | IntentStatus::Canceled => Verified::NeverWill,
            IntentStatus::RequiresAction | IntentStatus::Unrecognised => Verified::NotYet,
        })
    }

    fn undo_summary(input: &ChargeRequest) -> Option<String> {
        Some(format!("void or refund {}", format_amount(input.amount, &input.currency)))
    }

    /// Of a payment that was booked, what is left of it.
    async fn undo_outlook(&self, input: &ChargeRequest) -> Option<String> {
        let order = self.orders.read(input.order_id).await.ok()?;
        match order.captured - order.refunded {
            _ if order.captured == 0 => Self::undo_summary(input),
            0 => Some("nothing: all of it was refunded".to_owned()),
            left => Some(format!("refund {}", format_amount(left, &order.currency))),
        }
    }

    async fn undo(
        &self,
        cx: &ActivityContext,
        input: &ChargeRequest,
        _output: Option<&Charged>,
    ) -> Result<(), ActivityError> {
        void_or_refund(&self.pool, self.gateway.as_ref(), cx.key(), &input.payment()).await
    }
}

/// Maps a confirmed intent to the step's outcome.
fn charged(intent: &Intent) -> Result<Charged, ActivityError> {
    match intent.status {
        IntentStatus::Succeeded => Ok(Charged::Captured(Paid::of(intent)?)),
        IntentStatus::Processing => Ok(Charged::Processing),
        IntentStatus::RequiresPaymentMethod => {
            Err(declined(intent.last_decline.as_ref().map_or("the payment was declined", |decline| &decline.message)))
        }
        IntentStatus::Canceled => Err(ActivityError::failed("payment_voided", "the payment was voided").fatal()),
        // No payer is present to act, so the order is given up.
        IntentStatus::RequiresAction => {
            Err(ActivityError::failed("payment_requires_action", "the payer would have to act").fatal())
        }
        IntentStatus::RequiresConfirmation | IntentStatus::RequiresCapture | IntentStatus::Unrecognised => {
            Err(ActivityError::unknown("gateway_outcome_unknown", format!("the payment is {:?}", intent.status)))
        }
    }
}

/// A decline: certain, without effect, and not worth a retry.
pub(super) const DECLINED: &str = "payment_declined";

fn declined(message: &str) -> ActivityError {
    ActivityError::failed(DECLINED, message).fatal()
}
