//! `archive` and `sweep_archive`: orders that have ended move to the history store.

use std::sync::Arc;

use chrono::{Days, Months};
use serde::{Deserialize, Serialize};

use super::{OrderRef, lock};
use crate::{
    engine::{Activity, ActivityContext, ActivityError},
    orders::{
        History,
        runs::SweepInput,
        state::{OrderState, Word},
        store,
    },
};

/// Orders per transaction of a sweep, so that it stays short.
const MOST_AT_ONCE: i64 = 200;

/// Events and keys per transaction of a sweep.
const MOST_FORGOTTEN: i64 = 5_000;

/// Moves one order to the history.
pub struct Archive {
    pub(super) history: Arc<dyn History>,
}

impl Activity for Archive {
    const NAME: &'static str = "archive";
    const TRANSACTIONAL: bool = true;
    type Input = OrderRef;
    type Output = OrderState;

    async fn run(&self, cx: &ActivityContext, input: &OrderRef) -> Result<OrderState, ActivityError> {
        let mut conn = cx.tx().await?;
        let order = lock(&mut conn, input.order_id).await?;
        if !matches!(order.state, OrderState::Delivered | OrderState::Cancelled) {
            let message = format!("an order that is {} has not ended", order.state.word());
            return Err(ActivityError::failed("wrong_state", message).fatal());
        }
        if !order.archived {
            store::history::archive(&mut conn, self.history.as_ref(), &order).await?;
        }
        Ok(order.state)
    }
}

/// Result of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Swept {
    /// Orders that were archived.
    pub archived: u32,
    /// Months of history that were dropped.
    pub dropped_months: i32,
    /// Events of the gateway and idempotency keys that were forgotten.
    #[serde(default)]
    pub forgotten: u64,
    /// Whether there may be more to archive or to forget.
    pub more: bool,
}

/// Archives ended orders that their runs did not archive, and drops history past its age.
pub struct SweepArchive {
    pub(super) history: Arc<dyn History>,
}

impl Activity for SweepArchive {
    const NAME: &'static str = "sweep_archive";
    const TRANSACTIONAL: bool = true;
    type Input = SweepInput;
    type Output = Swept;

    async fn run(&self, cx: &ActivityContext, input: &SweepInput) -> Result<Swept, ActivityError> {
        let mut conn = cx.tx().await?;
        let due = store::orders::to_archive(&mut conn, input.after_ms as f64 / 1000.0, MOST_AT_ONCE).await?;
        let mut swept = Swept { more: due.len() as i64 == MOST_AT_ONCE, ..Swept::default() };
        for id in due {
            let order = lock(&mut conn, id).await?;
            // A late payment may have arrived between the list and the lock.
            if !order.archived && matches!(order.state, OrderState::Delivered | OrderState::Cancelled) {
                store::history::archive(&mut conn, self.history.as_ref(), &order).await?;
                swept.archived += 1;
            }
        }
        let now = store::now(&mut conn).await?;
        if let Some(before) = now.checked_sub_months(Months::new(input.keep_months)) {
            swept.dropped_months = self.history.drop_before(&mut conn, before).await?;
        }
        if let Some(before) = now.checked_sub_days(Days::new(input.keep_days.into())) {
            swept.forgotten = store::retention::forget(&mut conn, before, MOST_FORGOTTEN).await?;
            swept.more |= swept.forgotten >= MOST_FORGOTTEN.unsigned_abs();
        }
        Ok(swept)
    }
}
