//! Giving money back, until the gateway says that it is back.
//!
//! What is owed is fixed before the gateway is asked. A refund may be pending for days: the run looks now and then, parked
//! in between. One that fails for good puts what is owed before an operator: the run is stuck at `escalate_refund`, and a
//! retry lets it go on to another refund.

use std::time::Duration;

use crate::{
    activities::{
        CheckRefund, EscalateRefund, FixRefund, Made, OrderRef, RecordRefund, Recorded, Refund, RefundDue, RefundRef,
    },
    engine::{Context, Failure},
    orders::runs::{ORDER_CHANGED, OrderChanged},
    payments::RefundStatus,
};

/// Between two looks at a refund that is pending, at first and at most; a webhook makes it sooner.
const FIRST_LOOK: Duration = Duration::from_secs(1);
const LAST_LOOK: Duration = Duration::from_secs(3600);

/// Gives back all that is owed of an order.
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

/// Waits until a refund is either back or void.
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
        // A look that fails tells nothing, and there will be another.
        if let Ok(seen) = cx.call::<CheckRefund>(RefundRef { refund_id: made.refund_id.clone() }).await {
            made = seen;
        }
    }
    Ok(made)
}
