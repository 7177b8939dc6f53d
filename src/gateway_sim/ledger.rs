//! The bank's side: intents, captured money, and pending moves. Pure: no HTTP, no clock, no waiting.
//!
//! Every function takes the time (Unix milliseconds) and leaves the ledger consistent. The legal moves of an intent:
//!
//! ```text
//! requires_confirmation ──> succeeded                      captured = amount
//!          │      ├───────> requires_capture ──> succeeded  capture_method=manual; or canceled
//!          │      ├───────> processing ──> succeeded        when due
//!          │      └───────> requires_payment_method         declined
//!          └──────────────> canceled <── requires_payment_method
//!                              ▲  └──> succeeded            tok_late_success only
//!                         processing                        tok_late_success only
//! ```
//!
//! Refunds are in `refunds`, the idempotency of calls in `idempotency`.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Config, acquirer_json,
    faults::{Fault, LateCancel, RefundFailure},
    kept::Kept,
    objects::{Event, Intent, IntentStatus, Metadata, Refund, RefundStatus, Reply, new_id},
};
use crate::payments::VendorKind;

/// Answer to a confirm, and how it is sent.
#[derive(Debug, PartialEq)]
pub(super) enum Confirmed {
    /// Executed; the answer is stored under the key.
    Answer(Reply),
    /// Executed; the answer is stored but never sent.
    Unanswered(Reply),
    /// Executing; the answer is the intent after this time.
    AnswerAfter(Duration),
    /// Not executed and never answered.
    Ignored,
}

/// An event that happens by itself at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Due {
    /// An acquirer's decision on an authorisation.
    Authorise(String),
    Capture(String),
    Refund {
        id: String,
        succeeds: bool,
    },
}

pub(super) struct Ledger {
    pub(super) intents: Kept<Intent>,
    pub(super) refunds: Kept<Refund>,
    pub(super) due: BTreeSet<(i64, Due)>,
    events: Vec<Event>,
    pub(super) kind: VendorKind,
    pub(super) decides_after: Duration,
    pub(super) late_cancel: LateCancel,
    pub(super) refund_failure: RefundFailure,
    pub(super) refund_settles_after: Duration,
    pub(super) slow: Duration,
    late_after: Duration,
    pub(super) late_at_most: Duration,
}

/// The parameters of a new intent.
pub(super) struct NewIntent {
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) token: Option<String>,
    pub(super) manual: bool,
    pub(super) metadata: Metadata,
}

/// The parameters of a confirm.
#[derive(Debug, Default)]
pub(super) struct Confirm {
    /// Another payment method than before.
    pub(super) token: Option<String>,
    pub(super) manual: Option<bool>,
}

impl Ledger {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            intents: Kept::default(),
            refunds: Kept::default(),
            due: BTreeSet::new(),
            events: Vec::new(),
            kind: config.kind,
            decides_after: config.decides_after,
            late_cancel: config.late_cancel,
            refund_failure: config.refund_failure,
            refund_settles_after: config.refund_settles_after,
            slow: config.slow,
            late_after: config.late_after,
            late_at_most: config.late_at_most,
        }
    }

    /// Deletes all payments, refunds and pending events; the switches stay.
    pub(super) fn forget(&mut self) {
        self.intents = Kept::default();
        self.refunds = Kept::default();
        self.due.clear();
        self.events.clear();
    }

    /// Events since the last call, oldest first.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub(super) fn to_json(&self) -> Value {
        let mut payments: Vec<&Intent> = self.intents.iter().collect();
        payments.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        let payments: Vec<Value> = payments.into_iter().map(Intent::to_ledger).collect();
        json!({ "payments": payments })
    }

    pub(super) fn create(&mut self, new: NewIntent, key: Option<String>, now: i64) -> Reply {
        let intent = Intent {
            id: new_id("pi"),
            status: match new.token {
                Some(_) => IntentStatus::RequiresConfirmation,
                None => IntentStatus::RequiresPaymentMethod,
            },
            token: new.token,
            manual: new.manual,
            amount: new.amount,
            currency: new.currency,
            metadata: new.metadata,
            captured: 0,
            refunded: 0,
            refund_pending: 0,
            declined: false,
            flaked: 0,
            healed: false,
            key,
            created_ms: now,
        };
        let reply = Reply::ok(intent.to_json());
        self.intents.insert(&intent.id.clone(), intent);
        reply
    }

    pub(super) fn get(&self, id: &str) -> Result<&Intent, Reply> {
        self.intents.get(id).ok_or_else(|| Reply::missing("payment_intent", id))
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Result<&mut Intent, Reply> {
        self.intents.get_mut(id).ok_or_else(|| Reply::missing("payment_intent", id))
    }

    /// Confirms. `Err` is an answer that is not stored: nothing was executed.
    pub(super) fn confirm(
        &mut self,
        id: &str,
        how: Confirm,
        key: Option<String>,
        now: i64,
    ) -> Result<Confirmed, Reply> {
        let authorises_apart = self.kind == VendorKind::Acquirer;
        let intent = self.get_mut(id)?;
        let again = intent.status == IntentStatus::RequiresPaymentMethod && how.token.is_some();
        if intent.status != IntentStatus::RequiresConfirmation && !again {
            return Err(unexpected_state(intent, "confirmed"));
        }
        if how.token.is_some() {
            (intent.token, intent.declined, intent.status) = (how.token, false, IntentStatus::RequiresConfirmation);
        }
        intent.manual = how.manual.unwrap_or(intent.manual);
        match fault_of(intent) {
            Fault::TimeoutBefore => return Ok(Confirmed::Ignored),
            Fault::Busy => return Err(Reply::error(429, "invalid_request_error", "rate_limit", "Too many requests.")),
            Fault::Flaky(times) if intent.flaked < times => {
                intent.flaked += 1;
                return Err(Reply::api_error(503, "Try again later."));
            }
            _ => {}
        }
        if key.is_some() {
            intent.key = key;
        }
        if authorises_apart {
            return self.authorise(id, now);
        }
        match fault_of(intent) {
            Fault::Declined => Ok(Confirmed::Answer(self.decline(id, now)?)),
            Fault::None if intent.manual => {
                intent.status = IntentStatus::RequiresCapture;
                self.intent_event(id, "payment_intent.amount_capturable_updated", now);
                Ok(Confirmed::Answer(Reply::ok(self.get(id)?.to_json())))
            }
            Fault::Slow => {
                intent.status = IntentStatus::Processing;
                let slow = self.slow;
                self.schedule(now, slow, Due::Capture(id.to_owned()));
                Ok(Confirmed::AnswerAfter(slow))
            }
            Fault::LateSuccess => {
                intent.status = IntentStatus::Processing;
                self.schedule(now, self.late_at_most, Due::Capture(id.to_owned()));
                self.intent_event(id, "payment_intent.processing", now);
                Ok(Confirmed::Answer(Reply::ok(self.get(id)?.to_json())))
            }
            fault => {
                self.capture(id, now);
                let reply = Reply::ok(self.get(id)?.to_json());
                Ok(match fault {
                    Fault::TimeoutAfter => Confirmed::Unanswered(reply),
                    Fault::ServerErrorAfter => {
                        Confirmed::Answer(Reply::api_error(500, "An unexpected error occurred on our side."))
                    }
                    _ => Confirmed::Answer(reply),
                })
            }
        }
    }

    /// Captures what a confirm has authorised, or a part of it. `Err` is an answer that is not stored.
    pub(super) fn capture_authorised(&mut self, id: &str, amount: Option<i64>, now: i64) -> Result<Reply, Reply> {
        let intent = self.get_mut(id)?;
        if intent.status != IntentStatus::RequiresCapture {
            return Err(unexpected_state(intent, "captured"));
        }
        let amount = amount.unwrap_or(intent.amount);
        if amount > intent.amount {
            let message = format!("The amount to capture ({amount}) is greater than what is authorised.");
            return Err(Reply::invalid("amount_too_large", &message));
        }
        (intent.status, intent.captured) = (IntentStatus::Succeeded, amount);
        self.intent_event(id, "payment_intent.succeeded", now);
        Ok(Reply::ok(self.get(id)?.to_json()))
    }

    /// Voids. `Err` is an answer that is not stored.
    pub(super) fn cancel(&mut self, id: &str, now: i64) -> Result<Reply, Reply> {
        let intent = self.get(id)?;
        let late = fault_of(intent) == Fault::LateSuccess;
        match intent.status {
            IntentStatus::RequiresConfirmation
            | IntentStatus::RequiresPaymentMethod
            | IntentStatus::RequiresCapture => {}
            IntentStatus::Processing if late => {
                let refused = unexpected_state(intent, "canceled");
                self.hasten(id, now);
                if self.late_cancel == LateCancel::Refused {
                    return Err(refused);
                }
            }
            IntentStatus::Processing | IntentStatus::Succeeded | IntentStatus::Canceled => {
                return Err(unexpected_state(intent, "canceled"));
            }
        }
        self.get_mut(id)?.status = IntentStatus::Canceled;
        self.intent_event(id, "payment_intent.canceled", now);
        Ok(Reply::ok(self.get(id)?.to_json()))
    }

    /// Carries out what is due by `now`.
    pub(super) fn advance(&mut self, now: i64) {
        while let Some((at, _)) = self.due.first()
            && *at <= now
        {
            let Some((_, due)) = self.due.pop_first() else {
                return;
            };
            match due {
                Due::Authorise(id) => self.decide(&id, now),
                Due::Capture(id) => self.capture(&id, now),
                Due::Refund { id, succeeds } => self.settle_refund(&id, succeeds, now),
            }
        }
    }

    /// Carries out all pending events now. Returns their number.
    pub(super) fn settle_all(&mut self, now: i64) -> usize {
        let waiting = self.due.len();
        self.due = std::mem::take(&mut self.due).into_iter().map(|(_, due)| (now, due)).collect();
        self.advance(now);
        waiting
    }

    pub(super) fn schedule(&mut self, now: i64, after: Duration, due: Due) {
        let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        self.due.insert((now.saturating_add(after), due));
    }

    pub(super) fn push_event(&mut self, event: Event) {
        if event.deliveries > 0 {
            self.events.push(event);
        }
    }

    /// The first cancel schedules a late payment; later ones don't postpone it.
    fn hasten(&mut self, id: &str, now: i64) {
        let wanted = Due::Capture(id.to_owned());
        let planned = self.due.iter().find(|(_, due)| *due == wanted).cloned();
        if let Some(planned) = planned {
            let at = planned.0;
            self.due.remove(&planned);
            let soon = i64::try_from(self.late_after.as_millis()).unwrap_or(i64::MAX);
            self.due.insert((at.min(now.saturating_add(soon)), wanted));
        }
    }

    pub(super) fn capture(&mut self, id: &str, now: i64) {
        if let Some(intent) = self.intents.get_mut(id) {
            intent.status = IntentStatus::Succeeded;
            intent.captured = intent.amount;
            self.intent_event(id, "payment_intent.succeeded", now);
        }
    }

    pub(super) fn decline(&mut self, id: &str, now: i64) -> Result<Reply, Reply> {
        let intent = self.get_mut(id)?;
        intent.status = IntentStatus::RequiresPaymentMethod;
        intent.declined = true;
        let mut reply = Reply::error(402, "card_error", "card_declined", "Your card was declined.").about(intent);
        reply.body["error"]["decline_code"] = json!("generic_decline");
        self.intent_event(id, "payment_intent.payment_failed", now);
        Ok(reply)
    }

    pub(super) fn intent_event(&mut self, id: &str, kind: &'static str, now: i64) {
        if let Some(intent) = self.intents.get(id) {
            let event = Event {
                id: new_id("evt"),
                kind,
                created_ms: now,
                object: match self.kind {
                    VendorKind::Stripe => intent.to_json(),
                    VendorKind::Acquirer => acquirer_json::payment(intent),
                },
                deliveries: fault_of(intent).deliveries(),
            };
            self.push_event(event);
        }
    }

    /// Clears `tok_refund_fails` for the present payments (or one of them). Returns how many.
    pub(super) fn heal_refunds(&mut self, only: Option<&str>) -> usize {
        let ill = self.intents.iter().filter(|intent| {
            fault_of(intent) == Fault::RefundFails && !intent.healed && only.is_none_or(|id| id == intent.id)
        });
        let ill: Vec<String> = ill.map(|intent| intent.id.clone()).collect();
        for id in &ill {
            if let Some(intent) = self.intents.get_mut(id) {
                intent.healed = true;
            }
        }
        ill.len()
    }

    fn settle_refund(&mut self, id: &str, succeeds: bool, now: i64) {
        let Some(refund) = self.refunds.get_mut(id) else { return };
        refund.status = if succeeds { RefundStatus::Succeeded } else { RefundStatus::Failed };
        let refund = refund.clone();
        if let Some(intent) = self.intents.get_mut(&refund.intent_id) {
            intent.refund_pending -= refund.amount;
            if succeeds {
                intent.refunded += refund.amount;
            }
        }
        self.refund_event(&refund, "refund.updated", now);
        if !succeeds {
            self.refund_event(&refund, "refund.failed", now);
        }
    }
}

/// A token is checked when its intent is created, so an unknown one does not occur here.
pub(super) fn fault_of(intent: &Intent) -> Fault {
    intent.token.as_deref().and_then(Fault::of).unwrap_or(Fault::None)
}

pub(super) fn unexpected_state(intent: &Intent, verb: &str) -> Reply {
    let status = serde_json::to_value(intent.status).unwrap_or_default();
    let message = format!("This PaymentIntent could not be {verb} because it has a status of {status}.");
    Reply::invalid("payment_intent_unexpected_state", &message).about(intent)
}
