//! `order`: reserve the stock, collect the money, place the order, follow it to its end, archive it.
//!
//! ```text
//! announce ─ open_order ─ reserve_stock ─ create_intent ─ begin_payment ─ charge ═ pivot ═ confirm ─▶ following
//! ```
//!
//! A failure before the pivot is recorded (`give_up`) and returned. The engine then undoes the steps in reverse order:
//! the charge is voided or refunded, the stock released, the order closed, the notices sent. After the pivot the run
//! only goes forward, refunds included; if a step fails there the run is stuck, and an operator's retry tries that step
//! again. Before the run fails, the payment is settled: certainly captured or certainly void.

use super::{
    following::{Ended, follow, unwind},
    paying::{Stopped, collect},
};
use crate::{
    activities::{
        Announce, Confirm, Confirmation, Confirmed, Following, GiveUp, GivingUp, OpenOrder, OrderRef, ReserveStock,
    },
    engine::{Context, Failure, Visibility, Workflow},
    orders::{
        runs::{self, OrderInput},
        state::{CancelReason, Word},
    },
};

/// The workflow of an order.
#[derive(Clone, Copy, Debug)]
pub struct OrderWorkflow;

impl Workflow for OrderWorkflow {
    const NAME: &'static str = runs::ORDER;
    const VISIBILITY: Visibility = Visibility::Internal;
    type Input = OrderInput;
    type Output = Ended;

    /// The payment method's token, which is enough to charge it.
    fn secret_fields() -> &'static [&'static str] {
        &["token"]
    }

    async fn run(&self, cx: &Context, input: OrderInput) -> Result<Ended, Failure> {
        let order = OrderRef { order_id: input.order_id };
        cx.call::<Announce>(order).await?;
        cx.call::<OpenOrder>(order).await?;
        let paid = match reserve_and_pay(cx, &input).await {
            Ok(paid) => paid,
            Err(stopped) => {
                let Stopped { reason, payment, failure } = stopped;
                let order_id = input.order_id;
                cx.call::<GiveUp>(GivingUp { order_id, reason, payment }).await?;
                return Err(failure);
            }
        };
        cx.pivot().await;
        let order_id = input.order_id;
        match cx.call::<Confirm>(Confirmation { order_id, paid }).await? {
            Confirmed::Placed { at } => {
                follow(cx, Following { order_id, refund_window_ms: input.refund_window_ms }, at).await
            }
            Confirmed::Cancelled => unwind(cx, order).await,
        }
    }
}

async fn reserve_and_pay(cx: &Context, input: &OrderInput) -> Result<crate::activities::Paid, Stopped> {
    let order = OrderRef { order_id: input.order_id };
    cx.call::<ReserveStock>(order).await.map_err(|failure| {
        // An accepted cancel has recorded its own reason on the order, which stays.
        let short = failure.code == CancelReason::OutOfStock.word();
        let reason = if short { CancelReason::OutOfStock } else { CancelReason::System };
        Stopped { reason, payment: None, failure: failure.into() }
    })?;
    collect(cx, input).await
}
