//! The gateway's webhooks: verified, recorded once per event id, and passed on.
//!
//! An event is a hint, not a fact: no state is moved here. The order's run is signalled and asks the gateway itself. If
//! the order was cancelled before the money was known, a `late_payment` run handles it.

use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Orders;
use crate::{
    engine::{
        self, StartRun, Time,
        check::{check_filled, check_json, check_text, check_time},
        to_json,
    },
    orders::{
        error::Error,
        order::Order,
        runs::{LATE_PAYMENT, LatePaymentInput, News},
        state::OrderState,
        store,
    },
    payments::{
        Intent, IntentStatus,
        webhook::{self, Subject, WebhookError, WebhookEvent},
    },
};

/// Result of a webhook. All are answered with 200: the event is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WebhookTaken {
    /// The order's run was signalled.
    Signalled,
    /// A run for the late payment was started, now or earlier.
    LatePayment,
    /// The event was recorded before.
    Duplicate,
    /// The order's run has ended, and nothing is left to do.
    RunEnded,
    /// The event belongs to no known order.
    NoOrder,
    /// An event type that orders don't use.
    OfNoUse,
}

/// The longest id or type of an event.
const LONGEST_WORD: usize = 255;

impl WebhookTaken {
    const fn word(self) -> &'static str {
        match self {
            Self::Signalled => "signalled",
            Self::LatePayment => "late_payment",
            Self::Duplicate => "duplicate",
            Self::RunEnded => "run_ended",
            Self::NoOrder => "no_order",
            Self::OfNoUse => "of_no_use",
        }
    }
}

impl Orders {
    /// Handles a webhook of a vendor, given its raw body and its headers.
    ///
    /// # Errors
    /// `unknown_vendor`. The signature's codes and `webhook_unreadable`: answer 400; only the latter, which is signed, is recorded. Otherwise the
    /// database failed: answer 503, and the gateway sends it again.
    pub async fn webhook<'a>(
        &self,
        vendor: &str,
        header: impl Fn(&str) -> Option<&'a str> + Send,
        body: &[u8],
    ) -> Result<WebhookTaken, Error> {
        let vendor = self.vendor(vendor)?;
        // The gateway signs with its wall-clock time, so compare with ours.
        let now_s = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let received = webhook::receive_from(vendor, header, body, i64::try_from(now_s).unwrap_or(0));
        let event = match received {
            Ok(event) => event,
            Err(refused) => {
                // Anybody can send what is not signed: that leaves no row.
                if let WebhookError::Unreadable(_) = &refused {
                    let mut conn = self.engine.acquire().await?;
                    let bytes = i64::try_from(body.len()).unwrap_or(i64::MAX);
                    store::inbox::reject(&mut conn, refused.code(), &Sha256::digest(body), bytes).await?;
                }
                return Err(Error::WebhookRefused { code: refused.code(), message: refused.to_string() });
            }
        };
        let body = String::from_utf8_lossy(body);
        check(&event, &body).map_err(|error| {
            let message = error.to_string();
            Error::WebhookRefused { code: "webhook_unreadable", message }
        })?;
        let mut tx = self.engine.begin().await?;
        let taken = self.take(&mut tx, &event, &body).await?;
        tx.commit().await?;
        self.engine.hint();
        tracing::debug!(event = event.id, kind = event.event_type, taken = taken.word(), "handled a webhook");
        Ok(taken)
    }

    async fn take(&self, tx: &mut PgConnection, event: &WebhookEvent, body: &str) -> Result<WebhookTaken, Error> {
        let order = order_of(tx, &event.subject).await?;
        let new = store::inbox::NewEvent {
            id: &event.id,
            event_type: &event.event_type,
            order,
            made_at_s: event.created,
            body,
        };
        // What nearly always comes of it, so that the row is written once.
        let expected = match (&event.subject, order) {
            (Subject::Other, _) => WebhookTaken::OfNoUse,
            (_, None) => WebhookTaken::NoOrder,
            (_, Some(_)) => WebhookTaken::Signalled,
        };
        let Some(order) = store::inbox::record(tx, new, expected.word()).await? else {
            return Ok(WebhookTaken::Duplicate);
        };
        let taken = self.pass_on(tx, event, order).await?;
        if taken != expected {
            store::inbox::mark_handled(tx, &event.id, taken.word()).await?;
        }
        Ok(taken)
    }

    /// `order` is locked.
    async fn pass_on(
        &self,
        tx: &mut PgConnection,
        event: &WebhookEvent,
        order: Option<Order>,
    ) -> Result<WebhookTaken, Error> {
        let news = match &event.subject {
            Subject::Intent(_) => News::Payment,
            Subject::Refund(_) => News::Refund,
            Subject::Other => return Ok(WebhookTaken::OfNoUse),
        };
        let Some(order) = order else { return Ok(WebhookTaken::NoOrder) };
        let received = match self.tell_run(tx, &order, news, Some(&event.id)).await {
            Ok(()) => WebhookTaken::Signalled,
            Err(engine::Error::RunEnded(_) | engine::Error::UnknownRun(_)) => WebhookTaken::RunEnded,
            Err(other) => return Err(other.into()),
        };
        match &event.subject {
            Subject::Intent(intent) if is_late(&order, intent) => self.start_late_payment(tx, &order, intent).await,
            _ => Ok(received),
        }
    }

    /// Starts one run per payment, however many events report it.
    async fn start_late_payment(
        &self,
        tx: &mut PgConnection,
        order: &Order,
        intent: &Intent,
    ) -> Result<WebhookTaken, Error> {
        let input = LatePaymentInput::new(order, &intent.id)?;
        let input = to_json(&input).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        let tags = [("order".to_owned(), order.id.to_string())].into();
        let start = StartRun { parent_id: Some(order.run_id), tags, ..StartRun::named(LATE_PAYMENT, input) };
        self.engine.start_in(tx, start.key(&intent.id)).await?;
        Ok(WebhookTaken::LatePayment)
    }
}

/// Whether an event can be kept: its signature says who sent it, not that it is sound.
fn check(event: &WebhookEvent, body: &str) -> Result<(), engine::Error> {
    check_filled("id", &event.id, LONGEST_WORD)?;
    check_text("type", &event.event_type, LONGEST_WORD)?;
    check_time("created", Time::from_timestamp(event.created, 0).unwrap_or(Time::MAX_UTC))?;
    check_json("body", body)
}

/// Whether this is unbooked money of an order that is cancelled or about to be. In the latter case the order's own run
/// may still book it; the late payment's run waits for that and then finds nothing to do.
fn is_late(order: &Order, intent: &Intent) -> bool {
    let cancelled = matches!(order.state, OrderState::Cancelling | OrderState::Cancelled);
    cancelled && order.captured == 0 && intent.status == IntentStatus::Succeeded
}

/// Finds the order by our own reference first, or else by the intent.
async fn order_of(tx: &mut PgConnection, subject: &Subject) -> Result<Option<Uuid>, sqlx::Error> {
    let (reference, intent) = match subject {
        Subject::Intent(intent) => (intent.order_id.as_deref(), Some(intent.id.as_str())),
        Subject::Refund(refund) => (refund.order_id.as_deref(), refund.intent_id.as_deref()),
        Subject::Other => return Ok(None),
    };
    match (reference.and_then(|reference| Uuid::try_parse(reference).ok()), intent) {
        (Some(order), _) => Ok(Some(order)),
        (None, Some(intent)) => store::orders::id_of_intent(tx, intent).await,
        (None, None) => Ok(None),
    }
}
