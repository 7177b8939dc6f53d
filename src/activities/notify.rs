//! `notify` and `announce`: telling customer and seller what has become of an order, through a [`Notifier`].
//!
//! A notice is sent after the commit that it speaks of, because that commit is what the step before it made. It may be
//! sent twice; it carries a key by which a sink can tell.

use std::{future::Future, pin::Pin, sync::Arc};

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::{OrderRef, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError},
    orders::{
        Error, Order,
        money::format_amount,
        state::{OrderState, Word},
        store,
    },
};

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// It is paid and placed.
    Placed,
    /// It is being prepared.
    Processing,
    /// It is on its way.
    Shipped,
    /// It has arrived.
    Delivered,
    /// It was cancelled, and what was owed has gone back.
    Cancelled,
    /// Money went back.
    Refunded,
}

/// Whom it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// The one who ordered.
    Customer,
    /// The one who sells.
    Seller,
}

/// A notice to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Notice {
    /// The order.
    pub order_id: Uuid,
    /// What is told.
    pub about: About,
    /// Whom.
    pub to: Recipient,
}

/// A notice as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// The same for all sendings of one notice.
    pub key: String,
    /// The notice.
    pub notice: Notice,
    /// The customer, for the address book of whoever sends it.
    pub customer_id: String,
    /// One line.
    pub subject: String,
    /// A few sentences.
    pub text: String,
}

/// Why a notification was not sent.
pub type NotifyError = Box<dyn std::error::Error + Send + Sync>;

/// What a sending gives.
pub type NotifyFuture<'a> = Pin<Box<dyn Future<Output = Result<(), NotifyError>> + Send + 'a>>;

/// Sends notifications: to a log, by mail, to a webhook.
pub trait Notifier: Send + Sync + 'static {
    /// Sends one. `Err`: it is tried again, and at last left for an operator.
    fn send<'a>(&'a self, notification: &'a Notification) -> NotifyFuture<'a>;
}

/// Writes notifications to the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogNotifier;

impl Notifier for LogNotifier {
    fn send<'a>(&'a self, notification: &'a Notification) -> NotifyFuture<'a> {
        Box::pin(async move {
            let Notification { key, notice, subject, .. } = notification;
            tracing::info!(key, order = %notice.order_id, to = ?notice.to, subject, "told");
            Ok(())
        })
    }
}

/// Tells somebody something.
pub struct Notify {
    pub(super) pool: PgPool,
    pub(super) notifier: Arc<dyn Notifier>,
}

impl Activity for Notify {
    const NAME: &'static str = "notify";
    type Input = Notice;
    type Output = ();

    async fn run(&self, cx: &ActivityContext, input: &Notice) -> Result<(), ActivityError> {
        let order = read(&self.pool, input.order_id).await?;
        send(self.notifier.as_ref(), cx.key(), &order, *input).await
    }
}

/// Owes the people concerned word of how the order ends. Nothing is told when it is made; its undo, the last of all,
/// tells that the order was cancelled, when that has been committed.
pub struct Announce {
    pub(super) pool: PgPool,
    pub(super) notifier: Arc<dyn Notifier>,
}

impl Activity for Announce {
    const NAME: &'static str = "announce";
    const UNDOABLE: bool = true;
    type Input = OrderRef;
    type Output = ();

    async fn run(&self, _cx: &ActivityContext, _input: &OrderRef) -> Result<(), ActivityError> {
        Ok(())
    }

    fn undo_summary(_: &OrderRef) -> Option<String> {
        Some("tell customer and seller".to_owned())
    }

    async fn undo(&self, cx: &ActivityContext, input: &OrderRef, _output: Option<&()>) -> Result<(), ActivityError> {
        let order = read(&self.pool, input.order_id).await?;
        let about = if order.state == OrderState::Cancelled { About::Cancelled } else { About::Refunded };
        for (to, key) in [(Recipient::Customer, "customer"), (Recipient::Seller, "seller")] {
            let notice = Notice { order_id: order.id, about, to };
            send(self.notifier.as_ref(), &format!("{}-{key}", cx.key()), &order, notice).await?;
        }
        Ok(())
    }
}

async fn read(pool: &PgPool, id: Uuid) -> Result<Order, ActivityError> {
    let mut conn = pool.acquire().await?;
    let order = store::orders::find(&mut conn, id).await?;
    order.ok_or_else(|| refused(Error::UnknownOrder(id)))
}

async fn send(notifier: &dyn Notifier, key: &str, order: &Order, notice: Notice) -> Result<(), ActivityError> {
    let (subject, text) = template(order, notice);
    let customer_id = order.customer_id.clone();
    let notification = Notification { key: key.to_owned(), notice, customer_id, subject, text };
    // Unknown, because a sink that fails may have sent it; telling twice is better than not at all.
    notifier.send(&notification).await.map_err(|error| ActivityError::unknown("notify_failed", error.to_string()))
}

/// What people read.
fn template(order: &Order, notice: Notice) -> (String, String) {
    let id = order.id;
    let total = format_amount(order.total, &order.currency);
    let refunded = format_amount(order.refunded, &order.currency);
    let reason = order.cancel_reason.map_or("", Word::word).replace('_', " ");
    match notice.about {
        About::Placed => (format!("Order {id} is placed"), format!("{total} were paid.")),
        About::Processing => (format!("Order {id} is being prepared"), "It can't be cancelled any more.".to_owned()),
        About::Shipped => (format!("Order {id} is on its way"), "It has been dispatched.".to_owned()),
        About::Delivered => (format!("Order {id} was delivered"), "Thank you.".to_owned()),
        About::Cancelled if order.captured > 0 => {
            (format!("Order {id} was cancelled"), format!("Reason: {reason}. {refunded} of {total} were refunded."))
        }
        About::Cancelled => (format!("Order {id} was cancelled"), format!("Reason: {reason}. Nothing was charged.")),
        About::Refunded => (format!("Money of order {id} was refunded"), format!("{refunded} were refunded.")),
    }
}
