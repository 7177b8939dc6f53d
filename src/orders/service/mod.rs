//! [`Orders`]: what HTTP and CLI call. Each call records the request and starts or signals the order's run in one
//! transaction. The run does the rest.

mod cancel;
mod compare;
mod differences;
mod fulfil;
mod items;
mod notices;
mod place;
mod place_together;
mod providers;
mod read;
mod vendors;
mod webhook;
mod webhooks_together;

use std::{fmt, sync::Arc};

use sqlx::{PgConnection, PgPool};
use tokio::sync::Semaphore;

use super::{
    SCHEMA, check_schema,
    error::Error,
    notices::Notices,
    order::Order,
    runs::{News, ORDER_CHANGED, OrderChanged},
    settings::ShopSettings,
    store::{
        self,
        history::{History, PostgresHistory},
    },
};
use crate::{
    engine::{self, AuditRecord, Batcher, Engine, Operator, SendSignal, to_json},
    payments::{Secret, Vendor},
};

use self::{place::NewOrder, webhook::Webhook};

pub use self::{
    cancel::CancelOrder,
    compare::Comparison,
    differences::{DifferenceFilter, MendDifference, MendPlan},
    fulfil::{ChangeOrder, Fulfilment, FulfilmentReport, NewDelivery},
    items::PutItem,
    notices::{NotificationFilter, SendNotification},
    place::{Payment, PlaceOrder, Placed, Wanted},
    providers::ProviderInfo,
    read::OrderFilter,
    vendors::{SetBreakers, VendorInfo},
    webhook::WebhookTaken,
};

/// The order service. Cheap to clone.
#[derive(Clone)]
pub struct Orders {
    engine: Engine,
    settings: ShopSettings,
    history: Arc<dyn History>,
    /// Where orders may be paid, in their order; with one of them, there is nothing to choose.
    vendors: Arc<[Vendor]>,
    notices: Arc<Notices>,
    /// Orders that are placed at the same moment.
    placing: Arc<Batcher<NewOrder, Result<Placed, Error>>>,
    /// Webhooks that come at the same moment.
    webhooks: Arc<Batcher<Webhook, Result<WebhookTaken, Error>>>,
    /// For those that wait before they are taken.
    waiting_webhooks: Arc<Semaphore>,
    /// Who acts, for the audit.
    actor: Arc<str>,
}

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orders").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Orders {
    /// A service on the engine's database, which keeps the history too.
    pub fn new(engine: Engine, settings: ShopSettings) -> Self {
        Self {
            engine,
            settings,
            history: Arc::new(PostgresHistory),
            vendors: Arc::new([vendors::first_vendor()]),
            notices: Arc::default(),
            placing: Arc::default(),
            webhooks: Arc::default(),
            waiting_webhooks: Arc::new(Semaphore::new(webhook::MOST_WAITING)),
            actor: "local".into(),
        }
    }

    /// Uses another history store; the activities need the same one.
    pub fn with_history(mut self, history: Arc<dyn History>) -> Self {
        self.history = history;
        self
    }

    /// Sets the first vendor's webhook signing secrets, two during a rotation; without any, webhooks are rejected.
    pub fn with_webhook_secrets(mut self, secrets: Vec<Secret>) -> Self {
        let mut vendors = self.vendors.to_vec();
        if let Some(first) = vendors.first_mut() {
            first.webhook_secrets = secrets;
        }
        self.vendors = vendors.into();
        self
    }

    /// The same service for somebody: the audit has their name on what they cancel, change and report.
    pub fn acting_as(&self, actor: &str) -> Self {
        Self { actor: actor.into(), ..self.clone() }
    }

    /// Puts something that was done on record, in the transaction that does it.
    async fn audit(
        &self,
        conn: &mut PgConnection,
        done: &AuditRecord<'_>,
        reason: Option<&str>,
    ) -> Result<(), engine::Error> {
        self.engine.audit_in(conn, done, &Operator::new(&*self.actor, reason, false)?).await
    }

    /// The engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Makes the engine's schema and the shop's, or brings them up to date. Safe to run twice or side by side.
    ///
    /// # Errors
    /// As [`Engine::migrate`]'s; `invalid_schema` where the engine's is the shop's.
    pub async fn migrate(&self) -> Result<(), Error> {
        check_schema(self.engine.schema_name())?;
        self.engine.migrate().await?;
        Ok(self.engine.apply_migrations(&store::MIGRATIONS, SCHEMA).await?)
    }

    /// The migrations of the shop's schema that the database still lacks; [`Engine::missing_migrations`] has the engine's.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn missing_migrations(&self) -> Result<Vec<i64>, Error> {
        Ok(self.engine.missing_migrations_of(&store::MIGRATIONS, SCHEMA).await?)
    }

    /// The settings.
    pub const fn settings(&self) -> &ShopSettings {
        &self.settings
    }

    /// Checks the books and describes each inconsistency. Reads whole tables.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn book_breaches(&self) -> Result<Vec<String>, Error> {
        book_breaches(self.engine.pool()).await
    }

    /// Age in seconds of the oldest recorded refund that the gateway has not accepted; 0 without any.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn refunds_waiting(&self) -> Result<f64, Error> {
        Ok(store::refunds::oldest_untold(&mut *self.engine.acquire().await?).await?)
    }

    /// Units of an item that orders have committed.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn units_committed(&self, sku: &str) -> Result<i64, Error> {
        Ok(store::books::units_committed(&mut *self.engine.acquire().await?, sku).await?)
    }

    /// Signals the order's run that something has changed, in the caller's transaction.
    async fn tell_run(
        &self,
        conn: &mut PgConnection,
        order: &Order,
        news: News,
        key: Option<&str>,
    ) -> Result<(), engine::Error> {
        let signal = news_of(order, news, key)?;
        self.engine.signal_in(conn, signal.run, ORDER_CHANGED, signal.payload, key).await
    }
}

/// What tells an order's run that something has changed.
fn news_of(order: &Order, news: News, key: Option<&str>) -> Result<SendSignal, engine::Error> {
    let payload = to_json(&OrderChanged { news })
        .map_err(|error| engine::Error::InvalidRequest(format!("the signal has no JSON form: {error}")))?;
    let (name, key) = (ORDER_CHANGED.to_owned(), key.map(str::to_owned));
    Ok(SendSignal { run: order.run_id, name, payload: Some(payload), key })
}

/// Checks a database's books and describes each inconsistency that was not written off. Reads whole tables.
///
/// # Errors
/// When the database can't be reached.
pub async fn book_breaches(pool: &PgPool) -> Result<Vec<String>, Error> {
    let mut conn = pool.acquire().await?;
    let written_off = store::differences::written_off(&mut conn).await?;
    Ok(store::books::find_breaches(&mut conn, &written_off).await?)
}

/// A run that has ended can't act on a request, so the request is refused rather than lost.
fn ended_is_wrong_state(error: engine::Error) -> Error {
    match error {
        engine::Error::RunEnded(run) => Error::WrongState(format!("the order's run {run} has ended")),
        other => other.into(),
    }
}
