//! Pause and resume. A pause freezes the run's timers: after it they have as much time left as before.

use std::time::Duration;

use super::facts::{Facts, PauseMark, Place, Refusal, Ruling};
use crate::engine::core::{
    model::{Due, Request, Status, Step},
    time::Moment,
    transition::{Change, next},
};

pub(super) fn pause(facts: &Facts) -> Result<Ruling, Refusal> {
    facts.not_about_to_undo()?;
    if facts.status == Status::Paused {
        return Ok(Ruling::repeated(facts, "it is paused already".to_owned()));
    }
    let status = facts.next(Change::Pause)?;
    if facts.request == Request::Pause {
        let says = "the pause has been asked for already; attempts under way are let to their end";
        return Ok(Ruling::repeated(facts, says.to_owned()));
    }
    let paused = Ruling { pause: PauseMark::Now, ..Ruling::of(facts) };
    let timers = "its timers, waits and deadlines stand still from now on".to_owned();
    if facts.held {
        let says = "a worker has it: attempts under way are let to their end, and nothing more begins".to_owned();
        return Ok(Ruling { request: Request::Pause, says: vec![says, timers], ..paused });
    }
    let says = "nothing of it begins until it is resumed; signals are kept for it".to_owned();
    Ok(Ruling { status, request: Request::None, place: Place::Away, says: vec![says, timers], ..paused })
}

pub(super) fn resume(facts: &Facts) -> Result<Ruling, Refusal> {
    facts.not_about_to_undo()?;
    let change = if facts.planned() { Change::ResumeUndo } else { Change::Resume };
    let status = facts.next(change)?;
    if facts.status != Status::Paused {
        if facts.request == Request::Pause {
            let says = "the pause that was on its way is off: it goes on".to_owned();
            let off = Ruling { request: Request::None, pause: PauseMark::Over, ..Ruling::of(facts) };
            return Ok(Ruling { says: vec![says], ..off });
        }
        return Ok(Ruling::repeated(facts, "it is not paused".to_owned()));
    }
    let by = facts.paused_at.map_or(Duration::ZERO, |at| facts.now.since(at));
    let waits = |step: &&Step| step.outcome.is_none() && (step.due.is_some() || step.next_attempt_at.is_some());
    let later = |step: &Step| Step {
        due: step.due.map(|due| Due::At(due.estimate().later(by))),
        next_attempt_at: step.next_attempt_at.map(|at| at.later(by)),
        ..step.clone()
    };
    let mut ruling = Ruling {
        status,
        request: Request::None,
        deadline_at: facts.deadline_at.map(|at| at.later(by)),
        steps: facts.steps.iter().filter(waits).map(later).collect(),
        place: Place::Due,
        pause: PauseMark::Over,
        ..Ruling::of(facts)
    };
    let seconds = by.as_secs();
    ruling.says.push(format!("it goes on; what it waits for comes {seconds} s later, as long as it was paused"));
    ruling.note("paused_s", seconds);
    // A start in the future is a moment of its caller's, not a wait of the run's.
    if let (Some((kind, _)), Some(at)) = (&facts.wait, facts.wait_until)
        && kind == "start"
        && at > facts.now
    {
        ruling.status = next(status, Change::Park)?;
        ruling.place = Place::StartAt(at);
        ruling.says = vec!["it starts at the moment that it was to start at".to_owned()];
    }
    Ok(ruling)
}
