//! `give_up` and `close_order`: the first and last step of cancelling an order. Between them the order is `cancelling`,
//! the lock under which stock and money are returned.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{OrderRef, lock, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError},
    orders::{
        state::{CancelReason, OrderState, PaymentState},
        store,
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
        let mut conn = cx.tx().await?;
        let mut order = lock(&mut conn, input.order_id).await?;
        order.begin_cancelling(input.reason).map_err(refused)?;
        if let Some(payment) = input.payment {
            order.become_paid(payment).map_err(refused)?;
        }
        store::orders::save(&mut conn, &order).await?;
        Ok(order.cancel_reason.unwrap_or(input.reason))
    }
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
        let mut conn = cx.tx().await?;
        let mut order = lock(&mut conn, input.order_id).await?;
        if order.state != OrderState::Cancelled {
            order.become_state(OrderState::Cancelled).map_err(refused)?;
            store::orders::save(&mut conn, &order).await?;
        }
        Ok(order.state)
    }
}
