//! `follow_up`: moves a placed order as far as its recorded facts allow, under the order's lock.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    refused,
    together::{Results, answers, apply, inputs, lock_all, only, read_off, save_all},
};
use crate::{
    engine::{Activity, ActivityCalls, ActivityContext, ActivityError, Answer, Time},
    orders::{Order, state::OrderState, store},
};

/// Input of `follow_up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Following {
    /// The order.
    pub order_id: Uuid,
    /// How long after placing it a customer may cancel, in milliseconds.
    pub refund_window_ms: u64,
}

/// Result of `follow_up`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Seen {
    /// Its state.
    pub state: OrderState,
    /// The states that this step moved it through, in order.
    pub reached: Vec<OrderState>,
}

/// Moves a placed order on when its window is over or fulfilment has reported.
#[derive(Clone, Copy, Debug)]
pub struct FollowUp;

impl Activity for FollowUp {
    const NAME: &'static str = "follow_up";
    const TRANSACTIONAL: bool = true;
    type Input = Following;
    type Output = Seen;

    async fn run(&self, cx: &ActivityContext, input: &Following) -> Result<Seen, ActivityError> {
        only(follow_up(&mut *cx.tx().await?, &[input]).await?)
    }

    async fn run_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<Seen>>, ActivityError> {
        answers(calls, follow_up(&mut *calls.tx().await?, &inputs(calls)).await?)
    }
}

async fn follow_up(conn: &mut PgConnection, inputs: &[&Following]) -> Result<Results<Seen>, ActivityError> {
    let ids: Vec<Uuid> = inputs.iter().map(|input| input.order_id).collect();
    let orders = lock_all(conn, &ids).await?;
    // Read after the locks, so that a cancel accepted while this waited is seen, and this time is later than its.
    let now = store::now(conn).await?;
    let mut reached: HashMap<Uuid, Vec<OrderState>> = HashMap::new();
    let moved = apply(orders, inputs, |order, input| {
        let states = move_on(order, input, now)?;
        reached.insert(order.id, states);
        Ok(())
    });
    save_all(conn, &moved).await?;
    Ok(read_off(moved, |order| Seen { state: order.state, reached: reached.remove(&order.id).unwrap_or_default() }))
}

/// As far as the window's end and what fulfilment has reported take it: the states that it went through.
fn move_on(order: &mut Order, input: &Following, now: Time) -> Result<Vec<OrderState>, ActivityError> {
    let window = chrono::Duration::milliseconds(i64::try_from(input.refund_window_ms).unwrap_or(i64::MAX / 2));
    let window_over = order.placed_at.is_none_or(|placed_at| now - placed_at >= window);
    let mut reached = Vec::new();
    loop {
        let next = match order.state {
            OrderState::Placed if window_over || order.dispatched_at.is_some() => OrderState::Processing,
            OrderState::Processing if order.dispatched_at.is_some() => OrderState::Shipped,
            OrderState::Shipped if order.delivered_at.is_some() => OrderState::Delivered,
            _ => return Ok(reached),
        };
        order.become_state(next).map_err(refused)?;
        reached.push(next);
    }
}
