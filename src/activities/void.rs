//! Returning all of a payment's money: the common part of the undos of `create_intent` and `charge`.
//!
//! It relies on the gateway's answer alone, so it is safe to run at any time, twice, or by an operator: a captured
//! payment is refunded in full, any other is voided, and nothing is refunded twice.

use sqlx::PgPool;

use super::{
    IntentRef, Paid, RefundDue, after_effect, from_gateway, lock,
    refund::{issue, note_refusal},
    refund_ledger::{due, record},
    refused,
};
use crate::{
    engine::{ActivityError, begin},
    orders::{
        money::{WHOLE_BP, format_amount},
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
    let intent = gateway.get_intent(&which.intent_id).await.map_err(|error| from_gateway(&error))?;
    which.check_owner(&intent)?;
    match intent.status {
        IntentStatus::Succeeded => return refund_all(pool, gateway, key, which, &intent).await,
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
    if order.intent_id.as_ref().is_some_and(|booked| *booked != which.intent_id) {
        // It went on to another vendor, whose payment has an undo of its own.
        return tx.rollback().await.map_err(after_effect);
    }
    if order.captured > order.refunded {
        let kept = format_amount(order.captured - order.refunded, &order.currency);
        return Err(differs(format!("the gateway voided the payment, and our books say that {kept} of it are kept")));
    }
    // A decline explains better why no money moved.
    if order.payment_state != PaymentState::Failed && order.payment_state.to(PaymentState::Voided).is_ok() {
        order.become_paid(PaymentState::Voided).map_err(refused)?;
        store::orders::save(&mut tx, &order).await?;
    }
    tx.commit().await.map_err(after_effect)
}

/// Records what is owed, asks the gateway, lets it confirm that all went back, and books that. While a refund is pending the undo asks again; if that outlasts its retries, the run is stuck for an operator to see.
async fn refund_all(
    pool: &PgPool,
    gateway: &dyn PaymentGateway,
    key: &str,
    which: &IntentRef,
    intent: &Intent,
) -> Result<(), ActivityError> {
    let paid = Paid::of(intent)?;
    let mut tx = begin(pool).await?;
    let mut order = lock(&mut tx, which.order_id).await?;
    order.intent_id = Some(which.intent_id.clone());
    order.book_capture(paid.amount).map_err(refused)?;
    let owed: Option<RefundDue> = due(&mut tx, &mut order, WHOLE_BP).await?;
    store::orders::save(&mut tx, &order).await?;
    tx.commit().await?;
    match owed {
        Some(owed) => give_back(pool, gateway, key, &owed, &paid).await,
        None => confirm_refunded(gateway, &which.intent_id, &paid).await,
    }
}

async fn give_back(
    pool: &PgPool,
    gateway: &dyn PaymentGateway,
    key: &str,
    owed: &RefundDue,
    paid: &Paid,
) -> Result<(), ActivityError> {
    let made = match issue(gateway, key, owed).await {
        Ok(made) => made,
        Err(error) => {
            note_refusal(pool, owed, &error).await;
            return Err(from_gateway(&error));
        }
    };
    if made.status == RefundStatus::Succeeded {
        // Before it is booked: what is booked as refunded is not asked for again.
        confirm_refunded(gateway, &owed.intent_id, paid).await?;
    }
    let mut tx = begin(pool).await.map_err(after_effect)?;
    record(&mut tx, owed, &made).await?;
    tx.commit().await.map_err(after_effect)?;
    match made.status {
        RefundStatus::Succeeded => Ok(()),
        status if status.is_void() => Err(ActivityError::failed("refund_failed", owed.sentence())),
        _ => Err(ActivityError::failed("refund_pending", "the refund is pending at the gateway")),
    }
}

/// That a refund was answered with a yes, or that our books owe nothing, is not enough: the refunds at the gateway have to add
/// up to what it captured.
async fn confirm_refunded(gateway: &dyn PaymentGateway, intent_id: &str, paid: &Paid) -> Result<(), ActivityError> {
    let refunds = gateway.refunds_of(intent_id).await.map_err(|error| from_gateway(&error))?;
    let made = refunds.iter().filter(|refund| refund.status == RefundStatus::Succeeded);
    let back: i64 = made.map(|refund| refund.amount).fold(0, i64::saturating_add);
    if back >= paid.amount {
        return Ok(());
    }
    let (back, all) = (format_amount(back, &paid.currency), format_amount(paid.amount, &paid.currency));
    Err(differs(format!("the gateway shows refunds of {back} for {all}, where all of it should have gone back")))
}

/// Asked again, because a gateway may be late; then the run is stuck, and somebody has to look.
fn differs(message: String) -> ActivityError {
    ActivityError::failed("books_differ", message)
}
