//! The breakers that stand before calls of payment vendors and of providers of notices: the engine's, so that all processes share
//! them.

use crate::{
    engine::{Admitted, BreakerRules, Engine, HeldBack},
    notices::{self, Channel},
    payments::pool::{Admission, Gate, Passed},
};

/// What vendors' breakers are named by, beside other breakers of the same database.
const PREFIX: &str = "payment/";
/// The same of providers of notices.
pub(super) const NOTICE_PREFIX: &str = "notice/";

/// A provider has few messages, and each that fails has waited for it: it is left alone sooner than a vendor, and for longer.
const NOTICE_RULES: BreakerRules =
    BreakerRules { window_ms: 60_000, least_calls: 5, failing_percent: 80, open_ms: 20_000, probe_ms: 30_000 };

/// The scope of a vendor's breakers.
pub(super) fn scope(vendor: &str) -> String {
    format!("{PREFIX}{vendor}")
}

/// The scope of a provider's breakers.
pub(super) fn provider_scope(provider: &str) -> String {
    format!("{NOTICE_PREFIX}{provider}")
}

/// The provider of a scope.
pub(super) fn provider_of(scope: &str) -> &str {
    scope.strip_prefix(NOTICE_PREFIX).unwrap_or(scope)
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

impl notices::Gate for BreakerGate {
    fn admit<'a>(&'a self, channel: Channel, provider: &'a str) -> notices::Admission<'a> {
        Box::pin(async move {
            let breaker = self.0.breaker(&provider_scope(provider), channel.word());
            match breaker.with_rules(NOTICE_RULES).admit().await {
                Ok(admitted) => Ok(Box::new(ThroughBreaker(admitted)) as Box<dyn notices::Passed>),
                Err(HeldBack { by_operator: true, .. }) => Err("an operator has opened its breaker".to_owned()),
                Err(_) => Err("its breaker is open: most messages failed lately".to_owned()),
            }
        })
    }
}

impl notices::Passed for ThroughBreaker {
    fn record(self: Box<Self>, works: bool) {
        self.0.record(works);
    }
}

impl Passed for ThroughBreaker {
    fn record(self: Box<Self>, served: bool) {
        self.0.record(served);
    }
}
