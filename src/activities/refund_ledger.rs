//! Our own records of refunds: `fix_refund` records what is owed before the gateway is asked, `record_refund` books its
//! answer once, `escalate_refund` leaves a refund that finally failed to an operator.

use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};

use super::{Made, OrderRef, RefundDue, lock, references::foreign, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError, begin},
    orders::{Order, state::PaymentState, store},
    payments::RefundStatus,
};

/// Records the next refund of a locked order as pending, with its number and amount. The caller saves the order.
pub(super) async fn due(
    conn: &mut PgConnection,
    order: &mut Order,
    bp: u32,
) -> Result<Option<RefundDue>, ActivityError> {
    let Some(fixed) = store::refunds::fix(conn, order, bp).await? else { return Ok(None) };
    let no_intent = || ActivityError::failed("no_payment", "the order has captured money, but no payment id").fatal();
    let intent_id = order.intent_id.clone().ok_or_else(no_intent)?;
    order.become_paid(PaymentState::RefundPending).map_err(refused)?;
    let (order_id, currency) = (order.id, order.currency.clone());
    Ok(Some(RefundDue { order_id, intent_id, no: fixed.no, amount: fixed.amount, currency }))
}

/// Books the gateway's answer about a refund. A refund booked as ended never changes again.
pub(super) async fn record(
    conn: &mut PgConnection,
    due: &RefundDue,
    made: &Made,
) -> Result<PaymentState, ActivityError> {
    let mut order = lock(conn, due.order_id).await?;
    let row = store::refunds::lock(conn, due.order_id, due.no).await?;
    if row.is_none_or(|row| row.amount != due.amount) {
        return Err(foreign(format!("no such refund of order {} is on record", due.order_id)));
    }
    let state = match made.status {
        RefundStatus::Succeeded => "succeeded",
        status if status.is_void() => "failed",
        _ => "pending",
    };
    if store::refunds::settle(conn, due.order_id, due.no, state, &made.refund_id).await? {
        order.become_paid(PaymentState::RefundPending).map_err(refused)?;
        match state {
            "succeeded" => order.book_refund(due.amount).map_err(refused)?,
            "failed" => order.become_paid(PaymentState::RefundFailed).map_err(refused)?,
            _ => {}
        }
        store::orders::save(conn, &order).await?;
    }
    Ok(order.payment_state)
}

/// Records what is owed to the customer of a cancelled order. None: nothing is owed.
#[derive(Clone, Copy, Debug)]
pub struct FixRefund;

impl Activity for FixRefund {
    const NAME: &'static str = "fix_refund";
    const TRANSACTIONAL: bool = true;
    type Input = OrderRef;
    type Output = Option<RefundDue>;

    async fn run(&self, cx: &ActivityContext, input: &OrderRef) -> Result<Option<RefundDue>, ActivityError> {
        let mut conn = cx.tx().await?;
        let mut order = lock(&mut conn, input.order_id).await?;
        let bp = order.refund_bp();
        let owed = due(&mut conn, &mut order, bp).await?;
        if owed.is_some() {
            store::orders::save(&mut conn, &order).await?;
        }
        Ok(owed)
    }
}

/// Input of `record_refund`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Recorded {
    /// The refund.
    pub due: RefundDue,
    /// The gateway's answer.
    pub made: Made,
}

/// Books the gateway's answer about a refund.
#[derive(Clone, Copy, Debug)]
pub struct RecordRefund;

impl Activity for RecordRefund {
    const NAME: &'static str = "record_refund";
    const TRANSACTIONAL: bool = true;
    type Input = Recorded;
    type Output = PaymentState;

    async fn run(&self, cx: &ActivityContext, input: &Recorded) -> Result<PaymentState, ActivityError> {
        record(&mut *cx.tx().await?, &input.due, &input.made).await
    }
}

/// Leaves a refund that finally failed to an operator: the step fails, so the run is stuck and says what is owed. An
/// operator's retry lets the run continue, with another refund under a new number.
#[derive(Clone, Debug)]
pub struct EscalateRefund {
    pub(super) pool: PgPool,
}

impl Activity for EscalateRefund {
    const NAME: &'static str = "escalate_refund";
    type Input = RefundDue;
    type Output = ();

    async fn run(&self, _cx: &ActivityContext, input: &RefundDue) -> Result<(), ActivityError> {
        let mut tx = begin(&self.pool).await?;
        let row = store::refunds::lock(&mut tx, input.order_id, input.no).await?;
        if row.is_none_or(|row| row.escalated) {
            return Ok(());
        }
        // Not in the step's transaction, because it must survive the step's failure.
        store::refunds::escalate(&mut tx, input.order_id, input.no).await?;
        tx.commit().await?;
        Err(ActivityError::failed("refund_failed", input.sentence()).fatal())
    }
}
