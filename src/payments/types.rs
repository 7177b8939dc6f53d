//! The types of the payment port: intents, refunds, and requests to create them.
//!
//! Amounts are integer minor units, currencies upper-case ISO codes. The types serialise, because
//! steps record them; their JSON form is ours, not the gateway's (that is `wire`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Our own references, kept by the gateway beside an intent or a refund.
pub type Metadata = BTreeMap<String, String>;

/// The key of an order's id in [`Metadata`].
pub(super) const ORDER_ID: &str = "order_id";

/// An intent to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewIntent {
    /// Minor units, more than zero.
    pub amount: i64,
    /// ISO code; the case does not matter.
    pub currency: String,
    /// The payment method's token.
    pub token: String,
    /// The vendor that it is made at, of several; none: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Becomes `metadata.order_id`.
    pub order_id: String,
    /// Further references.
    #[serde(default)]
    pub metadata: Metadata,
}

/// A refund to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRefund {
    /// The intent to refund.
    pub intent_id: String,
    /// Minor units, more than zero, at most what was captured and not yet refunded.
    pub amount: i64,
    /// Becomes `metadata.order_id`.
    pub order_id: String,
    /// Further references, such as the step's key, by which the refund can be found.
    #[serde(default)]
    pub metadata: Metadata,
}

/// A payment intent as the gateway describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The gateway's id.
    pub id: String,
    /// Its status.
    pub status: IntentStatus,
    /// Minor units requested.
    pub amount: i64,
    /// Minor units received; 0 until it succeeded. Refunds do not lower it.
    pub captured: i64,
    /// Upper-case ISO code.
    pub currency: String,
    /// From the metadata; `None` for an intent that is not ours.
    pub order_id: Option<String>,
    /// All metadata, `order_id` included.
    pub metadata: Metadata,
    /// Why the last confirm failed, if it did.
    pub last_decline: Option<Decline>,
}

/// Why a payment was declined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// The gateway's code, for example `card_declined`.
    pub code: String,
    /// The bank's reason, for example `insufficient_funds`.
    pub decline_code: Option<String>,
    /// The gateway's text.
    pub message: String,
}

/// Status of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentStatus {
    /// New without a method, or declined: no money moved.
    RequiresPaymentMethod,
    /// Created, not confirmed: no money moved.
    RequiresConfirmation,
    /// The payer must do something (3-D Secure).
    RequiresAction,
    /// Processing at the bank: may end either way.
    Processing,
    /// Authorised only; we never request this.
    RequiresCapture,
    /// Voided.
    Canceled,
    /// The money is captured.
    Succeeded,
    /// An unknown status: treated as open.
    Unrecognised,
}

impl IntentStatus {
    /// Whether nothing more is expected: captured or voided.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Canceled | Self::Succeeded)
    }

    pub(super) fn from_wire(status: &str) -> Self {
        match status {
            "requires_payment_method" => Self::RequiresPaymentMethod,
            "requires_confirmation" => Self::RequiresConfirmation,
            "requires_action" => Self::RequiresAction,
            "processing" => Self::Processing,
            "requires_capture" => Self::RequiresCapture,
            "canceled" => Self::Canceled,
            "succeeded" => Self::Succeeded,
            _ => Self::Unrecognised,
        }
    }
}

/// A refund as the gateway describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// The gateway's id.
    pub id: String,
    /// The intent; `None` for a refund of something that is not an intent.
    pub intent_id: Option<String>,
    /// Its status.
    pub status: RefundStatus,
    /// Minor units.
    pub amount: i64,
    /// Upper-case ISO code.
    pub currency: String,
    /// Why it failed, if it did.
    pub failure_reason: Option<String>,
    /// From the metadata.
    pub order_id: Option<String>,
    /// All metadata, `order_id` included.
    pub metadata: Metadata,
}

/// Status of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// Pending, perhaps for days; may still fail.
    Pending,
    /// The payer must do something.
    RequiresAction,
    /// The money was refunded.
    Succeeded,
    /// The money was not refunded and won't be.
    Failed,
    /// Cancelled before it was paid out.
    Canceled,
    /// An unknown status: treated as pending.
    Unrecognised,
}

impl RefundStatus {
    /// Whether this refund certainly returned nothing, so that another one may be made.
    pub fn is_void(self) -> bool {
        matches!(self, Self::Failed | Self::Canceled)
    }

    pub(super) fn from_wire(status: &str) -> Self {
        match status {
            "pending" => Self::Pending,
            "requires_action" => Self::RequiresAction,
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            _ => Self::Unrecognised,
        }
    }
}
