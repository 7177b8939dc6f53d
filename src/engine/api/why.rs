//! Why a run is where it is, in sentences: a pure function of its record.
//!
//! The same sentences serve the API, the command line and the pages, so they name verbs and not commands. Times are given
//! both ways: as the moment and from `now`, because people wait for them and compare them with their logs.

use crate::engine::{
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
        "hold" => format!("It has been held back{began}: an operator holds {name}."),
        "operator" if run.status == "paused" => {
            format!("It has been paused{began}, by an operator; its timers stand still meanwhile.")
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

/// The verbs that lead to something: those that the status allows, less what would be refused or do nothing.
fn actions(run: &Run) -> Vec<&'static str> {
    let status = if run.status == "pending" { Some(Status::Active) } else { Status::from_word(&run.status) };
    let pivoted = steps(run).any(|step| step.kind == "pivot");
    let planned = steps(run).any(|step| step.direction == "undo");
    let nothing_to_see = run.attention.as_ref().is_none_or(Vec::is_empty);
    let ruled_out = |verb: &str| match verb {
        "cancel" => pivoted || planned,
        "compensate" => planned,
        "acknowledge" => nothing_to_see,
        // Both can be repeated, and do nothing then.
        "pause" => run.status == "paused",
        "resume" => run.status != "paused",
        _ => false,
    };
    status.map(allowed).unwrap_or_default().into_iter().filter(|verb| !ruled_out(verb)).collect()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::{
        core::model::{Failure, StepError},
        view::Attention,
    };

    fn at(minutes: i64) -> Time {
        let midnight: Time = "2026-01-01T00:00:00Z".parse().expect("a time");
        midnight + chrono::TimeDelta::minutes(minutes)
    }

    fn run(status: &str, waiting_on: Option<(&str, &str, Option<Time>)>) -> Run {
        let waiting_on = waiting_on.map(|(kind, name, until)| WaitingOn {
            kind: kind.into(),
            name: Some(name.into()),
            since: Some(at(50)),
            until,
        });
        Run {
            id: uuid::Uuid::nil(),
            workflow: "order".into(),
            version: 2,
            key: None,
            queue: "default".into(),
            status: status.into(),
            input: None,
            output: None,
            failure: None,
            waiting_on,
            tags: BTreeMap::new(),
            created_at: at(0),
            started_at: None,
            finished_at: None,
            parent_id: None,
            trace_id: String::new(),
            steps: None,
            attention: None,
            children: None,
        }
    }

    fn open(attempts: u32, next: Option<Time>) -> StepView {
        StepView {
            seq: 2,
            name: "charge".into(),
            kind: "activity".into(),
            activity: Some("charge".into()),
            direction: "forward".into(),
            outcome: None,
            attempts,
            idempotency_key: None,
            input: None,
            output: None,
            error: Some(StepError { code: "timeout".into(), message: "no answer within 5 s".into(), unknown: true }),
            attempt_log: Vec::new(),
            started_at: None,
            finished_at: None,
            next_attempt_at: next,
            due_at: None,
            undo_after: Vec::new(),
            worker: None,
        }
    }

    fn told(run: &Run) -> String {
        let why = why(run, at(60));
        format!("{}\n[{}]", why.sentences.join("\n"), why.who)
    }

    #[test]
    fn a_run_that_waits_for_a_signal_says_who_can_send_it_and_what_comes_without() {
        let waits = run("waiting", Some(("signal", "paid", Some(at(90)))));
        insta::assert_snapshot!(told(&waits), @r"
        It has waited for the signal paid since 2026-01-01 00:50:00 UTC (10m00s ago).
        Next: without paid it goes on 2026-01-01 01:30:00 UTC (in 30m00s).
        Whoever may send paid can move it.
        [caller]
        ");
    }

    #[test]
    fn a_run_that_waits_for_a_retry_tells_its_attempts_and_its_error() {
        let mut waits = run("waiting", Some(("retry", "charge", Some(at(61)))));
        waits.steps = Some(vec![open(4, Some(at(61)))]);
        insta::assert_snapshot!(told(&waits), @r"
        It has waited to try charge again since 2026-01-01 00:50:00 UTC (10m00s ago).
        Step 2 (charge) is open, tried 4 times; the last error was timeout (it may have taken effect): no answer within 5 s; it is tried again 2026-01-01 01:01:00 UTC (in 1m00s).
        Next: charge is tried again 2026-01-01 01:01:00 UTC (in 1m00s).
        [timer]
        ");
    }

    #[test]
    fn a_stuck_run_says_what_failed_and_what_helps() {
        let mut stuck = run("stuck", Some(("operator", "undo_failed", None)));
        stuck.failure = Some(Failure::new("undo_failed", "the refund was refused").at(2));
        stuck.steps = Some(vec![StepView { outcome: Some("ok".into()), error: None, ..open(1, None) }]);
        stuck.attention = Some(vec![Attention {
            seq: Some(4),
            step: Some("mail".into()),
            kind: "best_effort".into(),
            code: "bounced".into(),
            message: "no such box".into(),
            since: at(55),
            fingerprint: "00".into(),
        }]);
        insta::assert_snapshot!(told(&stuck), @r"
        It has been stuck since 2026-01-01 00:50:00 UTC (10m00s ago): it can't go on without an operator.
        undo_failed at step 2 (charge): the refund was refused
        It needs attention (best_effort at mail): bounced: no such box
        Mend what the undo meets, then retry: the failed undos are made again.
        [operator]
        ");
    }

    #[test]
    fn no_verb_is_named_that_would_be_refused_or_do_nothing() {
        let step = |kind: &str, direction: &str| {
            Some(vec![StepView { kind: kind.into(), direction: direction.into(), ..open(1, None) }])
        };
        let of = |status: &str, steps| actions(&Run { steps, ..run(status, None) }).join(" ");
        assert_eq!(of("waiting", None), "retry cancel compensate pause skip resolve abandon");
        assert_eq!(of("waiting", step("pivot", "forward")), "retry compensate pause skip resolve abandon");
        assert_eq!(of("stuck", step("activity", "undo")), "retry skip resolve abandon fork");
        assert_eq!(of("paused", None), "cancel compensate resume skip resolve abandon fork");
    }

    #[test]
    fn what_nobody_serves_and_what_is_held_or_paused_name_what_is_missing() {
        let runs = [
            run("pending", Some(("queue", "mail", None))),
            run("pending", Some(("worker", "order", None))),
            run("waiting", Some(("hold", "activity charge", None))),
            run("paused", Some(("operator", "paused", None))),
        ];
        insta::assert_snapshot!(runs.iter().map(told).collect::<Vec<_>>().join("\n\n"), @r"
        It has been due since 2026-01-01 00:50:00 UTC (10m00s ago), and no live worker serves the queue mail.
        Next: a worker that serves mail takes it.
        Start a worker that serves mail.
        [worker]

        It has been due since 2026-01-01 00:50:00 UTC (10m00s ago), and no live worker has the workflow order in version 2.
        Next: a worker that has order takes it.
        Start a worker that has registered order version 2.
        [worker]

        It has been held back since 2026-01-01 00:50:00 UTC (10m00s ago): an operator holds activity charge.
        It goes on when the hold on activity charge is lifted.
        [operator]

        It has been paused since 2026-01-01 00:50:00 UTC (10m00s ago), by an operator; its timers stand still meanwhile.
        An operator's resume lets it go on.
        [operator]
        ");
    }

    #[test]
    fn a_run_that_goes_on_or_has_ended_says_so() {
        let ended = Run { finished_at: Some(at(30)), ..run("completed", None) };
        let runs = [run("pending", None), run("running", None), run("compensating", None), ended];
        insta::assert_snapshot!(runs.iter().map(told).collect::<Vec<_>>().join("\n\n"), @r"
        It is due, and a worker takes it next.
        Next: a worker begins it.
        [worker]

        A worker has it.
        Next: its worker goes on with it.
        [worker]

        A worker is undoing what it did.
        Next: its worker goes on undoing.
        [worker]

        It ended 2026-01-01 00:30:00 UTC (30m00s ago): completed.
        Nothing more happens by itself.
        [nobody]
        ");
    }
}
