//! An acquirer's side of the ledger: it authorises and captures apart, and decides a moment later; and its JSON. The wire is
//! described at [`crate::payments::AcquirerGateway`].

use serde_json::{Value, json};

use super::{
    acquirer_json::{payment, refund},
    faults::Fault,
    ledger::{Confirmed, Due, Ledger, fault_of, unexpected_state},
    objects::{IntentStatus, Reply},
};

impl Ledger {
    /// Begins an authorisation, which is decided later.
    pub(super) fn authorise(&mut self, id: &str, now: i64) -> Result<Confirmed, Reply> {
        let (soon, slow, late) = (self.decides_after, self.slow, self.late_at_most);
        let intent = self.get_mut(id)?;
        intent.status = IntentStatus::Processing;
        let (after, due) = match fault_of(intent) {
            // A bank debit: once the bank has it, the money comes by itself.
            Fault::LateSuccess => (late, Due::Capture(id.to_owned())),
            Fault::Slow => (slow, Due::Authorise(id.to_owned())),
            _ => (soon, Due::Authorise(id.to_owned())),
        };
        self.schedule(now, after, due);
        Ok(Confirmed::Answer(Reply::ok(self.get(id)?.to_json())))
    }

    /// What comes of an authorisation.
    pub(super) fn decide(&mut self, id: &str, now: i64) {
        let Ok(intent) = self.get_mut(id) else { return };
        if fault_of(intent) == Fault::Declined {
            // Its answer is for who waits for one: nobody does.
            drop(self.decline(id, now));
            return;
        }
        intent.status = IntentStatus::RequiresCapture;
        self.intent_event(id, "payment.authorised", now);
    }

    /// Begins a capture of all that is authorised.
    pub(super) fn capture_for_acquirer(&mut self, id: &str, amount: Option<i64>, now: i64) -> Result<Confirmed, Reply> {
        let soon = self.decides_after;
        let intent = self.get_mut(id)?;
        if intent.status != IntentStatus::RequiresCapture {
            return Err(unexpected_state(intent, "captured"));
        }
        if amount != Some(intent.amount) {
            return Err(Reply::invalid("amount_differs", "The amount is not what was authorised."));
        }
        match fault_of(intent) {
            Fault::AuthorisationExpires => {
                intent.status = IntentStatus::Canceled;
                let refused = unexpected_state(intent, "captured");
                self.intent_event(id, "payment.expired", now);
                return Err(refused);
            }
            Fault::CaptureLost if intent.flaked == 0 => {
                intent.flaked = 1;
                return Ok(Confirmed::Ignored);
            }
            Fault::TimeoutAfter => {
                self.capture(id, now);
                return Ok(Confirmed::Unanswered(Reply::ok(self.get(id)?.to_json())));
            }
            Fault::ServerErrorAfter => {
                self.capture(id, now);
                return Ok(Confirmed::Answer(Reply::api_error(500, "An unexpected error occurred on our side.")));
            }
            _ => intent.status = IntentStatus::Processing,
        }
        self.schedule(now, soon, Due::Capture(id.to_owned()));
        Ok(Confirmed::Answer(Reply::ok(self.get(id)?.to_json())))
    }
}

/// An answer of the ledger in the acquirer's words.
pub(super) fn translate(ledger: &Ledger, reply: Reply) -> Reply {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let body = &reply.body;
    if let Some(error) = body.get("error") {
        let (code, message) = (text(&error["code"]), text(&error["message"]));
        let of = |status: u16, code: &str| Reply { status, body: json!({"code": code, "text": message}) };
        return match (reply.status, code.as_str()) {
            (_, "payment_intent_unexpected_state") => {
                let id = text(&error["payment_intent"]["id"]);
                let mut reply = of(409, "wrong_state");
                reply.body["payment"] = ledger.get(&id).map_or(Value::Null, payment);
                reply
            }
            (409, _) => of(409, "in_progress"),
            (_, "idempotency_error") => of(422, "request_reused"),
            (404, _) => of(404, "not_found"),
            (400 | 402, code) => of(422, code),
            (status, "") => of(status, "failed"),
            (status, code) => of(status, code),
        };
    }
    let id = text(&body["id"]);
    let object = match text(&body["object"]).as_str() {
        "refund" => ledger.get_refund(&id).map(refund),
        _ => ledger.get(&id).map(payment),
    };
    match object {
        Ok(object) => Reply { status: reply.status, body: object },
        Err(missing) => missing,
    }
}
