//! The order's activities. One external system per file, with run, verify and undo side by side.
//!
//! | system | activities |
//! |---|---|
//! | our own tables, transactional | `open_order`, `reserve_stock`, `restock`, `begin_payment`, `give_up`, `confirm`, `follow_up`, `fix_refund`, `record_refund`, `close_order`, `accept_late_payment`, `archive`, `sweep_archive`, `mend_stock`, `settle_difference` |
//! | the payment gateway | `create_intent`, `charge`, `check_payment`, `settle_payment`, `refund`, `check_refund`, `look_late`, `compare_books`, `mend_refund`, `mend_void` |
//! | people | `notify`, `announce`, `escalate_refund` |
//!
//! An activity's fields are its clients; its input is all it needs to act. So an operator can run its undo years later,
//! without the workflow.

mod archive;
mod charge;
mod close_order;
mod confirm;
pub(crate) mod described;
mod follow_up;
mod intent;
mod late_payment;
mod mend;
mod notify;
mod open_order;
mod order_reader;
mod payment;
mod reconcile;
mod references;
mod refund;
mod refund_ledger;
mod reserve_stock;
mod together;
mod void;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    engine::{ActivityError, Registry},
    orders::{Error, History, Order, PostgresHistory, store},
    payments::{GatewayError, PaymentGateway},
};

pub use self::{
    archive::{Archive, SweepArchive, Swept},
    charge::{Charge, ChargeRequest, Charged},
    close_order::{CloseOrder, GiveUp, GivingUp},
    confirm::{Confirm, Confirmation, Confirmed},
    follow_up::{FollowUp, Following, Seen},
    intent::{BeginPayment, CreateIntent, IntentRequest},
    late_payment::{AcceptLatePayment, Late, LatePaid, LookLate, TakenOn},
    mend::{DifferenceRef, MendRefund, MendSides, MendStock, MendVoid, SettleDifference},
    notify::{
        About, Announce, LogNotifier, Notice, Notification, Notifier, Notify, NotifyError, NotifyFuture, Recipient,
    },
    open_order::OpenOrder,
    payment::{CheckPayment, Checked, Paid, SettlePayment, Settled, Settling},
    reconcile::{CompareBooks, Reconciled},
    references::{IntentRef, Made, RefundDue, RefundRef},
    refund::{CheckRefund, Refund},
    refund_ledger::{EscalateRefund, FixRefund, RecordRefund, Recorded},
    reserve_stock::{ReserveStock, Restock},
};
use self::{described::Describe, order_reader::OrderReader};

/// What the activities depend on.
#[derive(Clone)]
pub struct ShopDeps {
    /// The database, for activities that are not transactional.
    pub pool: PgPool,
    /// The payment gateway.
    pub gateway: Arc<dyn PaymentGateway>,
    /// Sends notifications to people.
    pub notifier: Arc<dyn Notifier>,
    /// Where ended orders go; the service needs the same one.
    pub history: Arc<dyn History>,
}

impl ShopDeps {
    /// Logs notifications, and keeps the history in the same database.
    pub fn new(pool: PgPool, gateway: Arc<dyn PaymentGateway>) -> Self {
        Self { pool, gateway, notifier: Arc::new(LogNotifier), history: Arc::new(PostgresHistory) }
    }
}

impl std::fmt::Debug for ShopDeps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShopDeps").finish_non_exhaustive()
    }
}

/// Adds all of these activities to a registry.
pub fn register(registry: Registry, deps: &ShopDeps) -> Registry {
    let (pool, gateway) = (&deps.pool, &deps.gateway);
    let (notifier, history) = (&deps.notifier, &deps.history);
    let orders = OrderReader::new(pool.clone());
    let sides = MendSides { pool: pool.clone(), gateway: gateway.clone() };
    registry
        .with_activity(OpenOrder)
        .with_activity(ReserveStock)
        .with_activity(Restock)
        .with_activity(CreateIntent { pool: pool.clone(), gateway: gateway.clone() })
        .with_activity(BeginPayment)
        .with_activity(Charge { pool: pool.clone(), orders: orders.clone(), gateway: gateway.clone() })
        .with_activity(CheckPayment { pool: pool.clone(), gateway: gateway.clone() })
        .with_activity(SettlePayment { pool: pool.clone(), orders: orders.clone(), gateway: gateway.clone() })
        .with_activity(GiveUp)
        .with_activity(Confirm)
        .with_activity(FollowUp)
        .with_activity(FixRefund)
        .with_activity(Refund { pool: pool.clone(), orders: orders.clone(), gateway: gateway.clone() })
        .with_activity(CheckRefund { gateway: gateway.clone() })
        .with_activity(RecordRefund)
        .with_activity(EscalateRefund { pool: pool.clone() })
        .with_activity(CloseOrder)
        .with_activity(Announce { pool: pool.clone(), orders: orders.clone(), notifier: notifier.clone() })
        .with_activity(Notify { orders: orders.clone(), notifier: notifier.clone() })
        .with_activity(LookLate { orders, gateway: gateway.clone() })
        .with_activity(AcceptLatePayment { history: history.clone() })
        .with_activity(Archive { history: history.clone() })
        .with_activity(SweepArchive { history: history.clone() })
        .with_activity(CompareBooks { pool: pool.clone(), gateway: gateway.clone() })
        .with_activity(MendRefund(sides.clone()))
        .with_activity(MendVoid(sides))
        .with_activity(MendStock)
        .with_activity(SettleDifference)
}

/// An order's id: the whole input of many steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct OrderRef {
    /// The order.
    pub order_id: Uuid,
}

/// Error code of a step that finds that a cancel has been accepted.
pub const ORDER_CANCELLED: &str = "order_cancelled";

/// Locks an order for the rest of the transaction.
async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Order, ActivityError> {
    store::orders::lock(conn, id).await?.ok_or_else(|| refused(Error::UnknownOrder(id)))
}

/// Maps a domain error to a step's: database errors are what they are to every step, broken rules are final.
fn refused(error: Error) -> ActivityError {
    match error {
        Error::Engine(error) => error.into(),
        rule => ActivityError::failed(rule.code(), rule.to_string()).fatal(),
    }
}

/// Maps a gateway's error to a step's: failed if certain, otherwise unknown.
fn from_gateway(error: &GatewayError) -> ActivityError {
    let message = error.to_string();
    let mapped = if error.is_certain() {
        ActivityError::failed(error.code(), message)
    } else {
        ActivityError::unknown(error.code(), message)
    };
    if error.is_retryable() { mapped } else { mapped.fatal() }
}

/// The database failed after the gateway had acted, so the step's outcome is unknown.
fn after_effect(error: impl std::fmt::Display) -> ActivityError {
    ActivityError::unknown("database", format!("the gateway acted, but the result could not be booked: {error}"))
}
