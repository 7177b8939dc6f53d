//! Why a run is where it is, in sentences: a pure function of its record.
//!
//! The same sentences serve the API, the command line and the pages, so they name verbs and not commands. Times are given
//! both ways: as the moment and from `now`, because people wait for them and compare them with their logs.

use crate::engine::{
    core::{
        model::{Direction, StepKind, Time, WaitKind},
        transition::allowed,
    },
    read_models::{Mover, Next, Run, RunStatus, RunStep, WaitingOn, Why},
};

/// Why this run stands where it stands. It is to be read with its steps and its attention. `closed`: callers may not send the
/// signal that it waits for.
pub(crate) fn why(run: &Run, now: Time, closed: bool) -> Why {
    let attention = run.attention.clone().unwrap_or_default();
    let mut sentences = vec![stands(run, now)];
    if let Some(failure) = &run.failure {
        let step = failure
            .step
            .and_then(|seq| steps(run).find(|step| step.seq == seq && step.direction == Direction::Forward));
        let step = match (step, failure.step) {
            (Some(step), _) => format!(" at step {} ({})", step.seq, step.name),
            (None, Some(seq)) => format!(" at step {seq}"),
            (None, None) => String::new(),
        };
        sentences.push(format!("{}{step}: {}", failure.code, failure.message));
    }
    let ended = run.status.has_ended();
    if !ended {
        sentences.extend(steps(run).filter(|step| step.outcome.is_none()).map(|step| open_step(step, now)));
    }
    let said = |code: &str| run.failure.as_ref().is_some_and(|failure| failure.code == code);
    for entry in attention.iter().filter(|entry| !said(&entry.code)) {
        let step = entry.step.as_deref().map(|step| format!(" at {step}")).unwrap_or_default();
        sentences.push(format!("It needs attention ({}{step}): {}: {}", entry.kind, entry.code, entry.message));
    }
    let (next, who) = outlook(run, closed);
    if let Some(next) = &next {
        let at = next.at.map(|at| format!(" {}", moment(at, now))).unwrap_or_default();
        sentences.push(format!("Next: {}{at}.", next.what));
    }
    sentences.extend(advice(run, closed));
    let since = run.waiting_on.as_ref().and_then(|waiting| waiting.since);
    Why {
        id: run.id,
        workflow: run.workflow.clone(),
        status: run.status,
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

fn steps(run: &Run) -> impl Iterator<Item = &RunStep> {
    run.steps.iter().flatten()
}

/// How it stands, and since when.
fn stands(run: &Run, now: Time) -> String {
    let since = |at: Option<Time>| at.map(|at| format!(" since {}", moment(at, now))).unwrap_or_default();
    if run.status.has_ended() {
        let at = run.finished_at.map(|at| format!(" {}", moment(at, now))).unwrap_or_default();
        return format!("It ended{at}: {}.", run.status);
    }
    let Some(WaitingOn { kind, name, since: began, .. }) = &run.waiting_on else {
        return match run.status {
            RunStatus::Pending => "It is due, and a worker takes it next.".to_owned(),
            RunStatus::Running => "A worker has it.".to_owned(),
            RunStatus::Compensating => "A worker is undoing what it did.".to_owned(),
            other => format!("It is {other}."),
        };
    };
    let name = name.as_deref().unwrap_or("?");
    let undoing = if run.status == RunStatus::Compensating { " It is undoing what it did." } else { "" };
    let began = since(*began);
    let what = match kind {
        WaitKind::Timer => format!("It has been asleep{began}."),
        WaitKind::Signal => format!("It has waited for the signal {name}{began}."),
        WaitKind::Retry => format!("It has waited to try {name} again{began}."),
        WaitKind::Start => "It has been accepted, to start later.".to_owned(),
        WaitKind::Queue => format!("It has been due{began}, and no live worker serves the queue {name}."),
        WaitKind::Worker => {
            format!("It has been due{began}, and no live worker has the workflow {name} in version {}.", run.version)
        }
        WaitKind::Hold => format!("It has been held back{began}: an operator holds {name}."),
        WaitKind::Operator if run.status == RunStatus::Paused => {
            format!("It has been paused{began}, by an operator; its timers stand still meanwhile.")
        }
        WaitKind::Operator => format!("It has been stuck{began}: it can't go on without an operator."),
    };
    what + undoing
}

fn open_step(step: &RunStep, now: Time) -> String {
    let what = if step.direction == Direction::Undo { "The undo of step" } else { "Step" };
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
fn outlook(run: &Run, closed: bool) -> (Option<Next>, Mover) {
    let next = |what: String, at: Option<Time>| Some(Next { what, at });
    if run.status.has_ended() {
        return (None, Mover::Nobody);
    }
    let Some(WaitingOn { kind, name, until, .. }) = &run.waiting_on else {
        let what = match run.status {
            RunStatus::Pending => "a worker begins it",
            RunStatus::Compensating => "its worker goes on undoing",
            _ => "its worker goes on with it",
        };
        return (next(what.to_owned(), None), Mover::Worker);
    };
    let name = name.as_deref().unwrap_or("?");
    let sender = if closed { Mover::Service } else { Mover::Caller };
    match kind {
        WaitKind::Timer => (next("it wakes".to_owned(), *until), Mover::Timer),
        WaitKind::Start => (next("it starts".to_owned(), *until), Mover::Timer),
        WaitKind::Retry => (next(format!("{name} is tried again"), *until), Mover::Timer),
        WaitKind::Signal if until.is_some() => (next(format!("without {name} it goes on"), *until), sender),
        WaitKind::Signal => (next(format!("it goes on when {name} comes, and not before"), None), sender),
        WaitKind::Queue => (next(format!("a worker that serves {name} takes it"), None), Mover::Worker),
        WaitKind::Worker => (next(format!("a worker that has {name} takes it"), None), Mover::Worker),
        WaitKind::Hold | WaitKind::Operator => (None, Mover::Operator),
    }
}

/// What people can do about it.
fn advice(run: &Run, closed: bool) -> Option<String> {
    let name = run.waiting_on.as_ref().and_then(|waiting| waiting.name.as_deref()).unwrap_or("?");
    let kind = run.waiting_on.as_ref().map(|waiting| waiting.kind);
    Some(match (run.status, kind) {
        (RunStatus::Paused, _) => "An operator's resume lets it go on.".to_owned(),
        (RunStatus::Stuck, _) => match run.failure.as_ref().map(|failure| failure.code.as_str()) {
            Some("undo_failed") => "Mend what the undo meets, then retry: the failed undos are made again.".to_owned(),
            Some("poison") => "It killed its workers: find out why first, then retry.".to_owned(),
            Some("nondeterminism") => {
                "Its code and its record disagree: deploy the code that it began with, then retry.".to_owned()
            }
            _ => "Mend the cause and retry, or compensate to undo what it did.".to_owned(),
        },
        (_, Some(WaitKind::Hold)) => format!("It goes on when the hold on {name} is lifted."),
        (_, Some(WaitKind::Signal)) if closed => format!("Its own service sends {name}: the workflow is internal."),
        (_, Some(WaitKind::Signal)) => format!("Anybody with the right to send {name} can move it."),
        (_, Some(WaitKind::Queue)) => format!("Start a worker that serves {name}."),
        (_, Some(WaitKind::Worker)) => format!("Start a worker that has registered {name} version {}.", run.version),
        (status, _) if status.has_ended() => "Nothing more happens by itself.".to_owned(),
        _ => return None,
    })
}

/// The verbs that lead to something: those that the status allows, less what would be refused or do nothing.
fn actions(run: &Run) -> Vec<String> {
    let pivoted = steps(run).any(|step| step.kind == StepKind::Pivot);
    let planned = steps(run).any(|step| step.direction == Direction::Undo);
    let nothing_to_see = run.attention.as_ref().is_none_or(Vec::is_empty);
    let ruled_out = |verb: &str| match verb {
        "cancel" => pivoted || planned,
        "compensate" => planned,
        "acknowledge" => nothing_to_see,
        // Both can be repeated, and do nothing then.
        "pause" => run.status == RunStatus::Paused,
        "resume" => run.status != RunStatus::Paused,
        _ => false,
    };
    allowed(run.status.stored()).into_iter().filter(|verb| !ruled_out(verb)).map(str::to_owned).collect()
}

/// A moment, as it is and from now.
fn moment(at: Time, now: Time) -> String {
    let ms = at.signed_duration_since(now).num_milliseconds();
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
        core::{
            attention::AttentionKind,
            model::{Failure, Outcome, StepError},
        },
        read_models::Attention,
    };

    fn at(minutes: i64) -> Time {
        let midnight: Time = "2026-01-01T00:00:00Z".parse().expect("a time");
        midnight + chrono::TimeDelta::minutes(minutes)
    }

    fn run(status: RunStatus, waiting_on: Option<(WaitKind, &str, Option<Time>)>) -> Run {
        let waiting_on = waiting_on.map(|(kind, name, until)| WaitingOn {
            kind,
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
            status,
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

    fn open(attempts: u32, next: Option<Time>) -> RunStep {
        RunStep {
            seq: 2,
            name: "charge".into(),
            kind: StepKind::Activity,
            activity: Some("charge".into()),
            direction: Direction::Forward,
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

    fn explain_all(run: &Run) -> String {
        explain(run, false)
    }

    fn explain(run: &Run, closed: bool) -> String {
        let why = why(run, at(60), closed);
        format!("{}\n[{}]", why.sentences.join("\n"), why.who)
    }

    #[test]
    fn a_signal_wait_says_how_to_send_it() {
        let waits = run(RunStatus::Waiting, Some((WaitKind::Signal, "paid", Some(at(90)))));
        insta::assert_snapshot!(explain_all(&waits), @r"
        It has waited for the signal paid since 2026-01-01 00:50:00 UTC (10m00s ago).
        Next: without paid it goes on 2026-01-01 01:30:00 UTC (in 30m00s).
        Anybody with the right to send paid can move it.
        [caller]
        ");
    }

    #[test]
    fn an_internal_run_waits_for_its_service() {
        let waits = run(RunStatus::Waiting, Some((WaitKind::Signal, "paid", None)));
        insta::assert_snapshot!(explain(&waits, true), @r"
        It has waited for the signal paid since 2026-01-01 00:50:00 UTC (10m00s ago).
        Next: it goes on when paid comes, and not before.
        Its own service sends paid: the workflow is internal.
        [service]
        ");
    }

    #[test]
    fn a_run_waiting_for_a_retry_shows_its_attempts() {
        let mut waits = run(RunStatus::Waiting, Some((WaitKind::Retry, "charge", Some(at(61)))));
        waits.steps = Some(vec![open(4, Some(at(61)))]);
        insta::assert_snapshot!(explain_all(&waits), @r"
        It has waited to try charge again since 2026-01-01 00:50:00 UTC (10m00s ago).
        Step 2 (charge) is open, tried 4 times; the last error was timeout (it may have taken effect): no answer within 5 s; it is tried again 2026-01-01 01:01:00 UTC (in 1m00s).
        Next: charge is tried again 2026-01-01 01:01:00 UTC (in 1m00s).
        [timer]
        ");
    }

    #[test]
    fn a_stuck_run_says_what_failed_and_what_helps() {
        let mut stuck = run(RunStatus::Stuck, Some((WaitKind::Operator, "undo_failed", None)));
        stuck.failure = Some(Failure::new("undo_failed", "the refund was refused").at(2));
        stuck.steps = Some(vec![RunStep { outcome: Some(Outcome::Ok), error: None, ..open(1, None) }]);
        stuck.attention = Some(vec![Attention {
            seq: Some(4),
            step: Some("mail".into()),
            kind: AttentionKind::BestEffort,
            code: "bounced".into(),
            message: "no such box".into(),
            since: at(55),
            fingerprint: "00".into(),
        }]);
        insta::assert_snapshot!(explain_all(&stuck), @r"
        It has been stuck since 2026-01-01 00:50:00 UTC (10m00s ago): it can't go on without an operator.
        undo_failed at step 2 (charge): the refund was refused
        It needs attention (best_effort at mail): bounced: no such box
        Mend what the undo meets, then retry: the failed undos are made again.
        [operator]
        ");
    }

    #[test]
    fn only_verbs_that_would_work_are_named() {
        let step = |kind, direction| Some(vec![RunStep { kind, direction, ..open(1, None) }]);
        let of = |status, steps| actions(&Run { steps, ..run(status, None) }).join(" ");
        assert_eq!(of(RunStatus::Waiting, None), "retry cancel compensate pause skip resolve abandon");
        assert_eq!(
            of(RunStatus::Waiting, step(StepKind::Pivot, Direction::Forward)),
            "retry compensate pause skip resolve abandon"
        );
        assert_eq!(of(RunStatus::Stuck, step(StepKind::Activity, Direction::Undo)), "retry skip resolve abandon fork");
        assert_eq!(of(RunStatus::Paused, None), "cancel compensate resume skip resolve abandon fork");
    }

    #[test]
    fn unserved_held_and_paused_runs_name_what_is_missing() {
        let runs = [
            run(RunStatus::Pending, Some((WaitKind::Queue, "mail", None))),
            run(RunStatus::Pending, Some((WaitKind::Worker, "order", None))),
            run(RunStatus::Waiting, Some((WaitKind::Hold, "activity charge", None))),
            run(RunStatus::Paused, Some((WaitKind::Operator, "paused", None))),
        ];
        insta::assert_snapshot!(runs.iter().map(explain_all).collect::<Vec<_>>().join("\n\n"), @r"
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
        let ended = Run { finished_at: Some(at(30)), ..run(RunStatus::Completed, None) };
        let runs =
            [run(RunStatus::Pending, None), run(RunStatus::Running, None), run(RunStatus::Compensating, None), ended];
        insta::assert_snapshot!(runs.iter().map(explain_all).collect::<Vec<_>>().join("\n\n"), @r"
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
