//! A placed order: notices are sent, its refund window passes, fulfilment reports, it is archived; or it is cancelled,
//! and undone by steps forward.
//!
//! Facts (a cancel, a dispatch) are on the order's row before the run is signalled, so the run only reads the order's
//! state: signals that come twice, late or out of order change nothing.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{paying::span, refunding::give_back};
use crate::{
    activities::{About, Archive, CloseOrder, FollowUp, Following, Notice, Notify, OrderRef, Recipient, Restock},
    engine::{Context, Failure, Time, join},
    orders::{
        runs::{ORDER_CHANGED, OrderChanged},
        state::OrderState,
    },
};

/// How an order's run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Ended {
    /// The order.
    pub order_id: Uuid,
    /// Its state.
    pub state: OrderState,
}

/// Sees a placed order through to its end.
pub(super) async fn follow(cx: &Context, following: Following, placed_at: Time) -> Result<Ended, Failure> {
    let order = OrderRef { order_id: following.order_id };
    let window_ends_at = placed_at + span(following.refund_window_ms);
    tell(cx, order, About::Placed).await;
    let mut state = OrderState::Placed;
    loop {
        // The payload is not used, so it may be unreadable: the order's row says what to do.
        let news = cx.signal::<OrderChanged>(ORDER_CHANGED);
        match state {
            OrderState::Placed => drop(news.until(window_ends_at).await),
            _ => drop(news.forever().await),
        }
        let seen = cx.call::<FollowUp>(following).await?;
        for about in seen.reached.iter().filter_map(|state| about(*state)) {
            tell(cx, order, about).await;
        }
        state = seen.state;
        match state {
            OrderState::Cancelling => return unwind(cx, order).await,
            OrderState::Delivered | OrderState::Cancelled => return archive(cx, order).await,
            _ => {}
        }
    }
}

/// Undoes an order whose cancel was accepted after the pivot: the stock is returned at once, the order stays
/// `cancelling` until its refund has settled.
pub(super) async fn unwind(cx: &Context, order: OrderRef) -> Result<Ended, Failure> {
    cx.call::<Restock>(order).await?;
    give_back(cx, order).await?;
    cx.call::<CloseOrder>(order).await?;
    tell(cx, order, About::Cancelled).await;
    archive(cx, order).await
}

pub(super) async fn archive(cx: &Context, order: OrderRef) -> Result<Ended, Failure> {
    let state = cx.call::<Archive>(order).await?;
    Ok(Ended { order_id: order.order_id, state })
}

/// Notifies customer and seller concurrently. A notice that can't be sent is left to an operator; the order continues.
pub(super) async fn tell(cx: &Context, order: OrderRef, about: About) {
    let notice = |to| Notice { order_id: order.order_id, about, to };
    let customer = cx.call::<Notify>(notice(Recipient::Customer)).best_effort();
    let seller = cx.call::<Notify>(notice(Recipient::Seller)).best_effort();
    join(customer, seller).await;
}

const fn about(state: OrderState) -> Option<About> {
    match state {
        OrderState::Processing => Some(About::Processing),
        OrderState::Shipped => Some(About::Shipped),
        OrderState::Delivered => Some(About::Delivered),
        _ => None,
    }
}
