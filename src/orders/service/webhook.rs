//! The gateway's webhooks: verified, recorded once per event id, and passed on.
//!
//! An event is a hint, not a fact: no state is moved here. The order's run is signalled and asks the gateway itself, unless
//! the order shows already what the event tells. If the order was cancelled before the money was known, a `late_payment` run
//! handles it.

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Orders;
use crate::{
    engine::{
        self, Time,
        check::{check_filled, check_json, check_text, check_time},
    },
    orders::{error::Error, order::Order, store},
    payments::{
        IntentStatus,
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
    /// The order shows this payment already: there is nothing to tell its run.
    Booked,
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

/// A webhook that is verified.
#[derive(Clone)]
pub(super) struct Webhook {
    pub(super) event: WebhookEvent,
    /// The order that it says it is about.
    pub(super) order: Option<Uuid>,
    pub(super) body: String,
    /// It has waited for the order to show what it tells.
    pub(super) waited: bool,
}

/// The longest id or type of an event.
const LONGEST_WORD: usize = 255;
/// How long the news of a payment waits that has succeeded just now. The charge that brought it about is answered at the same
/// moment, and then the order shows it soon: a run that is told as well has 6 row versions more to write, beside some 34.
const ANSWER_WITHIN: Duration = Duration::from_millis(250);
/// By the vendor's clock; older news is of a payment that nobody here waits for.
const JUST_NOW_S: u64 = 2;
/// Webhooks that wait at the same time, at most; others are taken at once.
pub(super) const MOST_WAITING: usize = 1_000;

impl WebhookTaken {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Signalled => "signalled",
            Self::Booked => "booked",
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
        let now_s = i64::try_from(now_s).unwrap_or(0);
        let received = webhook::receive_from(vendor, header, body, now_s);
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
        let order = self.order_of(&event.subject).await?;
        let waited = is_of_just_now(&event, now_s) && self.wait_for_answer().await;
        let taken = self.take_together(Webhook { event, order, body: body.into_owned(), waited }).await?;
        Ok(taken)
    }

    /// Nothing is recorded meanwhile: a vendor that gives up sends it again. False: very many wait.
    async fn wait_for_answer(&self) -> bool {
        let Ok(_waits) = self.waiting_webhooks.try_acquire() else { return false };
        tokio::time::sleep(ANSWER_WITHIN).await;
        true
    }

    /// Finds the order by our own reference first, or else by the intent.
    async fn order_of(&self, subject: &Subject) -> Result<Option<Uuid>, Error> {
        let (reference, intent) = match subject {
            Subject::Intent(intent) => (intent.order_id.as_deref(), Some(intent.id.as_str())),
            Subject::Refund(refund) => (refund.order_id.as_deref(), refund.intent_id.as_deref()),
            Subject::Other => return Ok(None),
        };
        match (reference.and_then(|reference| Uuid::try_parse(reference).ok()), intent) {
            (Some(order), _) => Ok(Some(order)),
            (None, Some(intent)) => {
                let mut conn = self.engine.acquire().await?;
                Ok(store::orders::id_of_intent(&mut conn, intent).await?)
            }
            (None, None) => Ok(None),
        }
    }
}

impl Webhook {
    /// What nearly always comes of it, so that the row is written once.
    pub(super) const fn expected(&self) -> WebhookTaken {
        match (&self.event.subject, self.order) {
            (Subject::Other, _) => WebhookTaken::OfNoUse,
            (_, None) => WebhookTaken::NoOrder,
            (_, Some(_)) if self.waited => WebhookTaken::Booked,
            (_, Some(_)) => WebhookTaken::Signalled,
        }
    }

    /// What has come of it before any run was signalled. `found`: its order, if it was recorded.
    pub(super) const fn at_first(&self, found: Option<&Option<Order>>) -> WebhookTaken {
        match (found, &self.event.subject) {
            (None, _) => WebhookTaken::Duplicate,
            (_, Subject::Other) => WebhookTaken::OfNoUse,
            (Some(_), _) => WebhookTaken::NoOrder,
        }
    }

    pub(super) fn row(&self) -> store::inbox::NewEvent<'_> {
        store::inbox::NewEvent {
            id: &self.event.id,
            event_type: &self.event.event_type,
            order: self.order,
            made_at_s: self.event.created,
            body: &self.body,
            handled: self.expected().word(),
        }
    }
}

fn is_of_just_now(event: &WebhookEvent, now_s: i64) -> bool {
    let succeeded = matches!(&event.subject, Subject::Intent(intent) if intent.status == IntentStatus::Succeeded);
    succeeded && now_s.abs_diff(event.created) <= JUST_NOW_S
}

/// Whether an event can be kept: its signature says who sent it, not that it is sound.
fn check(event: &WebhookEvent, body: &str) -> Result<(), engine::Error> {
    check_filled("id", &event.id, LONGEST_WORD)?;
    check_text("type", &event.event_type, LONGEST_WORD)?;
    check_time("created", Time::from_timestamp(event.created, 0).unwrap_or(Time::MAX_UTC))?;
    check_json("body", body)
}
