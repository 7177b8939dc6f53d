//! Retry: what failed is reopened, with all its attempts; what waits to be tried later is tried now.

use std::sync::Arc;

use super::facts::{Facts, Look, Place, Refusal, Ruling, called, is_unknown};
use crate::engine::core::{
    model::{Outcome, Request, Status, Step, StepKind},
    policy::PolicyOverride,
    transition::{Change, allowed},
};

pub(super) fn retry(facts: &Facts, policy: Option<&PolicyOverride>) -> Result<Ruling, Refusal> {
    policy.map_or(Ok(()), PolicyOverride::check).map_err(Refusal::Invalid)?;
    let status = facts.next(if facts.planned() { Change::RetryUndo } else { Change::Retry })?;
    facts.not_about_to_undo()?;
    let mut reopen = match facts.status {
        Status::Waiting | Status::Compensating => {
            facts.not_held()?;
            waiting(facts)?
        }
        _ if facts.planned() => facts.undos().filter(|undo| ended_ill(undo)).collect(),
        _ => failed_step(facts)?,
    };
    if facts.status == Status::Failed {
        reopen.extend(facts.closed_at_the_end());
        reopen.sort_unstable_by_key(|step| (step.seq, step.direction));
        reopen.dedup_by_key(|step| (step.seq, step.direction));
    }
    let mut ruling = Ruling {
        status,
        // Not a pause that is on its way: this does not contradict it.
        request: if facts.request == Request::Pause { Request::Pause } else { Request::None },
        failure: facts.cause.clone(),
        place: Place::Due,
        look: Look::Settled,
        retry: reopen.iter().map(|step| step.seq).collect(),
        ..Ruling::of(facts)
    };
    for step in &reopen {
        ruling.says.push(sentence(step));
    }
    if reopen.is_empty() {
        let again =
            "no step is attempted again: it failed by itself, and ends the same way unless its code has changed";
        ruling.says.push(again.to_owned());
    }
    if let Some(policy) = policy {
        ruling.says.push("with the policy that was given, in place of the activity's own".to_owned());
        ruling.note("policy", serde_json::to_value(policy).unwrap_or_default());
    }
    let policy = policy.cloned().map(Arc::new);
    ruling.steps = reopen.into_iter().map(|step| Step { policy: policy.clone(), ..reopened(step) }).collect();
    ruling.note("retry", ruling.retry.clone());
    Ok(ruling)
}

/// Open again, with all its attempts.
pub(super) fn reopened(step: &Step) -> Step {
    Step {
        outcome: None,
        ord: None,
        attempts: 0,
        next_attempt_at: None,
        // A call's deadline that has passed would end it at once; timers and waits keep theirs.
        due: if step.kind == StepKind::Activity && step.outcome.is_some() { None } else { step.due },
        // A failed step had no effect, but a gateway may replay its stored refusal: the next attempt gets a new key.
        generation: step.generation + u32::from(step.outcome == Some(Outcome::Failed)),
        ..step.clone()
    }
}

fn sentence(step: &Step) -> String {
    let how = match step.outcome {
        Some(Outcome::Failed) => "under a new idempotency key",
        _ if is_unknown(step) => "after a verification, where its activity can be verified; under the same key",
        _ => "under the same key",
    };
    format!("{} is attempted again, {how}", called(step))
}

fn ended_ill(step: &Step) -> bool {
    matches!(step.outcome, Some(Outcome::Failed | Outcome::Unknown))
}

/// What waits for a later attempt; of a plan also what has failed meanwhile.
fn waiting(facts: &Facts) -> Result<Vec<&Step>, Refusal> {
    let waits =
        |step: &&Step| step.outcome.is_none() && step.kind == StepKind::Activity && step.next_attempt_at.is_some();
    let found: Vec<&Step> = if facts.planned() {
        facts.undos().filter(|undo| waits(undo) || ended_ill(undo)).collect()
    } else {
        facts.forward().filter(waits).collect()
    };
    if !found.is_empty() {
        return Ok(found);
    }
    let (kind, name) = facts.wait.clone().unwrap_or_default();
    let what = if kind.is_empty() {
        "nothing of it waits for a retry".to_owned()
    } else {
        format!("it waits for {kind} {name}, not for a retry")
    };
    Err(Refusal::WrongState(format!("{what}; allowed: {}", allowed(facts.status).join(", "))))
}

/// The step that the run failed at. It can be tried again if it was the workflow's last completion: later steps would no longer
/// follow from the earlier ones.
fn failed_step(facts: &Facts) -> Result<Vec<&Step>, Refusal> {
    let Some(seq) = facts.failure.as_ref().and_then(|failure| failure.step) else { return Ok(Vec::new()) };
    let Some(step) = facts.forward().find(|step| step.seq == seq).filter(|step| ended_ill(step)) else {
        return Ok(Vec::new());
    };
    if let Some(later) = facts.first_built_on(step) {
        let message = format!("step {seq} can't be tried again: step {later} has built on its failure");
        return Err(Refusal::WrongState(message));
    }
    Ok(vec![step])
}
