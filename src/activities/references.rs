//! What activities of one order hand to each other: which payment, which refund, and what the gateway made of it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::payments::RefundStatus;

/// A payment of an order, by the gateway's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct IntentRef {
    /// The order.
    pub order_id: Uuid,
    /// The gateway's id of the payment.
    pub intent_id: String,
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
}
