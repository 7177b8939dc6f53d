//! `refund` and `check_refund`: refunds at the gateway.
//!
//! A refund is found by our number in its metadata, so a second attempt never refunds the same part twice, even if the
//! gateway has long forgotten the key. A pending refund is an answer, not a failure: the workflow waits.

use std::sync::Arc;

use sqlx::PgPool;

use super::{
    IntentRef, Made, RefundDue, RefundRef, from_gateway, lock, order_reader::OrderReader, references::foreign, refused,
};
use crate::{
    engine::{Activity, ActivityContext, ActivityError, begin},
    orders::{
        state::{PaymentState, Word},
        store,
    },
    payments::{self, GatewayError, NewRefund, PaymentGateway, Refusal},
};

/// The metadata field with our number of the refund.
const REFUND_NO: &str = "refund_no";

/// Refunds money.
pub struct Refund {
    pub(super) pool: PgPool,
    pub(super) orders: OrderReader,
    pub(super) gateway: Arc<dyn PaymentGateway>,
}

impl Activity for Refund {
    const NAME: &'static str = "refund";
    type Input = RefundDue;
    type Output = Made;

    async fn run(&self, cx: &ActivityContext, input: &RefundDue) -> Result<Made, ActivityError> {
        self.check_due(input).await?;
        match issue(self.gateway.as_ref(), cx.key(), input).await {
            Ok(made) => Ok(made),
            Err(error) => {
                note_refusal(&self.pool, input, &error).await;
                Err(from_gateway(&error))
            }
        }
    }
}

impl Refund {
    /// A refund has to be on record as it is to be made: fixed for this order, of its payment, not ended yet.
    async fn check_due(&self, due: &RefundDue) -> Result<(), ActivityError> {
        let order = self.orders.read(due.order_id).await?;
        let mut conn = self.pool.acquire().await?;
        let row = store::refunds::find(&mut conn, due.order_id, due.no).await?;
        IntentRef { order_id: due.order_id, intent_id: due.intent_id.clone() }.check_booked(&order)?;
        if row.is_none_or(|row| row.amount != due.amount) || order.currency != due.currency {
            return Err(foreign(format!("no such refund of order {} is on record", due.order_id)));
        }
        Ok(())
    }
}

/// Issues a refund, or finds the one issued under this number.
pub(super) async fn issue(gateway: &dyn PaymentGateway, key: &str, due: &RefundDue) -> Result<Made, GatewayError> {
    let number = due.no.to_string();
    let order_id = due.order_id.to_string();
    let is_this = |refund: &payments::Refund| {
        refund.metadata.get(REFUND_NO) == Some(&number) && refund.order_id.as_ref() == Some(&order_id)
    };
    if let Some(known) = gateway.refunds_of(&due.intent_id).await?.into_iter().find(is_this) {
        if (known.amount, &known.currency) != (due.amount, &due.currency) {
            let message = format!(
                "refund {number} is of {} {} there, and of {} {} in our books (minor units)",
                known.amount, known.currency, due.amount, due.currency
            );
            return Err(Refusal::Rejected { status: 0, code: "refund_mismatch".to_owned(), message }.into());
        }
        return Ok(Made { refund_id: known.id, status: known.status });
    }
    let new = NewRefund {
        intent_id: due.intent_id.clone(),
        amount: due.amount,
        order_id,
        metadata: [(REFUND_NO.to_owned(), number.clone())].into(),
    };
    // The key has the number too: an undo may issue several refunds, each after the previous one failed.
    let made = gateway.refund(&format!("{key}-{}", due.no), &new).await?;
    Ok(Made { refund_id: made.id, status: made.status })
}

/// Marks the order's refund as failed. Best effort: the next attempt writes it again, and a database error here must
/// not hide the gateway's.
pub(super) async fn note_refusal(pool: &PgPool, due: &RefundDue, error: &GatewayError) {
    if !error.is_certain() {
        return;
    }
    let note = async {
        let mut tx = begin(pool).await?;
        let mut order = lock(&mut tx, due.order_id).await?;
        if order.payment_state.to(PaymentState::RefundFailed).is_ok() {
            order.become_paid(PaymentState::RefundFailed).map_err(refused)?;
            store::orders::save(&mut tx, &order).await?;
        }
        store::refunds::note_error(&mut tx, due.order_id, due.no, &error.to_string()).await?;
        tx.commit().await?;
        Ok::<(), ActivityError>(())
    };
    if let Err(unwritten) = note.await {
        tracing::warn!(order = %due.order_id, error = %unwritten, "could not mark the order's refund as failed");
    }
}

/// Reads a refund; changes nothing.
pub struct CheckRefund {
    pub(super) gateway: Arc<dyn PaymentGateway>,
}

impl Activity for CheckRefund {
    const NAME: &'static str = "check_refund";
    type Input = RefundRef;
    type Output = Made;

    async fn run(&self, _cx: &ActivityContext, input: &RefundRef) -> Result<Made, ActivityError> {
        let read = self.gateway.get_refund(&input.refund_id).await;
        let refund = read.map_err(|error| from_gateway(&error))?;
        let owner = input.order_id.map(|id| id.to_string());
        if owner.is_some() && refund.order_id != owner {
            return Err(foreign(format!("at the gateway {} is no refund of this order", refund.id)));
        }
        Ok(Made { refund_id: refund.id, status: refund.status })
    }
}
