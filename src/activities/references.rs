//! What activities of one order hand to each other: which payment, which refund, and what the gateway made of it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    engine::{ActivityError, RunId},
    orders::Order,
    payments::{Intent, RefundStatus},
};

/// A payment of an order, by the gateway's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct IntentRef {
    /// The order.
    pub order_id: Uuid,
    /// The gateway's id of the payment.
    pub intent_id: String,
}

impl IntentRef {
    /// Whether the gateway says that the payment was made for this order.
    pub(super) fn check_owner(&self, intent: &Intent) -> Result<(), ActivityError> {
        let owner = intent.order_id.as_deref();
        if intent.id == self.intent_id && owner == Some(self.order_id.to_string().as_str()) {
            return Ok(());
        }
        Err(foreign(format!("at the gateway {} is a payment of order {}", intent.id, owner.unwrap_or("unknown"))))
    }

    /// Whether our books say that it is this order's payment.
    pub(super) fn check_booked(&self, order: &Order) -> Result<(), ActivityError> {
        if order.id == self.order_id && order.intent_id.as_ref() == Some(&self.intent_id) {
            return Ok(());
        }
        Err(foreign(format!("the payment on record of order {} is not {}", order.id, self.intent_id)))
    }
}

/// Whether the order is this run's. A fork's is not: it would pay again, or end what another run sees to.
pub(super) fn check_run(order: &Order, run: RunId) -> Result<(), ActivityError> {
    if order.run_id == run {
        return Ok(());
    }
    Err(foreign(format!("order {} is run {}'s", order.id, order.run_id)))
}

/// Something that was handed over belongs to another order.
pub(super) fn foreign(message: String) -> ActivityError {
    ActivityError::failed("belongs_to_another_order", message).fatal()
}

/// A refund that is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct RefundDue {
    /// The order.
    pub order_id: Uuid,
    /// The gateway's id of the payment.
    pub intent_id: String,
    /// Our number of the refund within the order.
    pub no: i32,
    /// Minor units.
    pub amount: i64,
    /// ISO code.
    pub currency: String,
}

impl RefundDue {
    /// Describes what is owed, for operators.
    pub(super) fn sentence(&self) -> String {
        let Self { order_id, no, amount, currency, .. } = self;
        format!("refund {no} of order {order_id} failed at the gateway: {amount} {currency} (minor units) are owed")
    }
}

/// A refund at the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Made {
    /// The gateway's id.
    pub refund_id: String,
    /// Its status.
    pub status: RefundStatus,
}

/// A refund at the gateway, by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct RefundRef {
    /// The gateway's id.
    pub refund_id: String,
    /// The order; none in the input of a step that an earlier version recorded.
    #[serde(default)]
    pub order_id: Option<Uuid>,
}
