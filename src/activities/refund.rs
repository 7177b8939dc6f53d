//! `refund` and `check_refund`: refunds at the gateway.
//!
//! A refund is found by our number in its metadata, so a second attempt never refunds the same part twice, even if the
//! gateway has long forgotten the key. A pending refund is an answer, not a failure: the workflow waits.

use std::sync::Arc;

use sqlx::PgPool;

use super::{Made, RefundDue, RefundRef, from_gateway, lock, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError, begin},
    orders::{
        state::{PaymentState, Word},
        store,
    },
    payments::{GatewayError, NewRefund, PaymentGateway},
};

/// The metadata field with our number of the refund.
const REFUND_NO: &str = "refund_no";

/// Refunds money.
pub struct Refund {
    pub(super) pool: PgPool,
    pub(super) gateway: Arc<dyn PaymentGateway>,
}

impl Activity for Refund {
    const NAME: &'static str = "refund";
    type Input = RefundDue;
    type Output = Made;

    async fn run(&self, cx: &ActivityContext, input: &RefundDue) -> Result<Made, ActivityError> {
        match issue(self.gateway.as_ref(), cx.key(), input).await {
            Ok(made) => Ok(made),
            Err(error) => {
                note_refusal(&self.pool, input, &error).await;
                Err(from_gateway(&error))
            }
        }
    }
}

/// Issues a refund, or finds the one issued under this number.
pub(super) async fn issue(gateway: &dyn PaymentGateway, key: &str, due: &RefundDue) -> Result<Made, GatewayError> {
    let number = due.no.to_string();
    let known = gateway.refunds_of(&due.intent_id).await?;
    if let Some(known) = known.into_iter().find(|refund| refund.metadata.get(REFUND_NO) == Some(&number)) {
        return Ok(Made { refund_id: known.id, status: known.status });
    }
    let new = NewRefund {
        intent_id: due.intent_id.clone(),
        amount: due.amount,
        order_id: due.order_id.to_string(),
        metadata: [(REFUND_NO.to_owned(), number)].into(),
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
        Ok(Made { refund_id: refund.id, status: refund.status })
    }
}
