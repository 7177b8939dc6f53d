//! What comes of an operator's verb on a run: the facts and the verb in, a [`Ruling`] or a [`Refusal`] out.
//!
//! Pure, like `machine`, and for the same reason: which verb is allowed where, and what it changes, can be read and simulated
//! without a database. The store locks a run's rows, asks for the ruling, and writes it with the audit in one commit; a dry
//! run ends before the writing. Statuses go through `transition`.
//!
//! Two rules hold for all. What would contradict a worker (skip, resolve, abandon, "try now") is refused while one
//! works on the run. And a verb that is repeated changes nothing and says so: [`Ruling::changes`] is false.

mod abandon;
mod facts;
mod fork;
mod pause;
mod request;
mod retry;
mod settle;

pub use self::{
    facts::{Facts, Look, PauseMark, Place, Refusal, Ruling},
    fork::{Forked, fork},
};
use super::{model::Request, verb::Verb};

/// What comes of a verb.
///
/// # Errors
/// Why it is refused.
pub fn rule(facts: &Facts, action: &Verb) -> Result<Ruling, Refusal> {
    match action {
        Verb::Retry { policy } => retry::retry(facts, policy.as_ref()),
        Verb::Cancel => request::stop(facts, Request::Cancel),
        Verb::Compensate => request::stop(facts, Request::Compensate),
        Verb::Pause => pause::pause(facts),
        Verb::Resume => pause::resume(facts),
        Verb::Abandon => abandon::abandon(facts),
        Verb::Skip { seq, direction, output } => settle::skip(facts, *seq, *direction, output.as_ref()),
        Verb::Resolve { seq, direction, outcome, output, evidence } => {
            let declared = settle::Claim { outcome: *outcome, output: output.as_ref(), evidence: evidence.as_deref() };
            settle::resolve(facts, *seq, *direction, &declared)
        }
        Verb::Acknowledge => abandon::acknowledge(facts),
    }
}
