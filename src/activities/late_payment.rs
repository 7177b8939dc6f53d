//! `look_late` and `accept_late_payment`: money that arrived after its order was cancelled. If the stock can be
//! reserved again the order is placed, otherwise the money is refunded; it is never ignored.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Confirmed, IntentRef, Paid, confirm::check_amount, from_gateway, lock, order_reader::OrderReader, refused,
};
use crate::{
    engine::{Activity, ActivityContext, ActivityError},
    orders::{
        History,
        state::{CancelReason, OrderState, StockState},
        store::{self, reservations},
    },
    payments::{IntentStatus, PaymentGateway},
};

/// State of a late payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "found")]
pub enum Late {
    /// The order is still being undone and may yet book the money itself: check again later.
    Wait,
    /// It has been handled already, or there is no money.
    Nothing,
    /// The money is captured but not booked.
    Arrived(Paid),
}

/// Checks whether a late payment still needs handling; changes nothing.
pub struct LookLate {
    pub(super) orders: OrderReader,
    pub(super) gateway: Arc<dyn PaymentGateway>,
}

impl Activity for LookLate {
    const NAME: &'static str = "look_late";
    type Input = IntentRef;
    type Output = Late;

    async fn run(&self, _cx: &ActivityContext, input: &IntentRef) -> Result<Late, ActivityError> {
        let order = self.orders.read(input.order_id).await?;
        match order.state {
            OrderState::Cancelling => return Ok(Late::Wait),
            OrderState::Cancelled if order.captured == 0 => {}
            _ => return Ok(Late::Nothing),
        }
        let intent = self.gateway.get_intent(&input.intent_id).await.map_err(|error| from_gateway(&error))?;
        input.check_owner(&intent)?;
        let arrived = intent.status == IntentStatus::Succeeded;
        Ok(if arrived { Late::Arrived(Paid::of(&intent)?) } else { Late::Nothing })
    }
}

/// Input of `accept_late_payment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct LatePaid {
    /// The order.
    pub order_id: Uuid,
    /// The payment. Steps of a release before have none: theirs is the order's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_id: Option<String>,
    /// What the gateway captured.
    pub paid: Paid,
}

/// Result of `accept_late_payment`.
pub type TakenOn = Option<Confirmed>;

/// Places the order of a late payment after all, or books the money so that it can be refunded. None: nothing to do.
pub struct AcceptLatePayment {
    pub(super) history: Arc<dyn History>,
}

impl Activity for AcceptLatePayment {
    const NAME: &'static str = "accept_late_payment";
    const TRANSACTIONAL: bool = true;
    type Input = LatePaid;
    type Output = TakenOn;

    async fn run(&self, cx: &ActivityContext, input: &LatePaid) -> Result<TakenOn, ActivityError> {
        let mut conn = cx.tx().await?;
        let mut order = lock(&mut conn, input.order_id).await?;
        if order.state != OrderState::Cancelled || order.captured > 0 {
            return Ok(None);
        }
        check_amount(&order, &input.paid)?;
        if order.archived {
            order = store::history::restore(&mut conn, self.history.as_ref(), order).await?;
        }
        order.run_id = cx.run_id();
        if let Some(intent_id) = &input.intent_id {
            // Perhaps not the one that the order tried last: refunds have to go where the money is.
            order.intent_id = Some(intent_id.clone());
        }
        order.book_capture(input.paid.amount).map_err(refused)?;
        let wanted = matches!(order.cancel_reason, Some(CancelReason::PaymentExpired | CancelReason::PaymentFailed));
        let held = wanted && hold_again(&mut conn, &order).await?;
        if !held {
            // It was cancelled on request, or the stock is gone: the order stays cancelled and the money goes back.
            store::orders::save(&mut conn, &order).await?;
            return Ok(Some(Confirmed::Cancelled));
        }
        let at = reservations::commit(&mut conn, &[order.id]).await?;
        order.become_stocked(StockState::Held).map_err(refused)?;
        order.become_stocked(StockState::Committed).map_err(refused)?;
        order.become_state(OrderState::Placed).map_err(refused)?;
        (order.placed_at, order.cancel_reason, order.cancel) = (Some(at), None, None);
        store::orders::save(&mut conn, &order).await?;
        Ok(Some(Confirmed::Placed { at }))
    }
}

/// Tries to reserve all lines again. A shortage changes nothing.
async fn hold_again(conn: &mut sqlx::PgConnection, order: &crate::orders::Order) -> Result<bool, ActivityError> {
    Ok(reservations::reserve(conn, &[order.id]).await?.is_empty())
}
