//! `notify` and `announce`: say through a [`Notifier`] how far an order has come, after the step that it is about has committed.
//!
//! People are told by [`crate::orders::Notices`], from the order's events. A [`Notifier`] is for who embeds the shop and wants to
//! be called; it may be called twice, with the same key.

use std::{future::Future, pin::Pin, sync::Arc};

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::{OrderRef, order_reader::OrderReader, references::check_run, refused};
use crate::{
    engine::{Activity, ActivityCall, ActivityCalls, ActivityContext, ActivityError, Answer, Lent},
    orders::{
        Error, Order,
        money::format_amount,
        state::{OrderState, Word},
        store,
    },
};

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// The order is paid and placed.
    Placed,
    /// It is being prepared.
    Processing,
    /// It is on its way.
    Shipped,
    /// It has arrived.
    Delivered,
    /// It was cancelled, and what was owed has been refunded.
    Cancelled,
    /// Money was refunded.
    Refunded,
}

/// Who receives a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// The customer.
    Customer,
    /// The seller.
    Seller,
}

/// Input of `notify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Notice {
    /// The order.
    pub order_id: Uuid,
    /// What it is about.
    pub about: About,
    /// Who receives it.
    pub to: Recipient,
}

/// A notice with its text, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// Idempotency key: the same each time a notice is sent.
    pub key: String,
    /// The notice.
    pub notice: Notice,
    /// The customer, to look up an address.
    pub customer_id: String,
    /// One line.
    pub subject: String,
    /// A few sentences.
    pub text: String,
}

/// Why a notification could not be sent.
pub type NotifyError = Box<dyn std::error::Error + Send + Sync>;

/// Future returned by [`Notifier::send`].
pub type NotifyFuture<'a> = Pin<Box<dyn Future<Output = Result<(), NotifyError>> + Send + 'a>>;

/// Sends notifications: to a log, by mail, to a webhook.
pub trait Notifier: Send + Sync + 'static {
    /// Sends one. On `Err` it is retried, and finally left to an operator.
    fn send<'a>(&'a self, notification: &'a Notification) -> NotifyFuture<'a>;
}

/// Writes them to the debug log.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogNotifier;

impl Notifier for LogNotifier {
    fn send<'a>(&'a self, notification: &'a Notification) -> NotifyFuture<'a> {
        Box::pin(async move {
            let Notification { key, notice, subject, .. } = notification;
            tracing::debug!(key, order = %notice.order_id, to = ?notice.to, subject, "the order has come so far");
            Ok(())
        })
    }
}

/// Sends one notice.
pub struct Notify {
    pub(super) orders: OrderReader,
    pub(super) notifier: Arc<dyn Notifier>,
}

impl Activity for Notify {
    const NAME: &'static str = "notify";
    type Input = Notice;
    type Output = ();

    async fn run(&self, cx: &ActivityContext, input: &Notice) -> Result<(), ActivityError> {
        let order = self.orders.read(input.order_id).await?;
        send(self.notifier.as_ref(), cx.key(), &order, *input).await
    }
}

/// The first step: makes sure that the order is this run's, before anything is done to it. Its undo, the last of all, notifies
/// customer and seller that the order was cancelled, after that has been committed.
pub struct Announce {
    pub(super) pool: PgPool,
    pub(super) orders: OrderReader,
    pub(super) notifier: Arc<dyn Notifier>,
}

impl Activity for Announce {
    const NAME: &'static str = "announce";
    const UNDOABLE: bool = true;
    const READ_ONLY: bool = true;
    type Input = OrderRef;
    type Output = ();

    async fn run(&self, cx: &ActivityContext, input: &OrderRef) -> Result<(), ActivityError> {
        check_run(&self.orders.read(input.order_id).await?, cx.run_id())
    }

    async fn run_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<()>>, ActivityError> {
        let ids: Vec<Uuid> = calls.iter().map(|call| call.input.order_id).collect();
        let mut conn = Lent::of(&self.pool).await?;
        let orders = store::orders::rows(&mut conn, &ids).await?;
        conn.give_back();
        let check = |call: &ActivityCall<'_, Self>| match orders.get(&call.input.order_id) {
            Some(order) => check_run(order, call.cx.run_id()),
            None => Err(refused(Error::UnknownOrder(call.input.order_id))),
        };
        Ok(calls.iter().map(|call| call.answer(check(call))).collect())
    }

    fn undo_summary(_: &OrderRef) -> Option<String> {
        Some("notify customer and seller".to_owned())
    }

    async fn undo(&self, cx: &ActivityContext, input: &OrderRef, _output: Option<&()>) -> Result<(), ActivityError> {
        let order = self.orders.read(input.order_id).await?;
        let about = if order.state == OrderState::Cancelled { About::Cancelled } else { About::Refunded };
        for (to, key) in [(Recipient::Customer, "customer"), (Recipient::Seller, "seller")] {
            let notice = Notice { order_id: order.id, about, to };
            send(self.notifier.as_ref(), &format!("{}-{key}", cx.key()), &order, notice).await?;
        }
        Ok(())
    }
}

async fn send(notifier: &dyn Notifier, key: &str, order: &Order, notice: Notice) -> Result<(), ActivityError> {
    let (subject, text) = template(order, notice);
    let customer_id = order.customer_id.clone();
    let notification = Notification { key: key.to_owned(), notice, customer_id, subject, text };
    // Unknown, because a notifier that fails may have sent it; twice is better than not at all.
    notifier.send(&notification).await.map_err(|error| ActivityError::unknown("notify_failed", error.to_string()))
}

/// Subject and text of a notice.
fn template(order: &Order, notice: Notice) -> (String, String) {
    let id = order.id;
    let total = format_amount(order.total, &order.currency);
    let refunded = format_amount(order.refunded, &order.currency);
    let reason = order.cancel_reason.map_or("", Word::word).replace('_', " ");
    match notice.about {
        About::Placed => (format!("Order {id} is placed"), format!("{total} were paid.")),
        About::Processing => (format!("Order {id} is being prepared"), "It can no longer be cancelled.".to_owned()),
        About::Shipped => (format!("Order {id} is on its way"), "It has been dispatched.".to_owned()),
        About::Delivered => (format!("Order {id} was delivered"), "Thank you.".to_owned()),
        About::Cancelled if order.captured > 0 => {
            (format!("Order {id} was cancelled"), format!("Reason: {reason}. {refunded} of {total} were refunded."))
        }
        About::Cancelled => (format!("Order {id} was cancelled"), format!("Reason: {reason}. Nothing was charged.")),
        About::Refunded => (format!("Money of order {id} was refunded"), format!("{refunded} were refunded.")),
    }
}
