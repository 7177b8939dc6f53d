//! Why a run stands where it stands, in sentences: a pure function of what is on record of it.
//!
//! The same sentences serve the API, the command line and the pages, so they name verbs and not commands. Times are told
//! both ways: as the moment, and from `now`, because people ask "how long still?" and compare with their logs.

use super::{
    core::{
        model::{Status, Time},
        transition::allowed,
    },
    view::{Next, Run, StepView, WaitingOn, Why},
};

/// Why this run stands where it stands. It is to be read with its steps and its attention.
pub(crate) fn why(run: &Run, now: Time) -> Why {
    let attention = run.attention.clone().unwrap_or_default();
    let mut sentences = vec![stands(run, now)];
    if let Some(failure) = &run.failure {
        let step = failure.step.and_then(|seq| steps(run).find(|step| step.seq == seq && step.direction == "forward"));
        let step = match (step, failure.step) {
            (Some(step), _) => format!(" at step {} ({})", step.seq, step.name),
            (None, Some(seq)) => format!(" at step {seq}"),
            (None, None) => String::new(),
        };
        sentences.push(format!("{}{step}: {}", failure.code, failure.message));
    }
    let ended = is_ended(run);
    if !ended {
        sentences.extend(steps(run).filter(|step| step.outcome.is_none()).map(|step| open_step(step, now)));
    }
    let said = |code: &str| run.failure.as_ref().is_some_and(|failure| failure.code == code);
    for entry in attention.iter().filter(|entry| !said(&entry.code)) {
        let step = entry.step.as_deref().map(|step| format!(" at {step}")).unwrap_or_default();
        sentences.push(format!("It needs attention ({}{step}): {}: {}", entry.kind, entry.code, entry.message));
    }
    let (next, who) = outlook(run);
    if let Some(next) = &next {
        let at = next.at.map(|at| format!(" {}", moment(at, now))).unwrap_or_default();
        sentences.push(format!("Next: {}{at}.", next.what));
    }
    sentences.extend(advice(run));
    let since = run.waiting_on.as_ref().and_then(|waiting| waiting.since);
    Why {
        id: run.id,
        workflow: run.workflow.clone(),
        status: run.status.clone(),
        sentences,
        waiting_on: run.waiting_on.clone(),
        since: if ended { run.finished_at } else { since },
        next,
        who,
        actions: actions(run),
        failure: run.failure.clone(),
        attention,
    }
}

fn steps(run: &Run) -> impl Iterator<Item = &StepView> {
    run.steps.iter().flatten()
}

fn is_ended(run: &Run) -> bool {
    Status::from_word(&run.status).is_some_and(Status::is_end)
}

/// How it stands, and since when.
fn stands(run: &Run, now: Time) -> String {
    let since = |at: Option<Time>| at.map(|at| format!(" since {}", moment(at, now))).unwrap_or_default();
    if is_ended(run) {
        let at = run.finished_at.map(|at| format!(" {}", moment(at, now))).unwrap_or_default();
        return format!("It ended{at}: {}.", run.status);
    }
    let Some(WaitingOn { kind, name, since: began, .. }) = &run.waiting_on else {
        return match run.status.as_str() {
            "pending" => "It is due, and a worker takes it next.".to_owned(),
            "running" => "A worker has it.".to_owned(),
            "compensating" => "A worker is undoing what it did.".to_owned(),
            other => format!("It is {other}."),
        };
    };
    let name = name.as_deref().unwrap_or("?");
    let undoing = if run.status == "compensating" { " It is undoing what it did." } else { "" };
    let began = since(*began);
    let what = match kind.as_str() {
        "timer" => format!("It has been asleep{began}."),
        "signal" => format!("It has waited for the signal {name}{began}."),
        "retry" => format!("It has waited to try {name} again{began}."),
        "start" => "It has been accepted, to start later.".to_owned(),
        "queue" => format!("It has been due{began}, and no live worker serves the queue {name}."),
        "worker" => {
            format!("It has been due{began}, and no live worker has the workflow {name} in version {}.", run.version)
        }
        "hold" => format!("It is held back{began}: an operator holds {name}."),
        "operator" if run.status == "paused" => {
            format!("An operator paused it{began}; its timers stand still meanwhile.")
        }
        "operator" => format!("It has been stuck{began}: it can't go on without an operator."),
        other => format!("It has waited for {other} {name}{began}."),
    };
    what + undoing
}

fn open_step(step: &StepView, now: Time) -> String {
    let what = if step.direction == "undo" { "The undo of step" } else { "Step" };
    let mut line = format!("{what} {} ({}) is open", step.seq, step.name);
    if step.attempts > 0 {
        let times = if step.attempts == 1 { "once".to_owned() } else { format!("{} times", step.attempts) };
        line.push_str(&format!(", tried {times}"));
    }
    if let Some(error) = &step.error {
        let unknown = if error.unknown { " (it may have taken effect)" } else { "" };
        line.push_str(&format!("; the last error was {}{unknown}: {}", error.code, error.message));
    }
    if let Some(at) = step.next_attempt_at {
        line.push_str(&format!("; it is tried again {}", moment(at, now)));
    } else if let Some(at) = step.due_at {
        line.push_str(&format!("; its time is up {}", moment(at, now)));
    }
    line + "."
}

/// What comes next by itself, and who moves it.
fn outlook(run: &Run) -> (Option<Next>, &'static str) {
    let next = |what: String, at: Option<Time>| Some(Next { what, at });
    if is_ended(run) {
        return (None, "nobody");
    }
    let Some(WaitingOn { kind, name, until, .. }) = &run.waiting_on else {
        let what = match run.status.as_str() {
            "pending" => "a worker begins it",
            "compensating" => "its worker goes on undoing",
            _ => "its worker goes on with it",
        };
        return (next(what.to_owned(), None), "worker");
    };
    let name = name.as_deref().unwrap_or("?");
    match kind.as_str() {
        "timer" => (next("it wakes".to_owned(), *until), "timer"),
        "start" => (next("it starts".to_owned(), *until), "timer"),
        "retry" => (next(format!("{name} is tried again"), *until), "timer"),
        "signal" if until.is_some() => (next(format!("without {name} it goes on"), *until), "caller"),
        "signal" => (next(format!("it goes on when {name} comes, and not before"), None), "caller"),
        "queue" => (next(format!("a worker that serves {name} takes it"), None), "worker"),
        "worker" => (next(format!("a worker that has {name} takes it"), None), "worker"),
        _ => (None, "operator"),
    }
}

/// What people can do about it.
fn advice(run: &Run) -> Option<String> {
    let name = run.waiting_on.as_ref().and_then(|waiting| waiting.name.as_deref()).unwrap_or("?");
    let kind = run.waiting_on.as_ref().map(|waiting| waiting.kind.as_str());
    Some(match (run.status.as_str(), kind) {
        ("paused", _) => "An operator's resume lets it go on.".to_owned(),
        ("stuck", _) => match run.failure.as_ref().map(|failure| failure.code.as_str()) {
            Some("undo_failed") => "Mend what the undo meets, then retry: the failed undos are made again.".to_owned(),
            Some("poison") => "It killed its workers: find out why first, then retry.".to_owned(),
            Some("nondeterminism") => {
                "Its code and its record disagree: deploy the code that it began with, then retry.".to_owned()
            }
            _ => "Mend the cause and retry, or compensate to undo what it did.".to_owned(),
        },
        (_, Some("hold")) => format!("It goes on when the hold on {name} is lifted."),
        (_, Some("signal")) => format!("Whoever may send {name} can move it."),
        (_, Some("queue")) => format!("Start a worker that serves {name}."),
        (_, Some("worker")) => format!("Start a worker that has registered {name} version {}.", run.version),
        ("completed" | "compensated" | "failed" | "abandoned", _) => "Nothing more happens by itself.".to_owned(),
        _ => return None,
    })
}

/// The verbs that the status allows.
fn actions(run: &Run) -> Vec<&'static str> {
    let Some(status) = (match run.status.as_str() {
        "pending" => Some(Status::Active),
        word => Status::from_word(word),
    }) else {
        return Vec::new();
    };
    allowed(status)
}

/// A moment, as it is and from now.
fn moment(at: Time, now: Time) -> String {
    let ms = (at - now).num_milliseconds();
    let from_now = match ms {
        -999..=999 => "now".to_owned(),
        1_000.. => format!("in {}", span(ms)),
        _ => format!("{} ago", span(-ms)),
    };
    format!("{} ({from_now})", at.format("%F %T UTC"))
}

fn span(ms: i64) -> String {
    let (s, m, h) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    match s {
        ..60 => format!("{s}s"),
        60..3_600 => format!("{m}m{:02}s", s % 60),
        3_600..172_800 => format!("{h}h{:02}m", m % 60),
        _ => format!("{}d", h / 24),
    }
}
