//! `open_order`: an early step of every order's run. It exists for its undo, which closes the order after nearly everything else
//! has been undone.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    OrderRef, refused,
    together::{Results, answers, apply, inputs, lock_all, only, read_off, save_all},
};
use crate::{
    engine::{Activity, ActivityCalls, ActivityContext, ActivityError, Answer},
    orders::state::{CancelReason, OrderState},
};

/// Does nothing. Its undo closes the order as cancelled, with the recorded reason, or `system` if there is none.
#[derive(Clone, Copy, Debug)]
pub struct OpenOrder;

impl Activity for OpenOrder {
    const NAME: &'static str = "open_order";
    const UNDOABLE: bool = true;
    const TRANSACTIONAL: bool = true;
    const READ_ONLY: bool = true;
    type Input = OrderRef;
    /// None. Runs that began under an earlier release have the order's state on record.
    type Output = Option<OrderState>;

    /// Never fails: a failed step would not be undone.
    async fn run(&self, _: &ActivityContext, _: &OrderRef) -> Result<Option<OrderState>, ActivityError> {
        Ok(None)
    }

    fn undo_summary(_: &OrderRef) -> Option<String> {
        Some("close the order as cancelled".to_owned())
    }

    /// A shipped order keeps its state; only the money is refunded.
    async fn undo(
        &self,
        cx: &ActivityContext,
        input: &OrderRef,
        _output: Option<&Option<OrderState>>,
    ) -> Result<(), ActivityError> {
        only(close(&mut *cx.tx().await?, &[input]).await?)
    }

    async fn undo_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<()>>, ActivityError> {
        let undone = close(&mut *calls.tx().await?, &inputs(calls)).await?;
        answers(calls, undone)
    }
}

async fn close(conn: &mut PgConnection, inputs: &[&OrderRef]) -> Result<Results<()>, ActivityError> {
    let ids: Vec<Uuid> = inputs.iter().map(|input| input.order_id).collect();
    let closed = apply(lock_all(conn, &ids).await?, inputs, |order, _| {
        if !matches!(order.state, OrderState::Shipped | OrderState::Delivered | OrderState::Cancelled) {
            order.begin_cancelling(CancelReason::System).map_err(refused)?;
            order.become_state(OrderState::Cancelled).map_err(refused)?;
        }
        Ok(())
    });
    save_all(conn, &closed).await?;
    Ok(read_off(closed, |_| ()))
}
