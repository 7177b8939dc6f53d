//! Abandon, the last resort: the run ends as it stands. Acknowledge: an operator has seen what needed attention.

use std::collections::BTreeSet;

use super::facts::{Facts, Look, PauseMark, Place, Refusal, Ruling, is_done, is_unknown};
use crate::engine::core::{
    model::{Failure, Outcome, Request, Step, StepKind},
    transition::Change,
};

pub(super) fn abandon(facts: &Facts) -> Result<Ruling, Refusal> {
    let status = facts.next(Change::Abandon)?;
    facts.not_held()?;
    let abandoned = || Failure::new("abandoned", "an operator ended it without undo");
    let is_open = |step: &&Step| step.outcome.is_none();
    let steps: Vec<Step> = facts.steps.iter().filter(is_open).map(closed).collect();
    let after = |step: &Step| if is_open(&step) { closed(step) } else { step.clone() };
    let undone: BTreeSet<u32> = facts.undos().filter(|undo| is_done(undo)).map(|undo| undo.seq).collect();
    let in_force = |step: &Step| {
        step.undoable && matches!(step.outcome, Some(Outcome::Ok | Outcome::Unknown)) && !undone.contains(&step.seq)
    };
    let stays: Vec<Step> = facts.forward().map(after).filter(in_force).collect();
    let mut ruling = Ruling {
        status,
        request: Request::None,
        failure: Some(facts.failure.clone().unwrap_or_else(abandoned)),
        place: Place::Away,
        pause: PauseMark::Over,
        look: Look::Settled,
        ..Ruling::of(facts)
    };
    ruling.says.push("it ends here, for good: nothing more is attempted, nothing is undone".to_owned());
    ruling.says.push(match stays.len() {
        0 => "nothing that could be undone stays in force".to_owned(),
        1 => "1 step stays in force that could have been undone".to_owned(),
        count => format!("{count} steps stay in force that could have been undone"),
    });
    ruling.note("stays", stays.iter().map(|step| step.seq).collect::<Vec<_>>());
    (ruling.steps, ruling.stays) = (steps, stays);
    Ok(ruling)
}

/// What will not be delivered or done.
fn closed(step: &Step) -> Step {
    let outcome = match step.kind {
        StepKind::Activity if is_unknown(step) => Outcome::Unknown,
        StepKind::Activity if step.error.is_some() => Outcome::Failed,
        _ => Outcome::Skipped,
    };
    Step { outcome: Some(outcome), next_attempt_at: None, ..step.clone() }
}

pub(super) fn acknowledge(facts: &Facts) -> Result<Ruling, Refusal> {
    facts.next(Change::Acknowledge)?;
    if facts.attention.is_empty() {
        return Ok(Ruling::repeated(facts, "nothing of it needs attention".to_owned()));
    }
    let mut ruling = Ruling { look: Look::Acknowledged, ..Ruling::of(facts) };
    let mut noted = Vec::new();
    for (seq, kind) in &facts.attention {
        let what = seq.map_or_else(|| "the run".to_owned(), |seq| format!("step {seq}"));
        ruling.says.push(format!("{what} is taken off the list of what needs attention ({kind})"));
        noted.push(format!("{what}: {kind}"));
    }
    ruling.note("acknowledged", noted);
    Ok(ruling)
}
