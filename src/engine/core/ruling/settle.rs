//! Skip and resolve: an operator puts an outcome on record that no attempt brought.
//!
//! A skip passes over a step that has not succeeded; the workflow goes on as if it had given the operator's output, and
//! nothing of it is undone. A resolve says what an unknown step came to, by evidence from outside; it is a fact like any
//! other: an `ok` one is undone if the run is.

use serde_json::{Value, json};

use super::{
    facts::{Facts, Look, Place, Refusal, Ruling, called, is_done, is_unknown, stand},
    retry::reopened,
};
use crate::engine::core::{
    model::{Direction, Failure, Outcome, Request, Status, Step, StepError, StepKind, to_json},
    transition::Change,
    verb::Declared,
};

/// What an operator declares.
pub(super) struct Claim<'a> {
    pub(super) outcome: Declared,
    pub(super) output: Option<&'a Value>,
    pub(super) evidence: Option<&'a str>,
}

pub(super) fn skip(
    facts: &Facts,
    seq: u32,
    direction: Option<Direction>,
    output: Option<&Value>,
) -> Result<Ruling, Refusal> {
    let forward = facts.step(seq, Direction::Forward).ok_or(Refusal::UnknownStep(seq))?;
    let undo = facts.step(seq, Direction::Undo);
    let step = match direction {
        Some(Direction::Forward) => forward,
        Some(Direction::Undo) => undo.ok_or_else(|| no_undo(seq))?,
        None => undo.filter(|undo| !is_done(undo)).unwrap_or(forward),
    };
    let (status, says) = match step.direction {
        Direction::Undo => skippable_undo(facts, step, output)?,
        Direction::Forward => skippable(facts, step)?,
    };
    facts.not_about_to_undo()?;
    facts.not_held()?;
    let output = match step.direction {
        Direction::Forward => to_json(output.unwrap_or(&Value::Null)).ok(),
        Direction::Undo => None,
    };
    // What took effect stays undoable; only what it is said to have given was wrong.
    let outcome = if corrects(facts, step) { step.outcome.unwrap_or(Outcome::Skipped) } else { Outcome::Skipped };
    let skipped = ended(step, outcome, output);
    let mut ruling = going_on(facts, status, seq, vec![skipped]);
    ruling.says.push(format!("{} is passed over: {says}", called(step)));
    if is_unknown(step) && step.direction == Direction::Forward {
        ruling.says.push("it is unknown whether it took effect: it is no longer verified".to_owned());
    }
    note(&mut ruling, step, "skipped");
    Ok(ruling)
}

/// The status after the skip, and what it means.
fn skippable_undo(facts: &Facts, undo: &Step, output: Option<&Value>) -> Result<(Status, &'static str), Refusal> {
    let status = facts.next(Change::SettleUndo)?;
    if output.is_some() {
        return Err(Refusal::Invalid("an undo gives no output".to_owned()));
    }
    if is_done(undo) {
        return Err(Refusal::WrongState(format!("{} is {} already", called(undo), stand(undo))));
    }
    Ok((status, "it counts as undone, and what the step did stays as it is"))
}

fn skippable(facts: &Facts, step: &Step) -> Result<(Status, &'static str), Refusal> {
    if facts.planned() && !facts.status.is_end() {
        let message = "the run is being undone, and no longer goes forward: skip an undo (direction `undo`)";
        return Err(Refusal::WrongState(message.to_owned()));
    }
    let status = facts.next(Change::Settle)?;
    if step.kind != StepKind::Activity {
        let message = format!("{} is a {}: only a call of an activity can be skipped", called(step), step.kind);
        return Err(Refusal::WrongState(message));
    }
    let corrects = corrects(facts, step);
    if matches!(step.outcome, Some(Outcome::Ok | Outcome::Skipped)) && !corrects {
        return Err(Refusal::WrongState(format!("{} is {} already", called(step), stand(step))));
    }
    require_last_completion(facts, step)?;
    if corrects {
        return Ok((status, "this output takes the place of the one that could not be read"));
    }
    Ok((status, "the workflow goes on as if it had given this output, and it is not undone"))
}

/// Whether the run stands still because the workflow can't read what this step gave, by an operator's word or in another
/// version's form: then another output can take its place.
fn corrects(facts: &Facts, step: &Step) -> bool {
    let unreadable = |failure: &Failure| failure.code == "undecodable_output" && failure.step == Some(step.seq);
    step.direction == Direction::Forward
        && matches!(step.outcome, Some(Outcome::Ok | Outcome::Skipped))
        && facts.failure.as_ref().is_some_and(unreadable)
}

/// A delivered outcome can be changed only where the run is stuck or has failed over it.
fn require_last_completion(facts: &Facts, step: &Step) -> Result<(), Refusal> {
    if step.ord.is_none() {
        return Ok(());
    }
    if let Some(later) = facts.first_built_on(step) {
        let message = format!("{} can't be settled: step {later} has built on its being {}", called(step), stand(step));
        return Err(Refusal::WrongState(message));
    }
    if !matches!(facts.status, Status::Stuck | Status::Failed) {
        let message = format!("the workflow has been told that {} is {}, and has gone on", called(step), stand(step));
        return Err(Refusal::WrongState(message));
    }
    Ok(())
}

pub(super) fn resolve(
    facts: &Facts,
    seq: u32,
    direction: Option<Direction>,
    claim: &Claim<'_>,
) -> Result<Ruling, Refusal> {
    let forward = facts.step(seq, Direction::Forward).ok_or(Refusal::UnknownStep(seq))?;
    let undo = facts.step(seq, Direction::Undo);
    let step = match (direction, undo) {
        (Some(Direction::Forward), _) => forward,
        (Some(Direction::Undo), undo) => undo.ok_or_else(|| no_undo(seq))?,
        (None, Some(undo)) if is_unknown(undo) && is_unknown(forward) => {
            let message = format!("step {seq} and its undo are both unknown: say which with direction");
            return Err(Refusal::Invalid(message));
        }
        (None, Some(undo)) if is_unknown(undo) => undo,
        (None, _) => forward,
    };
    facts.not_held()?;
    if !is_unknown(step) {
        let message = format!("{} is {}: only what is unknown can be resolved", called(step), stand(step));
        return Err(Refusal::WrongState(message));
    }
    if claim.output.is_some() && (step.direction == Direction::Undo || claim.outcome == Declared::Failed) {
        return Err(Refusal::Invalid("only a step that took effect has an output".to_owned()));
    }
    facts.not_about_to_undo()?;
    let outcome = match claim.outcome {
        Declared::Ok => Outcome::Ok,
        Declared::Failed => Outcome::Failed,
    };
    let output = match (step.direction, claim.outcome) {
        (Direction::Forward, Declared::Ok) => to_json(claim.output.unwrap_or(&Value::Null)).ok(),
        _ => None,
    };
    let resolved = ended(step, outcome, output);
    let mut ruling = if facts.status.is_end() {
        facts.next(Change::Correct)?;
        let says = "the run has ended: only the record changes".to_owned();
        // Its place among the completions stays: nothing is delivered anew.
        let steps = vec![Step { ord: step.ord, ..resolved }];
        Ruling { steps, look: Look::SettledStep(seq), says: vec![says], ..Ruling::of(facts) }
    } else if facts.planned() {
        resolve_planned(facts, step, undo, resolved)?
    } else {
        let status = facts.next(Change::Settle)?;
        require_last_completion(facts, step)?;
        going_on(facts, status, seq, vec![resolved])
    };
    ruling.says.insert(0, format!("{} is {outcome} from now on, and is no longer verified", called(step)));
    note(&mut ruling, step, outcome.word());
    if let Some(evidence) = claim.evidence {
        ruling.note("evidence", evidence);
    }
    Ok(ruling)
}

/// In a run that is being undone the declared outcome decides whether the step's undo is made.
fn resolve_planned(facts: &Facts, step: &Step, undo: Option<&Step>, resolved: Step) -> Result<Ruling, Refusal> {
    let status = facts.next(Change::SettleUndo)?;
    let (forward, outcome) = (step.direction == Direction::Forward, resolved.outcome);
    let mut steps = vec![Step { ord: step.ord, ..resolved }];
    let mut says = Vec::new();
    if let Some(undo) = undo.filter(|undo| forward && !is_done(undo)) {
        if outcome == Some(Outcome::Ok) {
            steps.push(Step { error: None, ..reopened(undo) });
            says.push("its undo is made without asking first".to_owned());
        } else {
            steps.push(ended(undo, Outcome::Skipped, None));
            says.push("there is nothing to undo of it: its undo is skipped".to_owned());
        }
    }
    let mut ruling = going_on(facts, status, step.seq, steps);
    ruling.says.extend(says);
    Ok(ruling)
}

/// The step with a declared outcome, still to be delivered.
fn ended(step: &Step, outcome: Outcome, output: Option<crate::engine::core::model::Json>) -> Step {
    let certain = |error: StepError| StepError { unknown: false, ..error };
    let error = match outcome {
        Outcome::Ok => None,
        Outcome::Failed => Some(step.error.clone().map_or_else(resolved_failed, certain)),
        Outcome::Unknown | Outcome::Skipped => step.error.clone(),
    };
    Step { outcome: Some(outcome), output, error, ord: None, next_attempt_at: None, ..step.clone() }
}

fn resolved_failed() -> StepError {
    let message = "an operator knows that it had no effect".to_owned();
    StepError { code: "resolved_failed".to_owned(), message, unknown: false }
}

/// The run goes on from there, unless it is paused.
fn going_on(facts: &Facts, status: Status, seq: u32, steps: Vec<Step>) -> Ruling {
    let mut steps = steps;
    if status != facts.status && facts.status == Status::Failed {
        let known: Vec<u32> = steps.iter().map(|step| step.seq).collect();
        steps.extend(facts.closed_at_the_end().filter(|step| !known.contains(&step.seq)).map(reopened));
    }
    let stands = status == Status::Paused;
    Ruling {
        status,
        request: if stands || facts.request == Request::Pause { facts.request } else { Request::None },
        failure: if status == facts.status { facts.failure.clone() } else { facts.cause.clone() },
        steps,
        place: if stands { Place::Keep } else { Place::Due },
        look: if status == facts.status { Look::SettledStep(seq) } else { Look::Settled },
        ..Ruling::of(facts)
    }
}

fn no_undo(seq: u32) -> Refusal {
    Refusal::WrongState(format!("no undo of step {seq} is planned"))
}

/// For the audit: which step, and its outcome before.
fn note(ruling: &mut Ruling, step: &Step, after: &str) {
    ruling.note("seq", step.seq);
    ruling.note("direction", step.direction.word());
    ruling.note("outcome", json!({"before": stand(step), "after": after}));
}
