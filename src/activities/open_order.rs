//! `open_order`: the first step of every order's run. It exists for its undo, which closes the order after everything
//! else has been undone.

use super::{OrderRef, lock, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError},
    orders::{
        state::{CancelReason, OrderState},
        store,
    },
};

/// Reads the order. Its undo closes it as cancelled, with the recorded reason, or `system` if there is none.
#[derive(Clone, Copy, Debug)]
pub struct OpenOrder;

impl Activity for OpenOrder {
    const NAME: &'static str = "open_order";
    const UNDOABLE: bool = true;
    const TRANSACTIONAL: bool = true;
    type Input = OrderRef;
    type Output = OrderState;

    /// Never fails because of the order's state: a failed step would not be undone.
    async fn run(&self, cx: &ActivityContext, input: &OrderRef) -> Result<OrderState, ActivityError> {
        Ok(lock(&mut *cx.tx().await?, input.order_id).await?.state)
    }

    fn undo_summary(_: &OrderRef) -> Option<String> {
        Some("close the order as cancelled".to_owned())
    }

    /// A shipped order keeps its state; only the money is refunded.
    async fn undo(
        &self,
        cx: &ActivityContext,
        input: &OrderRef,
        _output: Option<&OrderState>,
    ) -> Result<(), ActivityError> {
        let mut conn = cx.tx().await?;
        let mut order = lock(&mut conn, input.order_id).await?;
        if matches!(order.state, OrderState::Shipped | OrderState::Delivered | OrderState::Cancelled) {
            return Ok(());
        }
        order.begin_cancelling(CancelReason::System).map_err(refused)?;
        order.become_state(OrderState::Cancelled).map_err(refused)?;
        Ok(store::orders::save(&mut conn, &order).await?)
    }
}
