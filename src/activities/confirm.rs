//! `confirm`: after payment, commits the stock and places the order, unless a cancel was accepted first.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Paid,
    references::check_run,
    refused,
    together::{Results, answers, apply, inputs_by_run, lock_all, only, read_off, save_all},
};
use crate::{
    engine::{Activity, ActivityCalls, ActivityContext, ActivityError, Answer, RunId, Time},
    orders::{
        Order,
        state::{OrderState, StockState},
        store::reservations,
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
        only(confirm(&mut *cx.tx().await?, &[(input, cx.run_id())]).await?)
    }

    async fn run_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<Confirmed>>, ActivityError> {
        answers(calls, confirm(&mut *calls.tx().await?, &inputs_by_run(calls)).await?)
    }
}

async fn confirm(
    conn: &mut PgConnection,
    inputs: &[(&Confirmation, RunId)],
) -> Result<Results<Confirmed>, ActivityError> {
    let ids: Vec<Uuid> = inputs.iter().map(|(input, _)| input.order_id).collect();
    let mut confirmed = apply(lock_all(conn, &ids).await?, inputs, |order, (input, run)| {
        check_run(order, *run)?;
        check_amount(order, &input.paid)?;
        order.book_capture(input.paid.amount).map_err(refused)?;
        if order.state == OrderState::Cancelling {
            return Ok(());
        }
        order.become_stocked(StockState::Committed).map_err(refused)?;
        order.become_state(OrderState::Placed).map_err(refused)
    });
    let orders = confirmed.iter_mut().flatten().map(|moved| &mut moved.order);
    let mut placed: Vec<&mut Order> = orders.filter(|order| order.state == OrderState::Placed).collect();
    let ids: Vec<Uuid> = placed.iter().map(|order| order.id).collect();
    if !ids.is_empty() {
        let at = reservations::commit(conn, &ids).await?;
        placed.iter_mut().for_each(|order| order.placed_at = Some(at));
    }
    save_all(conn, &confirmed).await?;
    Ok(read_off(confirmed, |order| match order.placed_at {
        Some(at) if order.state == OrderState::Placed => Confirmed::Placed { at },
        _ => Confirmed::Cancelled,
    }))
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
