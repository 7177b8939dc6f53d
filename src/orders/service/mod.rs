//! [`Orders`]: what HTTP and CLI call. Each call is one transaction: what was asked is recorded, and the order's run is
//! started or signalled, in one commit. What comes of it is the run's.

mod cancel;
mod fulfil;
mod items;
mod place;
mod read;
mod webhook;

use std::{fmt, sync::Arc};

use sqlx::{PgConnection, PgPool};

use super::{
    error::Error,
    order::Order,
    runs::{News, ORDER_CHANGED, OrderChanged},
    settings::ShopSettings,
    store::{
        self,
        history::{History, PostgresHistory},
    },
};
use crate::{
    engine::{self, Engine, to_json},
    payments::Secret,
};

pub use self::{
    cancel::CancelOrder,
    fulfil::{ChangeOrder, Fulfilment, FulfilmentReport, NewDelivery},
    items::PutItem,
    place::{Payment, PlaceOrder, Placed, Wanted},
    read::OrderFilter,
    webhook::WebhookTaken,
};

/// The order service. Cheap to clone.
#[derive(Clone)]
pub struct Orders {
    engine: Engine,
    settings: ShopSettings,
    history: Arc<dyn History>,
    webhook_secrets: Vec<Secret>,
}

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orders").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Orders {
    /// The service over an engine's database, with the history in the same.
    pub fn new(engine: Engine, settings: ShopSettings) -> Self {
        Self { engine, settings, history: Arc::new(PostgresHistory), webhook_secrets: Vec::new() }
    }

    /// With another history store; the activities need the same.
    pub fn with_history(mut self, history: Arc<dyn History>) -> Self {
        self.history = history;
        self
    }

    /// With the secrets that webhooks may be signed with; without any, none is taken. Two, while one replaces the other.
    pub fn with_webhook_secrets(mut self, secrets: Vec<Secret>) -> Self {
        self.webhook_secrets = secrets;
        self
    }

    /// The engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The settings.
    pub const fn settings(&self) -> &ShopSettings {
        &self.settings
    }

    /// What does not add up in the books; none when all does. Reads whole tables.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn book_breaches(&self) -> Result<Vec<String>, Error> {
        book_breaches(self.engine.pool()).await
    }

    /// How long the oldest refund has been on record without the gateway having taken it, in seconds; 0 when there is none.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn outbox_lag(&self) -> Result<f64, Error> {
        Ok(store::refunds::oldest_untold(&mut *self.engine.pool().acquire().await?).await?)
    }

    /// Units of an item that orders have taken for good.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn units_committed(&self, sku: &str) -> Result<i64, Error> {
        Ok(store::books::units_committed(&mut *self.engine.pool().acquire().await?, sku).await?)
    }

    /// Tells the order's run that something has changed, in the caller's transaction.
    async fn tell_run(
        &self,
        conn: &mut PgConnection,
        order: &Order,
        news: News,
        key: Option<&str>,
    ) -> Result<(), engine::Error> {
        let payload = to_json(&OrderChanged { news })
            .map_err(|error| engine::Error::InvalidRequest(format!("the signal has no JSON form: {error}")))?;
        self.engine.signal_in(conn, order.run_id, ORDER_CHANGED, Some(payload), key).await
    }
}

/// What does not add up in a database's books; none when all does. Reads whole tables.
///
/// # Errors
/// When the database can't be reached.
pub async fn book_breaches(pool: &PgPool) -> Result<Vec<String>, Error> {
    Ok(store::books::breaches(&mut *pool.acquire().await?).await?)
}

/// A run that has ended can't act on what is asked, so asking is refused rather than forgotten.
fn ended_is_wrong_state(error: engine::Error) -> Error {
    match error {
        engine::Error::RunEnded(run) => Error::WrongState(format!("the order's run {run} has ended")),
        other => other.into(),
    }
}
