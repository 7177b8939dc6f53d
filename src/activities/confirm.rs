//! `confirm`: the money is there, so the stock is committed and the order placed; unless a cancel came before.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Paid, lock, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError, Time},
    orders::{
        Order,
        state::{OrderState, StockState},
        store::{self, holds},
    },
};

/// What is to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Confirmation {
    /// The order.
    pub order_id: Uuid,
    /// What the gateway captured.
    pub paid: Paid,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Confirmed {
    /// It is placed.
    Placed {
        /// When: refund tiers count from here.
        at: Time,
    },
    /// A cancel was accepted before: the money goes back.
    Cancelled,
}

/// Places an order that was paid.
#[derive(Clone, Copy, Debug)]
pub struct Confirm;

impl Activity for Confirm {
    const NAME: &'static str = "confirm";
    const TRANSACTIONAL: bool = true;
    type Input = Confirmation;
    type Output = Confirmed;

    /// An amount or currency that is not the order's is for an operator to judge: the run stays where it is.
    async fn run(&self, cx: &ActivityContext, input: &Confirmation) -> Result<Confirmed, ActivityError> {
        let mut conn = cx.tx().await?;
        let mut order = lock(&mut conn, input.order_id).await?;
        check_amount(&order, &input.paid)?;
        order.book_capture(input.paid.amount).map_err(refused)?;
        if order.state == OrderState::Cancelling {
            store::orders::save(&mut conn, &order).await?;
            return Ok(Confirmed::Cancelled);
        }
        holds::commit(&mut conn, order.id).await?;
        order.become_stocked(StockState::Committed).map_err(refused)?;
        order.become_state(OrderState::Placed).map_err(refused)?;
        let at = store::now(&mut conn).await?;
        order.placed_at = Some(at);
        store::orders::save(&mut conn, &order).await?;
        Ok(Confirmed::Placed { at })
    }
}

/// Whether what was captured is what the order costs.
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
