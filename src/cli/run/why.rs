//! `backstitch run why`: what a run waits for, since when, and what happens next.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::read;
use crate::cli::{
    client::Client,
    output::{Out, now, relative},
    shapes::{Run, WaitingOn},
};

/// Which run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    id: String,
}

pub(super) async fn run(args: &Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let (whole, run) = read(client, &args.id).await?;
    let lines = explain(&run, now());
    let json = json!({
        "id": run.id, "status": run.status, "waiting_on": whole["waiting_on"], "failure": whole["failure"], "explanation": lines,
    });
    out.show(&json, || lines.join("\n"))
}

/// Sentences: how it stands, what for, what next.
fn explain(run: &Run, now: DateTime<Utc>) -> Vec<String> {
    let ago = |at: Option<DateTime<Utc>>| at.map_or_else(|| "?".to_owned(), |at| relative(at, now));
    let mut lines = vec![format!("It is {}.", run.status)];
    if let Some(failure) = &run.failure {
        let step = failure.step.map(|seq| format!(" at step {seq}")).unwrap_or_default();
        lines.push(format!("{}{step}: {}", failure.code, failure.message));
    }
    match &run.waiting_on {
        _ if run.ended() => lines.push(format!("It ended {}; nothing more happens by itself.", ago(run.finished_at))),
        Some(waiting) => {
            lines.push(format!("{} It has waited since {}.", awaited(run, waiting, now), ago(waiting.since)));
        }
        None => lines.push("A worker holds it, or takes it next; nothing is awaited.".to_owned()),
    }
    for step in run.steps.iter().filter(|step| step.outcome.is_none()) {
        let mut line = format!("Step {} ({}, {}): attempt {}", step.seq, step.name, step.direction, step.attempts);
        if let Some(at) = step.next_attempt_at {
            line.push_str(&format!(", tried again {}", relative(at, now)));
        }
        if let Some(error) = &step.error {
            line.push_str(&format!("; last error {}: {}", error.code, error.message));
        }
        lines.push(line);
    }
    lines
}

fn awaited(run: &Run, waiting: &WaitingOn, now: DateTime<Utc>) -> String {
    let name = waiting.name.as_deref().unwrap_or("?");
    let until = waiting.until.map(|at| format!(", until {} ({})", at.format("%F %T UTC"), relative(at, now)));
    let until = until.unwrap_or_default();
    let id = &run.id;
    match waiting.kind.as_str() {
        "timer" => format!("It sleeps{until}."),
        "signal" => format!("It waits for the signal {name}{until}: `backstitch run signal {id} {name}` sends it."),
        "retry" => format!("It waits to try {name} again{until}."),
        "queue" => format!("No live worker serves its queue: `backstitch worker --queue {name}` does."),
        "worker" => format!("No live worker knows the workflow {name}: start one that has registered it."),
        "hold" => format!("{name} is held back: `backstitch hold list` says why, `backstitch hold release` ends it."),
        "start" => format!("It starts later{until}."),
        "operator" if run.status == "paused" => "An operator paused it.".to_owned(),
        "operator" => format!(
            "It needs an operator ({name}): `backstitch run retry {id}` tries again, \
             `backstitch run compensate {id} --reason TEXT` undoes it."
        ),
        other => format!("It waits for {other} {name}{until}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(fields: serde_json::Value) -> String {
        let mut run = json!({"id": "r1", "workflow": "order", "version": 1, "queue": "default", "created_at": "2026-01-01T00:00:00Z"});
        run.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        let run: Run = serde_json::from_value(run).expect("a run");
        explain(&run, "2026-01-01T01:00:00Z".parse().expect("a time")).join("\n")
    }

    #[test]
    fn a_run_that_waits_for_a_signal_names_the_command_that_sends_it() {
        let text = explained(json!({"status": "waiting", "waiting_on":
            {"kind": "signal", "name": "cancel", "since": "2026-01-01T00:59:00Z", "until": "2026-01-01T01:30:00Z"}}));
        insta::assert_snapshot!(text, @r"
        It is waiting.
        It waits for the signal cancel, until 2026-01-01 01:30:00 UTC (in 30m00s): `backstitch run signal r1 cancel` sends it. It has waited since 1m00s ago.
        ");
    }

    #[test]
    fn a_stuck_run_names_what_an_operator_can_do() {
        let text = explained(json!({"status": "stuck",
            "failure": {"code": "refund_failed", "message": "the gateway refused", "step": 2},
            "waiting_on": {"kind": "operator", "name": "refund_failed", "since": "2026-01-01T00:50:00Z"}}));
        insta::assert_snapshot!(text, @r"
        It is stuck.
        refund_failed at step 2: the gateway refused
        It needs an operator (refund_failed): `backstitch run retry r1` tries again, `backstitch run compensate r1 --reason TEXT` undoes it. It has waited since 10m00s ago.
        ");
    }
}
