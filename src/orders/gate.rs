//! The breakers that stand before calls of payment vendors: the engine's, so that all processes share them.

use crate::{
    engine::{Admitted, Engine},
    payments::pool::{Admission, Gate, Passed},
};

/// What vendors' breakers are named by, beside other breakers of the same database.
const PREFIX: &str = "payment/";

/// The scope of a vendor's breakers.
pub(super) fn scope(vendor: &str) -> String {
    format!("{PREFIX}{vendor}")
}

/// The engine's breakers as a gate.
pub(super) struct BreakerGate(pub(super) Engine);

impl Gate for BreakerGate {
    fn admit<'a>(&'a self, vendor: &'a str, operation: &'static str) -> Admission<'a> {
        Box::pin(async move {
            match self.0.breaker(&scope(vendor), operation).admit().await {
                Ok(admitted) => Ok(Box::new(ThroughBreaker(admitted)) as Box<dyn Passed>),
                Err(held) if held.by_operator => Err(format!("an operator has opened the breaker of {vendor}")),
                Err(_) => Err(format!("the breaker of {vendor} is open for {operation}: most calls failed lately")),
            }
        })
    }
}

struct ThroughBreaker(Admitted);

impl Passed for ThroughBreaker {
    fn record(self: Box<Self>, served: bool) {
        self.0.record(served);
    }
}
