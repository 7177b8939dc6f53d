//! Cancelling: a cancel is accepted durably, with its terms fixed by the database's clock; the run carries it out.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Orders, ended_is_wrong_state, place::within};
use crate::{
    engine::{AuditRecord, Time},
    orders::{
        error::Error,
        money::WHOLE_BP,
        order::{Cancel, Order},
        runs::{self, News},
        state::{CancelBy, OrderState, Word},
        store,
    },
};

/// A request to cancel an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CancelOrder {
    /// Why, as free text.
    #[cfg_attr(feature = "server", schema(max_length = 500, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who requests it; the customer by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<CancelBy>,
}

impl Orders {
    /// Accepts a cancel. Repeating it changes nothing, unless the new terms are better and no refund was issued yet.
    ///
    /// # Errors
    /// `unknown_order`; `window_closed` for a customer after the refund window, in any state of the order or its run;
    /// `wrong_state` for an order that has been dispatched, or whose run has ended.
    pub async fn cancel(&self, id: Uuid, request: &CancelOrder) -> Result<Order, Error> {
        if let Some(reason) = &request.reason {
            within("reason", reason, 500)?;
        }
        let by = request.by.unwrap_or(CancelBy::Customer);
        let mut tx = self.engine.begin().await?;
        let mut order = store::orders::lock(&mut tx, id).await?.ok_or(Error::UnknownOrder(id))?;
        // Read after the lock was acquired: acceptance is now, not when this began to wait.
        let now = store::now(&mut tx).await?;
        let bp = terms(&order, by, now)?;
        let before = order.state.word();
        let accepted = Cancel { at: now, by, bp, note: request.reason.clone() };
        let changed = match order.state {
            OrderState::Cancelled => false,
            OrderState::Cancelling => {
                let better = order.cancel.as_ref().is_some_and(|earlier| earlier.bp < bp);
                if better && !store::refunds::has_any(&mut tx, id).await? {
                    order.cancel = Some(accepted);
                    order.cancel_reason = Some(by.reason());
                    true
                } else {
                    false
                }
            }
            state if state.can_be_cancelled() && order.dispatched_at.is_none() => {
                order.begin_cancelling(by.reason())?;
                order.cancel = Some(accepted);
                true
            }
            state if order.dispatched_at.is_some() => {
                let message = format!("the order is {} and has been dispatched: it can't be cancelled", state.word());
                return Err(Error::WrongState(message));
            }
            state => return Err(Error::WrongState(format!("an order that is {} can't be cancelled", state.word()))),
        };
        if changed {
            store::orders::save(&mut tx, &order).await?;
            let done = AuditRecord {
                action: "cancel_order",
                run: Some(order.run_id),
                subject: Some(&format!("order {id}")),
                before: Some(json!({"state": before})),
                after: Some(json!({"state": order.state.word(), "by": by, "refund_bp": bp})),
            };
            self.audit(&mut tx, &done, request.reason.as_deref()).await?;
            self.tell_run(&mut tx, &order, News::Cancel, None).await.map_err(ended_is_wrong_state)?;
        }
        tx.commit().await?;
        self.engine.hint();
        self.get(id).await.map_err(Error::after_write)
    }
}

/// The refund of such a cancel at this moment, in basis points.
fn terms(order: &Order, by: CancelBy, now: Time) -> Result<u32, Error> {
    match (by, order.placed_at) {
        (CancelBy::Customer, Some(placed_at)) => {
            let tiers = runs::tiers(order)?;
            let age = (now - placed_at).to_std().unwrap_or_default();
            tiers.at(age).ok_or(Error::WindowClosed(tiers.window()))
        }
        _ => Ok(WHOLE_BP),
    }
}
