//! `give_up` and `close_order`: the first and last step of cancelling an order. Between them the order is `cancelling`,
//! the lock under which stock and money are returned.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    OrderRef,
    references::check_run,
    refused,
    together::{Results, answers, apply, inputs, inputs_by_run, lock_all, only, read_off, save_all},
};
use crate::{
    engine::{Activity, ActivityCalls, ActivityContext, ActivityError, Answer, RunId},
    orders::{
        Order,
        state::{CancelReason, OrderState, PaymentState},
    },
};

/// Input of `give_up`: why an order is given up before it was placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct GivingUp {
    /// The order.
    pub order_id: Uuid,
    /// The reason; a cancel accepted earlier keeps its own.
    pub reason: CancelReason,
    /// How its payment ended, if there was one.
    pub payment: Option<PaymentState>,
}

/// Records why an order is about to be undone.
#[derive(Clone, Copy, Debug)]
pub struct GiveUp;

impl Activity for GiveUp {
    const NAME: &'static str = "give_up";
    const TRANSACTIONAL: bool = true;
    type Input = GivingUp;
    type Output = CancelReason;

    async fn run(&self, cx: &ActivityContext, input: &GivingUp) -> Result<CancelReason, ActivityError> {
        only(give_up(&mut *cx.tx().await?, &[(input, cx.run_id())]).await?)
    }

    async fn run_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<CancelReason>>, ActivityError> {
        answers(calls, give_up(&mut *calls.tx().await?, &inputs_by_run(calls)).await?)
    }
}

async fn give_up(
    conn: &mut PgConnection,
    inputs: &[(&GivingUp, RunId)],
) -> Result<Results<CancelReason>, ActivityError> {
    let ids: Vec<Uuid> = inputs.iter().map(|(input, _)| input.order_id).collect();
    let given_up = apply(lock_all(conn, &ids).await?, inputs, |order, (input, run)| {
        check_run(order, *run)?;
        order.begin_cancelling(input.reason).map_err(refused)?;
        input.payment.map_or(Ok(()), |payment| order.become_paid(payment).map_err(refused))
    });
    save_all(conn, &given_up).await?;
    let reason = |order: &Order| order.cancel_reason.unwrap_or(CancelReason::System);
    Ok(read_off(given_up, reason))
}

/// Closes an order whose stock and money have been returned.
#[derive(Clone, Copy, Debug)]
pub struct CloseOrder;

impl Activity for CloseOrder {
    const NAME: &'static str = "close_order";
    const TRANSACTIONAL: bool = true;
    type Input = OrderRef;
    type Output = OrderState;

    async fn run(&self, cx: &ActivityContext, input: &OrderRef) -> Result<OrderState, ActivityError> {
        only(close(&mut *cx.tx().await?, &[input]).await?)
    }

    async fn run_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<OrderState>>, ActivityError> {
        answers(calls, close(&mut *calls.tx().await?, &inputs(calls)).await?)
    }
}

async fn close(conn: &mut PgConnection, inputs: &[&OrderRef]) -> Result<Results<OrderState>, ActivityError> {
    let ids: Vec<Uuid> = inputs.iter().map(|input| input.order_id).collect();
    let orders = lock_all(conn, &ids).await?;
    let closed = apply(orders, inputs, |order, _| order.become_state(OrderState::Cancelled).map_err(refused));
    save_all(conn, &closed).await?;
    Ok(read_off(closed, |order| order.state))
}
