//! `confirm`: after payment, commits the stock and places the order, unless a cancel was accepted first.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Paid, lock, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError, Time},
    orders::{
        Order,
        state::{OrderState, StockState},
        store::{self, reservations},
    },
};

/// Input of `confirm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Confirmation {
    /// The order.
    pub order_id: Uuid,
    /// What the gateway captured.
    pub paid: Paid,
}

/// Result of `confirm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Confirmed {
    /// The order is placed.
    Placed {
        /// When; refund tiers count from this time.
        at: Time,
    },
    /// A cancel was accepted first: the money goes back.
    Cancelled,
}

/// Places a paid order.
#[derive(Clone, Copy, Debug)]
pub struct Confirm;

impl Activity for Confirm {
    const NAME: &'static str = "confirm";
    const TRANSACTIONAL: bool = true;
    type Input = Confirmation;
    type Output = Confirmed;

    /// A captured amount or currency that differs from the order's needs an operator: the run is stuck.
    async fn run(&self, cx: &ActivityContext, input: &Confirmation) -> Result<Confirmed, ActivityError> {
        let mut conn = cx.tx().await?;
        let mut order = lock(&mut conn, input.order_id).await?;
        check_amount(&order, &input.paid)?;
        order.book_capture(input.paid.amount).map_err(refused)?;
        if order.state == OrderState::Cancelling {
            store::orders::save(&mut conn, &order).await?;
            return Ok(Confirmed::Cancelled);
        }
        reservations::commit(&mut conn, order.id).await?;
        order.become_stocked(StockState::Committed).map_err(refused)?;
        order.become_state(OrderState::Placed).map_err(refused)?;
        let at = store::now(&mut conn).await?;
        order.placed_at = Some(at);
        store::orders::save(&mut conn, &order).await?;
        Ok(Confirmed::Placed { at })
    }
}

/// Checks that the captured amount and currency are the order's.
pub(super) fn check_amount(order: &Order, paid: &Paid) -> Result<(), ActivityError> {
    if paid.amount == order.total && paid.currency == order.currency {
        return Ok(());
    }
    let message = format!(
        "the order costs {} {}, but {} {} were captured (minor units)",
        order.total, order.currency, paid.amount, paid.currency
    );
    Err(ActivityError::failed("amount_mismatch", message).fatal())
}
