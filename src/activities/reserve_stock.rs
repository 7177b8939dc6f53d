//! `reserve_stock` and `restock`: the stock ledger, in the step's own transaction.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    ORDER_CANCELLED, OrderRef, refused,
    together::{Results, answers, apply, inputs, lock_all, only, read_off, save_all},
};
use crate::{
    engine::{Activity, ActivityCalls, ActivityContext, ActivityError, Answer},
    orders::{
        Order,
        state::{OrderState, StockState},
        store::reservations,
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
        only(reserve(&mut *cx.tx().await?, &[input]).await?)
    }

    async fn run_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<StockState>>, ActivityError> {
        answers(calls, reserve(&mut *calls.tx().await?, &inputs(calls)).await?)
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
        only(release(&mut *cx.tx().await?, &[input]).await?).map(drop)
    }

    async fn undo_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<()>>, ActivityError> {
        let undone = release(&mut *calls.tx().await?, &inputs(calls)).await?;
        answers(calls, undone.into_iter().map(|released| released.map(drop)).collect())
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
        only(release(&mut *cx.tx().await?, &[input]).await?)
    }

    async fn run_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<StockState>>, ActivityError> {
        answers(calls, release(&mut *calls.tx().await?, &inputs(calls)).await?)
    }
}

async fn reserve(conn: &mut PgConnection, inputs: &[&OrderRef]) -> Result<Results<StockState>, ActivityError> {
    let ids: Vec<Uuid> = inputs.iter().map(|input| input.order_id).collect();
    let mut held = apply(lock_all(conn, &ids).await?, inputs, |order, _| {
        if order.state == OrderState::Cancelling {
            return Err(ActivityError::failed(ORDER_CANCELLED, "a cancel was accepted").fatal());
        }
        order.become_state(OrderState::AwaitingPayment).map_err(refused)?;
        order.become_stocked(StockState::Held).map_err(refused)
    });
    let wanted: Vec<Uuid> = held.iter().flatten().map(|moved| moved.order.id).collect();
    let mut short = reservations::reserve(conn, &wanted).await?;
    for moved in &mut held {
        if let Some(error) = moved.as_ref().ok().and_then(|moved| short.remove(&moved.order.id)) {
            *moved = Err(refused(error));
        }
    }
    save_all(conn, &held).await?;
    Ok(read_off(held, |order| order.stock_state))
}

/// Releases reserved or committed stock. Shipped stock can't be put back.
async fn release(conn: &mut PgConnection, inputs: &[&OrderRef]) -> Result<Results<StockState>, ActivityError> {
    let ids: Vec<Uuid> = inputs.iter().map(|input| input.order_id).collect();
    let orders = lock_all(conn, &ids).await?;
    let in_stock = |order: &&Order| !matches!(order.state, OrderState::Shipped | OrderState::Delivered);
    let in_stock: Vec<Uuid> = orders.iter().flatten().filter(in_stock).map(|order| order.id).collect();
    let released = reservations::release(conn, &in_stock).await?;
    let orders = apply(orders, inputs, |order, _| match released.contains(&order.id) {
        true => order.become_stocked(StockState::Released).map_err(refused),
        false => Ok(()),
    });
    for (id, order) in ids.iter().zip(&orders) {
        if let (true, Err(error)) = (released.contains(id), order) {
            // Its reservations have moved in this transaction.
            return Err(error.clone());
        }
    }
    save_all(conn, &orders).await?;
    Ok(read_off(orders, |order| order.stock_state))
}
