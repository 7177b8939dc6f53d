//! `follow_up`: moves a placed order as far as its recorded facts allow, under the order's lock.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{lock, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError},
    orders::{state::OrderState, store},
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
        let mut conn = cx.tx().await?;
        let mut order = lock(&mut conn, input.order_id).await?;
        // Read after the lock, so that a cancel accepted while this waited is seen, and this time is later than its.
        let now = store::now(&mut conn).await?;
        let window = chrono::Duration::milliseconds(i64::try_from(input.refund_window_ms).unwrap_or(i64::MAX / 2));
        let window_over = order.placed_at.is_none_or(|placed_at| now - placed_at >= window);
        let mut reached = Vec::new();
        loop {
            let next = match order.state {
                OrderState::Placed if window_over || order.dispatched_at.is_some() => OrderState::Processing,
                OrderState::Processing if order.dispatched_at.is_some() => OrderState::Shipped,
                OrderState::Shipped if order.delivered_at.is_some() => OrderState::Delivered,
                _ => break,
            };
            order.become_state(next).map_err(refused)?;
            reached.push(next);
        }
        if !reached.is_empty() {
            store::orders::save(&mut conn, &order).await?;
        }
        Ok(Seen { state: order.state, reached })
    }
}
