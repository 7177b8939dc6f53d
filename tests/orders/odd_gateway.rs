//! A gateway whose answers differ from what it did.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use backstitch::payments::{
    GatewayError, GatewayFuture, Intent, NewIntent, NewRefund, Page, PaymentGateway, Refund, RefundStatus,
    StripeGateway, UnknownReason,
};

/// What becomes of its answers.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    /// Of those about a payment that exists.
    pub(crate) intent: fn(Intent) -> Result<Intent, GatewayError>,
    /// Whether it says that a refund was made, and makes none.
    pub(crate) lies_of_refunds: bool,
    /// Whether it answers once it has made a refund.
    pub(crate) answers_refunds: bool,
}

impl Change {
    pub(crate) const NONE: Self = Self { intent: Ok, lies_of_refunds: false, answers_refunds: true };
}

/// What the adapter gives for an answer that lacks a field.
pub(crate) fn unreadable() -> GatewayError {
    GatewayError::Unknown { reason: UnknownReason::Unparsable, message: "missing field `amount_received`".to_owned() }
}

/// The simulator, with other answers while `odd`.
pub(crate) struct OddGateway {
    gateway: StripeGateway,
    change: Change,
    odd: &'static AtomicBool,
}

static ALWAYS: AtomicBool = AtomicBool::new(true);

impl OddGateway {
    pub(crate) fn always(gateway: StripeGateway, change: Change) -> Arc<Self> {
        Self::while_set(gateway, change, &ALWAYS)
    }

    pub(crate) fn while_set(gateway: StripeGateway, change: Change, odd: &'static AtomicBool) -> Arc<Self> {
        Arc::new(Self { gateway, change, odd })
    }

    fn is_odd(&self) -> bool {
        self.odd.load(Ordering::SeqCst)
    }

    fn tell(&self, answer: Result<Intent, GatewayError>) -> Result<Intent, GatewayError> {
        if !self.is_odd() {
            return answer;
        }
        match answer {
            Ok(intent) => (self.change.intent)(intent),
            // It bears an intent, which would be told as oddly.
            Err(error) => Err(error.intent().cloned().map_or(error, |intent| match (self.change.intent)(intent) {
                Ok(_) => unreadable(),
                Err(odd) => odd,
            })),
        }
    }
}

impl PaymentGateway for OddGateway {
    fn create_intent<'a>(&'a self, key: &'a str, new: &'a NewIntent) -> GatewayFuture<'a, Intent> {
        self.gateway.create_intent(key, new)
    }

    fn confirm_intent<'a>(&'a self, key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent> {
        Box::pin(async move { self.tell(self.gateway.confirm_intent(key, id).await) })
    }

    fn cancel_intent<'a>(&'a self, key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent> {
        Box::pin(async move { self.tell(self.gateway.cancel_intent(key, id).await) })
    }

    fn get_intent<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Intent> {
        Box::pin(async move { self.tell(self.gateway.get_intent(id).await) })
    }

    fn refund<'a>(&'a self, key: &'a str, new: &'a NewRefund) -> GatewayFuture<'a, Refund> {
        if !self.change.answers_refunds && self.is_odd() {
            return Box::pin(async move {
                drop(self.gateway.refund(key, new).await);
                std::future::pending().await
            });
        }
        if !(self.change.lies_of_refunds && self.is_odd()) {
            return self.gateway.refund(key, new);
        }
        let refund = Refund {
            id: format!("re_{key}"),
            intent_id: Some(new.intent_id.clone()),
            status: RefundStatus::Succeeded,
            amount: new.amount,
            currency: "EUR".to_owned(),
            failure_reason: None,
            order_id: Some(new.order_id.clone()),
            metadata: new.metadata.clone(),
        };
        Box::pin(async move { Ok(refund) })
    }

    fn get_refund<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Refund> {
        self.gateway.get_refund(id)
    }

    fn refunds_of<'a>(&'a self, intent_id: &'a str) -> GatewayFuture<'a, Vec<Refund>> {
        self.gateway.refunds_of(intent_id)
    }

    fn list_intents<'a>(&'a self, after: Option<&'a str>) -> GatewayFuture<'a, Page<Intent>> {
        self.gateway.list_intents(after)
    }

    fn list_refunds<'a>(&'a self, after: Option<&'a str>) -> GatewayFuture<'a, Page<Refund>> {
        self.gateway.list_refunds(after)
    }
}
