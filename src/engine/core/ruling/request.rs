//! Cancel and compensate: left on the run's row for a worker, who makes the plan; in one place for all ways into it.

use std::collections::BTreeMap;

use super::facts::{Facts, Look, PauseMark, Place, Refusal, Ruling};
use crate::engine::core::{
    model::{Direction, Request, Step},
    plan::{Undo, undo_plan},
    transition::Change,
};

pub(super) fn stop(facts: &Facts, what: Request) -> Result<Ruling, Refusal> {
    let cancel = what == Request::Cancel;
    if cancel && facts.pivoted() && !facts.status.is_end() {
        return Err(Refusal::PastPivot);
    }
    let status = facts.next(if cancel { Change::Cancel } else { Change::Compensate })?;
    if facts.planned() {
        let message = "its plan of undos has been made already; `resume` and `retry` go on with it";
        return Err(Refusal::WrongState(message.to_owned()));
    }
    let already = facts.request == what || (cancel && facts.request == Request::Compensate);
    if already && facts.due {
        let repeated =
            Ruling::repeated(facts, "it has been asked for already, and a worker is about to do it".to_owned());
        return Ok(Ruling { undo: planned(&facts.steps), ..repeated });
    }
    let undo = planned(&facts.steps);
    let mut ruling = Ruling {
        status,
        request: what,
        place: Place::Due,
        pause: PauseMark::Over,
        look: Look::Settled,
        ..Ruling::of(facts)
    };
    if facts.held {
        ruling.says.push("attempts under way are let to their end first; what they come to is in the plan".to_owned());
    }
    ruling.says.push(match undo.len() {
        0 if facts.status.is_end() => "nothing has to be undone: it stays as it is".to_owned(),
        0 => "nothing has to be undone: it ends as failed".to_owned(),
        1 => "1 step is undone".to_owned(),
        count => format!("{count} steps are undone, the last first"),
    });
    if facts.pivoted() {
        ruling.says.push("it is past its pivot: others may rely on what is undone".to_owned());
    }
    for (fork, kept) in &facts.forks {
        let relied_on: Vec<String> =
            undo.iter().filter(|(undo, _)| kept.contains(&undo.seq)).map(|(undo, _)| undo.seq.to_string()).collect();
        if !relied_on.is_empty() {
            let steps = relied_on.join(", ");
            ruling.says.push(format!("run {fork}, forked from this one, relies on what is undone: step {steps}"));
            ruling.note("forks", facts.forks.iter().map(|(fork, _)| fork.to_string()).collect::<Vec<_>>());
        }
    }
    ruling.note("request", if cancel { "cancel" } else { "compensate" });
    ruling.note("undo", undo.iter().map(|(undo, _)| undo.seq).collect::<Vec<_>>());
    ruling.undo = undo;
    Ok(ruling)
}

/// The undos that a plan made now would have.
fn planned(steps: &[Step]) -> Vec<(Undo, Step)> {
    let forward = steps.iter().filter(|step| step.direction == Direction::Forward);
    let forward: BTreeMap<u32, &Step> = forward.map(|step| (step.seq, step)).collect();
    let step = |seq: u32| forward.get(&seq).copied().cloned();
    undo_plan(steps).into_iter().filter_map(|undo| step(undo.seq).map(|step| (undo, step))).collect()
}
