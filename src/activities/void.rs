//! Returning all of a payment's money: the common part of the undos of `create_intent` and `charge`.
//!
//! It relies on the gateway's answer alone, so it is safe to run at any time, twice, or by an operator: a captured
//! payment is refunded in full, any other is voided, and nothing is refunded twice.

use sqlx::PgPool;

use super::{
    IntentRef, RefundDue, after_effect, from_gateway, lock,
    refund::{issue, note_refusal},
    refund_ledger::{due, record},
    refused,
};
use crate::{
    engine::{ActivityError, begin},
    orders::{
        money::WHOLE_BP,
        state::{PaymentState, Word},
        store,
    },
    payments::{Intent, IntentStatus, PaymentGateway, RefundStatus},
};

/// Voids or refunds a payment, in full.
pub(super) async fn void_or_refund(
    pool: &PgPool,
    gateway: &dyn PaymentGateway,
    key: &str,
    which: &IntentRef,
) -> Result<(), ActivityError> {
    let read = gateway.get_intent(&which.intent_id).await.map_err(|error| from_gateway(&error))?;
    match read.status {
        IntentStatus::Succeeded => return refund_all(pool, gateway, key, which, &read).await,
        IntentStatus::Canceled => return book_void(pool, which).await,
        _ => {}
    }
    let voided = match gateway.cancel_intent(&format!("{key}-void"), &which.intent_id).await {
        Ok(intent) => intent,
        Err(error) => error.intent().cloned().ok_or_else(|| from_gateway(&error))?,
    };
    match voided.status {
        IntentStatus::Succeeded => refund_all(pool, gateway, key, which, &voided).await,
        IntentStatus::Canceled => book_void(pool, which).await,
        status => {
            let message = format!("the payment is {status:?} and can't be voided yet");
            Err(ActivityError::failed("payment_not_settled", message))
        }
    }
}

async fn book_void(pool: &PgPool, which: &IntentRef) -> Result<(), ActivityError> {
    let mut tx = begin(pool).await.map_err(after_effect)?;
    let mut order = lock(&mut tx, which.order_id).await?;
    // A decline explains better why no money moved.
    if order.payment_state != PaymentState::Failed && order.payment_state.to(PaymentState::Voided).is_ok() {
        order.become_paid(PaymentState::Voided).map_err(refused)?;
        store::orders::save(&mut tx, &order).await?;
    }
    tx.commit().await.map_err(after_effect)
}

/// Records what is owed, asks the gateway, and books its answer. While a refund is pending the undo asks again; if that
/// outlasts its retries, the run is stuck for an operator to see.
async fn refund_all(
    pool: &PgPool,
    gateway: &dyn PaymentGateway,
    key: &str,
    which: &IntentRef,
    intent: &Intent,
) -> Result<(), ActivityError> {
    let mut tx = begin(pool).await?;
    let mut order = lock(&mut tx, which.order_id).await?;
    order.intent_id = Some(which.intent_id.clone());
    order.book_capture(intent.captured).map_err(refused)?;
    let owed: Option<RefundDue> = due(&mut tx, &mut order, WHOLE_BP).await?;
    store::orders::save(&mut tx, &order).await?;
    tx.commit().await?;
    let Some(owed) = owed else { return Ok(()) };
    let made = match issue(gateway, key, &owed).await {
        Ok(made) => made,
        Err(error) => {
            note_refusal(pool, &owed, &error).await;
            return Err(from_gateway(&error));
        }
    };
    let mut tx = begin(pool).await.map_err(after_effect)?;
    record(&mut tx, &owed, &made).await?;
    tx.commit().await.map_err(after_effect)?;
    match made.status {
        RefundStatus::Succeeded => Ok(()),
        status if status.is_void() => Err(ActivityError::failed("refund_failed", owed.sentence())),
        _ => Err(ActivityError::failed("refund_pending", "the refund is pending at the gateway")),
    }
}
