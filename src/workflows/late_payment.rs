//! `late_payment`: money that arrived after its order was cancelled, its run ended, or it was archived.
//!
//! If the order was given up because of its payment and the stock can be reserved again, it is placed and followed by
//! this run; otherwise the money is refunded in full. There is one such run per payment, linked to the order's run by
//! `parent_id`.

use std::time::Duration;

use super::{
    following::{Ended, archive, follow, tell},
    refunding::give_back,
};
use crate::{
    activities::{About, AcceptLatePayment, Confirmed, Following, IntentRef, Late, LatePaid, LookLate, OrderRef, Paid},
    engine::{Context, Failure, Visibility, Workflow},
    orders::runs::{self, LatePaymentInput},
};

/// Interval between checks while the order is being undone, at first and at most.
const FIRST_LOOK: Duration = Duration::from_millis(250);
const LAST_LOOK: Duration = Duration::from_secs(60);

/// A late payment's run.
#[derive(Clone, Copy, Debug)]
pub struct LatePayment;

impl Workflow for LatePayment {
    const NAME: &'static str = runs::LATE_PAYMENT;
    const VISIBILITY: Visibility = Visibility::Internal;
    type Input = LatePaymentInput;
    type Output = Option<Ended>;

    /// None: nothing was left to do.
    async fn run(&self, cx: &Context, input: LatePaymentInput) -> Result<Option<Ended>, Failure> {
        let LatePaymentInput { order_id, intent_id, refund_window_ms } = input;
        // Nothing here is undone automatically: only an operator may decide that.
        cx.pivot().await;
        let intent = IntentRef { order_id, intent_id };
        let Some(paid) = await_its_turn(cx, &intent).await? else { return Ok(None) };
        let order = OrderRef { order_id };
        match cx.call::<AcceptLatePayment>(LatePaid { order_id, intent_id: Some(intent.intent_id), paid }).await? {
            None => Ok(None),
            Some(Confirmed::Placed { at }) => follow(cx, Following { order_id, refund_window_ms }, at).await.map(Some),
            Some(Confirmed::Cancelled) => {
                give_back(cx, order).await?;
                tell(cx, order, About::Refunded).await;
                archive(cx, order).await.map(Some)
            }
        }
    }
}

/// Waits until the order has been undone, because its undo may find the money itself.
async fn await_its_turn(cx: &Context, intent: &IntentRef) -> Result<Option<Paid>, Failure> {
    let mut pause = FIRST_LOOK;
    loop {
        match cx.call::<LookLate>(intent.clone()).await? {
            Late::Arrived(paid) => return Ok(Some(paid)),
            Late::Nothing => return Ok(None),
            Late::Wait => cx.sleep(pause).await,
        }
        pause = (pause * 2).min(LAST_LOOK);
    }
}
