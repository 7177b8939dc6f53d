//! Payments: the port that order activities use, and its adapters.
//!
//! [`PaymentGateway`] is the port. Every call ends in one of three ways, kept apart by the type:
//! `Ok` (the gateway is in the state that was asked for), [`GatewayError::Refused`] (this call
//! certainly had no effect) and [`GatewayError::Unknown`] (it may have had one: read the intent).
//! Money moves in two steps, so that unknown can always be resolved by reading: an intent is created
//! unconfirmed and recorded, then confirmed by its id.
//!
//! A refusal speaks of *this* call only. Where an earlier attempt of the same step ended unknown, a
//! later refusal (nothing sent, rate limited) does not make the step as a whole certain.
//!
//! [`StripeGateway`] works with Stripe and with `gateway_sim`, [`AcquirerGateway`] with gateways of another shape. [`webhook`] checks and reads
//! the gateway's events. What to do with an outcome is left to the activities.

mod acquirer;
pub mod choice;
mod decimal;
mod error;
mod http;
mod list;
pub mod pool;
mod signature;
mod stripe;
mod types;
mod vendor;
pub mod webhook;
mod wire;

use std::{future::Future, pin::Pin};

pub use acquirer::AcquirerGateway;
pub use decimal::decimals;
pub(crate) use decimal::{from_decimal, to_decimal};
pub use error::{GatewayError, Refusal, SetupError, UnknownReason};
pub(crate) use error::{UNKNOWN_VENDOR, UNREADABLE};
pub use http::{DEFAULT_TIMEOUT, GatewayConfig};
pub use list::{Listed, Page};
pub use pool::VendorPool;
pub use signature::{
    ACQUIRER_SIGNATURE, ACQUIRER_TIMESTAMP, SIGNATURE_HEADER, SIGNATURE_TOLERANCE, SignatureError, sign, sign_detached,
    verify_signature,
};
pub use stripe::StripeGateway;
pub use types::{Decline, Intent, IntentStatus, Metadata, NewIntent, NewRefund, Refund, RefundStatus};
pub use vendor::{FIRST_VENDOR, Vendor, VendorKind, Vendors};

pub use crate::Secret;

/// Future returned by each method of the port; boxed, so that the trait works as `dyn`.
pub type GatewayFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, GatewayError>> + Send + 'a>>;

/// A payment gateway, as far as orders need one.
///
/// `key` is the idempotency key of the calling step: the same key with the same arguments moves money
/// at most one time, however often it is sent (as long as the gateway keeps keys, a day at Stripe).
///
/// # Cancellation
/// Dropping a future during the call leaves the outcome unknown, as a timeout does.
pub trait PaymentGateway: Send + Sync {
    /// Creates an intent, unconfirmed: no money moves, and it may be repeated under its key.
    fn create_intent<'a>(&'a self, key: &'a str, new: &'a NewIntent) -> GatewayFuture<'a, Intent>;

    /// Charges the intent. `Ok` may also be `processing`: check the status. An intent that had
    /// succeeded before is `Ok` too; any other state that forbids it is `UnexpectedState`.
    fn confirm_intent<'a>(&'a self, key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent>;

    /// Voids an intent. One that was voided before is `Ok`; one that has succeeded or is processing
    /// is `UnexpectedState`, which carries the intent as it is now.
    fn cancel_intent<'a>(&'a self, key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent>;

    /// Reads an intent. This is what resolves an unknown confirm; a replayed answer does not.
    fn get_intent<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Intent>;

    /// Refunds money. `Ok` may be `pending`, or `failed` at once: check the status.
    fn refund<'a>(&'a self, key: &'a str, new: &'a NewRefund) -> GatewayFuture<'a, Refund>;

    /// Reads a refund.
    fn get_refund<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Refund>;

    /// All refunds of an intent, newest first: to find one by our own reference in its metadata.
    fn refunds_of<'a>(&'a self, intent_id: &'a str) -> GatewayFuture<'a, Vec<Refund>>;

    /// A page of all intents, newest first, older than the object with the id `after`.
    fn list_intents<'a>(&'a self, after: Option<&'a str>) -> GatewayFuture<'a, Page<Intent>>;

    /// A page of all refunds, in the same order.
    fn list_refunds<'a>(&'a self, after: Option<&'a str>) -> GatewayFuture<'a, Page<Refund>>;

    /// What to ask for the first page of each list with: several vendors behind one port have a list each.
    fn list_starts(&self) -> Vec<Option<String>> {
        vec![None]
    }
}
