//! Refunds on the ledger: never more than was captured, pending ones included.

use super::{
    acquirer_json,
    faults::{Fault, RefundFailure},
    ledger::{Due, Ledger, fault_of, unexpected_state},
    objects::{Event, IntentStatus, Metadata, Refund, RefundStatus, Reply, new_id},
};
use crate::payments::VendorKind;

/// The parameters of a new refund.
pub(super) struct NewRefund {
    pub(super) intent_id: String,
    /// `None`: all that is left.
    pub(super) amount: Option<i64>,
    pub(super) metadata: Metadata,
}

impl Ledger {
    /// Refunds money. `Err` is an answer that is not stored: nothing was executed.
    pub(super) fn refund(&mut self, new: NewRefund, now: i64) -> Result<Reply, Reply> {
        let intent = self.get(&new.intent_id)?;
        if intent.status != IntentStatus::Succeeded {
            return Err(unexpected_state(intent, "refunded"));
        }
        let left = intent.captured - intent.refunded - intent.refund_pending;
        let amount = new.amount.unwrap_or(left);
        if left == 0 {
            let message = "The payment has already been refunded.";
            return Err(Reply::invalid("charge_already_refunded", message));
        }
        if amount <= 0 {
            let message = "The amount must be greater than zero.";
            return Err(Reply::invalid("parameter_invalid_integer", message));
        }
        if amount > left {
            let message = format!("Refund amount ({amount}) is greater than what is left ({left}).");
            return Err(Reply::invalid("amount_too_large", &message));
        }
        let plan = plan(fault_of(intent), intent.healed, self.refund_failure)?;
        let refund = Refund {
            id: new_id("re"),
            intent_id: new.intent_id,
            amount,
            currency: intent.currency.clone(),
            metadata: new.metadata,
            status: match plan {
                Plan::Now => RefundStatus::Succeeded,
                Plan::Later { .. } => RefundStatus::Pending,
            },
            created_ms: now,
        };
        self.book(&refund, &plan, now);
        let reply = Reply::ok(refund.to_json());
        self.refund_event(&refund, "refund.created", now);
        self.refunds.insert(&refund.id.clone(), refund);
        Ok(reply)
    }

    pub(super) fn get_refund(&self, id: &str) -> Result<&Refund, Reply> {
        self.refunds.get(id).ok_or_else(|| Reply::missing("refund", id))
    }

    /// The refunds of an intent (or all), newest first.
    pub(super) fn refunds_of(&self, intent_id: Option<&str>) -> impl Iterator<Item = &Refund> {
        self.refunds.iter().rev().filter(move |refund| intent_id.is_none_or(|id| id == refund.intent_id))
    }

    pub(super) fn refund_event(&mut self, refund: &Refund, kind: &'static str, now: i64) {
        if let Some(intent) = self.intents.get(&refund.intent_id) {
            let deliveries = fault_of(intent).deliveries();
            let object = match self.kind {
                VendorKind::Stripe => refund.to_json(),
                VendorKind::Acquirer => acquirer_json::refund(refund),
            };
            self.push_event(Event { id: new_id("evt"), kind, created_ms: now, object, deliveries });
        }
    }

    fn book(&mut self, refund: &Refund, plan: &Plan, now: i64) {
        if let Some(intent) = self.intents.get_mut(&refund.intent_id) {
            match plan {
                Plan::Now => intent.refunded += refund.amount,
                Plan::Later { .. } => intent.refund_pending += refund.amount,
            }
        }
        if let Plan::Later { succeeds } = *plan {
            let due = Due::Refund { id: refund.id.clone(), succeeds };
            self.schedule(now, self.refund_settles_after, due);
        }
    }
}

/// The result of an accepted refund.
enum Plan {
    Now,
    Later { succeeds: bool },
}

fn plan(fault: Fault, healed: bool, failure: RefundFailure) -> Result<Plan, Reply> {
    match (fault, failure) {
        (Fault::RefundPending, _) => Ok(Plan::Later { succeeds: true }),
        (Fault::RefundFails, RefundFailure::Refused) if !healed => {
            Err(Reply::invalid("balance_insufficient", "Your balance does not cover this refund."))
        }
        (Fault::RefundFails, RefundFailure::Later) if !healed => Ok(Plan::Later { succeeds: false }),
        _ => Ok(Plan::Now),
    }
}
