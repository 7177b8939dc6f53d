//! Fork: a new run that begins at a step of another one, with the completions that the workflow had got before it called that step.
//!
//! What those steps did stays the first run's. The new run has their results and not their undos: were both to undo
//! them, one of the two would undo what the other relies on. So nothing may be kept that has been undone.

use std::collections::BTreeSet;

use super::facts::{Facts, Refusal, called};
use crate::engine::core::{
    model::{Direction, Outcome, Status, Step},
    transition::Change,
};

/// What a fork keeps and makes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forked {
    /// How many completions the workflow had got when it called the step: these are kept.
    pub completions: u32,
    /// The steps whose results are kept.
    pub kept: Vec<u32>,
    /// The recorded steps that are made again, if the workflow calls them again.
    pub again: Vec<u32>,
    /// In sentences.
    pub says: Vec<String>,
}

/// What comes of a fork from a step.
///
/// # Errors
/// Why it is refused.
pub fn fork(facts: &Facts, from: u32, another_input: bool) -> Result<Forked, Refusal> {
    facts.next(Change::Fork)?;
    if another_input && from > 0 {
        let message = "another input is possible from step 0 only: what is kept followed from the first one";
        return Err(Refusal::Invalid(message.to_owned()));
    }
    let completions = match facts.step(from, Direction::Forward) {
        Some(step) => step.issued_after,
        None if from == 0 => 0,
        None => return Err(Refusal::UnknownStep(from)),
    };
    let (kept, again): (Vec<_>, Vec<_>) =
        facts.forward().partition(|step| step.ord.is_some_and(|ord| ord < completions));
    let undone = facts.undos().filter(|undo| undo.outcome != Some(Outcome::Skipped));
    let undone: BTreeSet<u32> = undone.map(|undo| undo.seq).collect();
    for step in &kept {
        if undone.contains(&step.seq) {
            let message = format!("{} is being undone or was: fork from it, or from a step before it", called(step));
            return Err(Refusal::WrongState(message));
        }
    }
    let mut says = vec![match kept.len() {
        0 => "the new run begins at the beginning".to_owned(),
        1 => "the new run has the result of 1 step".to_owned(),
        count => format!("the new run has the results of {count} steps"),
    }];
    if kept.iter().any(|step| step.undoable) {
        says.push("what they did stays this run's: the new run never undoes it".to_owned());
    }
    if again.iter().any(|step| matches!(step.outcome, Some(Outcome::Ok | Outcome::Unknown)) && step.undoable) {
        says.push("steps that took effect, or may have, are made again, under keys of their own".to_owned());
    }
    if matches!(facts.status, Status::Paused | Status::Stuck) {
        says.push(format!("this run stays {}: cancel, compensate or abandon ends it", facts.status));
    }
    let seqs = |steps: Vec<&Step>| steps.into_iter().map(|step| step.seq).collect();
    Ok(Forked { completions, kept: seqs(kept), again: seqs(again), says })
}
