//! `reserve_stock` and `restock`: the stock ledger, in the step's own transaction.

use sqlx::PgConnection;

use super::{ORDER_CANCELLED, OrderRef, lock, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError},
    orders::{
        state::{OrderState, StockState},
        store::{self, reservations},
    },
};

/// Reserves all lines of an order, or none.
#[derive(Clone, Copy, Debug)]
pub struct ReserveStock;

impl Activity for ReserveStock {
    const NAME: &'static str = "reserve_stock";
    const UNDOABLE: bool = true;
    const TRANSACTIONAL: bool = true;
    type Input = OrderRef;
    type Output = StockState;

    async fn run(&self, cx: &ActivityContext, input: &OrderRef) -> Result<StockState, ActivityError> {
        let mut conn = cx.tx().await?;
        let mut order = lock(&mut conn, input.order_id).await?;
        if order.state == OrderState::Cancelling {
            return Err(ActivityError::failed(ORDER_CANCELLED, "a cancel was accepted").fatal());
        }
        reservations::reserve(&mut conn, order.id).await.map_err(refused)?;
        order.become_state(OrderState::AwaitingPayment).map_err(refused)?;
        order.become_stocked(StockState::Held).map_err(refused)?;
        store::orders::save(&mut conn, &order).await?;
        Ok(order.stock_state)
    }

    fn undo_summary(_: &OrderRef) -> Option<String> {
        Some("release the order's stock".to_owned())
    }

    async fn undo(
        &self,
        cx: &ActivityContext,
        input: &OrderRef,
        _output: Option<&StockState>,
    ) -> Result<(), ActivityError> {
        release(&mut *cx.tx().await?, input).await.map(drop)
    }
}

/// Returns the stock of a cancelled order, as a step forward.
#[derive(Clone, Copy, Debug)]
pub struct Restock;

impl Activity for Restock {
    const NAME: &'static str = "restock";
    const TRANSACTIONAL: bool = true;
    type Input = OrderRef;
    type Output = StockState;

    async fn run(&self, cx: &ActivityContext, input: &OrderRef) -> Result<StockState, ActivityError> {
        release(&mut *cx.tx().await?, input).await
    }
}

/// Releases reserved or committed stock. Shipped stock can't be put back.
async fn release(conn: &mut PgConnection, input: &OrderRef) -> Result<StockState, ActivityError> {
    let mut order = lock(conn, input.order_id).await?;
    if matches!(order.state, OrderState::Shipped | OrderState::Delivered) {
        return Ok(order.stock_state);
    }
    let moved = reservations::release(conn, order.id).await?;
    if moved > 0 {
        order.become_stocked(StockState::Released).map_err(refused)?;
        store::orders::save(conn, &order).await?;
    }
    Ok(order.stock_state)
}
