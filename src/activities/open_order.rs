//! `open_order`: the step that every order's run begins with, for the sake of its undo, which closes the order when
//! everything else has been undone.

use super::{OrderRef, lock, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError},
    orders::{
        state::{CancelReason, OrderState},
        store,
    },
};

/// Takes an order on. Its undo closes it: cancelled, with the reason that was recorded, or else `system`.
#[derive(Clone, Copy, Debug)]
pub struct OpenOrder;

impl Activity for OpenOrder {
    const NAME: &'static str = "open_order";
    const UNDOABLE: bool = true;
    const TRANSACTIONAL: bool = true;
    type Input = OrderRef;
    type Output = OrderState;

    /// Never fails for what the order is: were it to fail, its undo would not be made.
    async fn run(&self, cx: &ActivityContext, input: &OrderRef) -> Result<OrderState, ActivityError> {
        Ok(lock(&mut *cx.tx().await?, input.order_id).await?.state)
    }

    fn undo_summary(_: &OrderRef) -> Option<String> {
        Some("close the order as cancelled".to_owned())
    }

    /// What has left the house stays as it is: there only the money goes back.
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
