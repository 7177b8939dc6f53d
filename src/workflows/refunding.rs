//! Refunding, until the gateway says that the money is back.
//!
//! What is owed is recorded before the gateway is asked. A refund may be pending for days: the run checks it from time
//! to time, parked in between. One that finally fails is left to an operator: the run is stuck at `escalate_refund`,
//! and a retry continues with another refund.

use std::time::Duration;

use crate::{
    activities::{
        CheckRefund, EscalateRefund, FixRefund, Made, OrderRef, RecordRefund, Recorded, Refund, RefundDue, RefundRef,
    },
    engine::{Context, Failure},
    orders::runs::{ORDER_CHANGED, OrderChanged},
    payments::RefundStatus,
};

/// Interval between checks of a pending refund, at first and at most; a webhook prompts one sooner.
const FIRST_LOOK: Duration = Duration::from_secs(1);
const LAST_LOOK: Duration = Duration::from_secs(3600);

/// Refunds all that is owed for an order.
pub(super) async fn give_back(cx: &Context, order: OrderRef) -> Result<(), Failure> {
    while let Some(due) = cx.call::<FixRefund>(order).await? {
        let made = cx.call::<Refund>(due.clone()).await?;
        let made = await_end(cx, &due, made).await?;
        cx.call::<RecordRefund>(Recorded { due: due.clone(), made: made.clone() }).await?;
        if made.status.is_void() {
            cx.call::<EscalateRefund>(due).await?;
        }
    }
    Ok(())
}

/// Waits until a refund has succeeded or failed.
async fn await_end(cx: &Context, due: &RefundDue, made: Made) -> Result<Made, Failure> {
    let mut made = made;
    let mut pause = FIRST_LOOK;
    let ended = |made: &Made| made.status == RefundStatus::Succeeded || made.status.is_void();
    if !ended(&made) {
        cx.call::<RecordRefund>(Recorded { due: due.clone(), made: made.clone() }).await?;
    }
    while !ended(&made) {
        cx.signal::<OrderChanged>(ORDER_CHANGED).within(pause).await.ok();
        pause = (pause * 2).min(LAST_LOOK);
        // A failed check says nothing, and another follows.
        let refund = RefundRef { refund_id: made.refund_id.clone(), order_id: Some(due.order_id) };
        if let Ok(seen) = cx.call::<CheckRefund>(refund).await {
            made = seen;
        }
    }
    Ok(made)
}
