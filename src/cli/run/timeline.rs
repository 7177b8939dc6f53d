//! A run as text in 80 columns: its fields, then its steps, with the forward lane on the left and the undo lane on the
//! right.

use crate::{
    cli::output::{Out, cut, relative, span},
    engine::{Direction, Outcome, PastAttempt, Run, RunStep, StepKind, StepState, Time},
};

/// The run as text.
pub(in crate::cli) fn render(run: &Run, out: Out, now: Time) -> String {
    let mut lines = vec![format!("run {}  {}", run.id, out.paint(run.status.word()))];
    lines.extend(facts(run, now));
    let steps = || run.steps.iter().flatten();
    let forward: Vec<&RunStep> = steps().filter(|step| step.direction == Direction::Forward).collect();
    if !forward.is_empty() {
        lines.push(String::new());
        lines.push(format!("    {:<26} {:>7} {:>5}    {}", "STEP", "TOOK", "TRIES", "UNDO"));
    }
    for step in forward {
        let undo = steps().find(|other| other.direction == Direction::Undo && other.seq == step.seq);
        lines.push(row(step, undo, out, now).trim_end().to_owned());
        for (lane, step) in [("", Some(step)), ("undo: ", undo)] {
            let Some(step) = step else { continue };
            let attempts = tries(step);
            lines.extend(attempts.iter().flat_map(|line| wrapped(&format!("{lane}{line}"), "      ")));
            // Show the last attempt's error only once.
            let last = step.attempt_log.last().and_then(|past| past.error.as_ref());
            if let Some(error) = step.error.as_ref().filter(|error| attempts.is_empty() || last != Some(*error)) {
                lines.extend(wrapped(&format!("{lane}{}: {}", error.code, error.message), "      "));
            }
        }
    }
    lines.join("\n")
}

/// The attempts that did not succeed, if they say more than the step's own error; equal ones share a line.
fn tries(step: &RunStep) -> Vec<String> {
    if step.attempt_log.len() < 2 && step.error.is_some() {
        return Vec::new();
    }
    let alike = |a: &PastAttempt, b: &PastAttempt| {
        a.error == b.error && a.outcome == b.outcome && a.verification == b.verification && a.attempt < b.attempt
    };
    step.attempt_log.chunk_by(alike).filter_map(|group| Some(line(group.first()?, group.last()?))).collect()
}

fn line(first: &PastAttempt, last: &PastAttempt) -> String {
    let (one, many, found) = match (first.verification, first.outcome) {
        (true, Outcome::Failed) => ("verification", "verifications", "it never took effect"),
        (true, _) => ("verification", "verifications", "could not tell"),
        (false, outcome) => ("try", "tries", outcome.word()),
    };
    let number = match (first.attempt, last.attempt) {
        (from, to) if from == to => format!("{one} {from}"),
        (from, to) => format!("{many} {from} to {to}"),
    };
    let began = first.started_at.filter(|_| first.attempt == last.attempt);
    let after = began.map(|start| format!(" after {}", took(start, first.ended_at))).unwrap_or_default();
    let error = first.error.as_ref().map(|error| format!(", {}: {}", error.code, error.message)).unwrap_or_default();
    format!("{number}: {found}{after}{error}")
}

fn facts(run: &Run, now: Time) -> Vec<String> {
    let ago = |at: Option<Time>| at.map(|at| relative(at, now));
    let waits = run.waiting_on.as_ref().map(|waiting| {
        let name = waiting.name.as_deref().unwrap_or_default();
        let until = waiting.until.map(|at| format!(", until {}", relative(at, now))).unwrap_or_default();
        format!("{} {name}, since {}{until}", waiting.kind, ago(waiting.since).unwrap_or_else(|| "?".to_owned()))
    });
    let failure = run.failure.as_ref().map(|failure| {
        let step = failure.step.map(|seq| format!(" (step {seq})")).unwrap_or_default();
        format!("{}: {}{step}", failure.code, failure.message)
    });
    let took =
        run.finished_at.map(|end| format!("{}, {} after its start", relative(end, now), took(run.created_at, end)));
    let children: Vec<String> = run.children.iter().flatten().map(ToString::to_string).collect();
    let facts = [
        ("workflow", Some(format!("{} v{}", run.workflow, run.version))),
        ("queue", Some(run.queue.clone()).filter(|queue| queue != "default")),
        ("key", run.key.clone()),
        ("parent", run.parent_id.map(|id| id.to_string())),
        ("children", Some(children.join(" ")).filter(|ids| !ids.is_empty())),
        ("created", ago(Some(run.created_at))),
        ("ended", took),
        ("waits for", waits),
        ("failure", failure),
        ("output", run.output.as_ref().map(|output| cut(output.get(), 300))),
    ];
    let line = |(name, value): (&str, Option<String>)| {
        let mut lines = wrapped(&value?, "             ");
        if let Some(first) = lines.first_mut() {
            first.replace_range(..13, &format!("  {name:<10} "));
        }
        Some(lines)
    };
    facts.into_iter().filter_map(line).flatten().collect()
}

fn took(from: Time, to: Time) -> String {
    span((to - from).num_milliseconds().max(0))
}

fn row(step: &RunStep, undo: Option<&RunStep>, out: Out, now: Time) -> String {
    let name =
        if step.kind == StepKind::Activity { step.name.clone() } else { format!("{} ({})", step.name, step.kind) };
    let name = if step.kind == StepKind::Pivot { "— pivot —".to_owned() } else { name };
    let tries = if step.attempts > 0 { step.attempts.to_string() } else { String::new() };
    let undo = undo.map(|undo| {
        let tries = if undo.attempts > 1 { format!(" {} tries", undo.attempts) } else { String::new() };
        let word = StepState::from(undo.outcome);
        format!("{} {word:<7} {:>7}{tries}", out.paint(mark(undo)), time(undo, now))
    });
    let left =
        format!("{:>3} {} {:<24} {:>7} {:>5}", step.seq, out.paint(mark(step)), cut(&name, 24), time(step, now), tries);
    format!("{left}    {}", undo.unwrap_or_default())
}

const fn mark(step: &RunStep) -> &'static str {
    match step.outcome {
        None => "▸",
        Some(Outcome::Ok) => "✓",
        Some(Outcome::Failed) => "✗",
        Some(Outcome::Unknown) => "?",
        Some(Outcome::Skipped) => "-",
    }
}

/// How long it took, or when the next attempt is due.
fn time(step: &RunStep, now: Time) -> String {
    match (step.started_at, step.finished_at, step.next_attempt_at.or(step.due_at)) {
        (Some(start), Some(end), _) => took(start, end),
        (_, None, Some(next)) => relative(next, now),
        (Some(start), None, None) => took(start, now),
        _ => String::new(),
    }
}

/// Words in lines of at most 80 columns, each indented.
fn wrapped(text: &str, indent: &str) -> Vec<String> {
    let room = 80 - indent.len();
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = cut(word, room);
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 80 => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(format!("{indent}{word}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cli::output::Format, engine::samples};

    fn step(seq: u32, name: &str, direction: &str, outcome: Option<&str>, ms: u32) -> serde_json::Value {
        let changes = json!({
            "seq": seq, "name": name, "kind": "activity", "direction": direction, "outcome": outcome, "attempts": 1,
            "started_at": "2026-01-01T00:00:01Z",
            "finished_at": outcome.map(|_| format!("2026-01-01T00:00:01.{ms:03}Z")),
        });
        samples::with(samples::done_step_json(), changes)
    }

    #[test]
    fn both_lanes_are_readable_in_eighty_columns() {
        let mut charge = step(1, "charge_the_card_of_the_customer", "forward", Some("unknown"), 12);
        charge["error"] = json!({"code": "gateway_outcome_unknown", "message": "outcome unknown (timeout): the gateway at http://127.0.0.1:8081 did not answer"});
        charge["attempts"] = json!(8);
        let mut refund = step(1, "charge", "undo", None, 0);
        refund["attempts"] = json!(3);
        refund["next_attempt_at"] = json!("2026-01-01T00:01:05Z");
        let run = json!({
            "id": "01998877-6655-7443-8221-100000000000", "workflow": "order", "version": 1, "queue": "default",
            "key": "k-1", "status": "compensating", "waiting_on": null, "created_at": "2026-01-01T00:00:00Z",
            "failure": {"code": "payment_expired", "message": "not paid within ten minutes", "step": 1},
            "steps": [
                step(0, "reserve_stock", "forward", Some("ok"), 4), charge,
                refund, step(0, "reserve_stock", "undo", Some("ok"), 7),
            ],
        });
        let run: Run = samples::with(samples::waiting_run_json(), run);
        let text =
            render(&run, Out { format: Format::Table, colour: false }, "2026-01-01T00:01:00Z".parse().expect("a time"));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text, @r"
        run 01998877-6655-7443-8221-100000000000  compensating
          workflow   order v1
          key        k-1
          created    1m00s ago
          failure    payment_expired: not paid within ten minutes (step 1)

            STEP                          TOOK TRIES    UNDO
          0 ✓ reserve_stock                4ms     1    ✓ ok          7ms
          1 ? charge_the_card_of_the_…    12ms     8    ▸ open    in 5.0s 3 tries
              gateway_outcome_unknown: outcome unknown (timeout): the gateway at
              http://127.0.0.1:8081 did not answer
        ");
    }

    #[test]
    fn bad_attempts_are_shown_and_like_ones_in_one_line() {
        let past = |attempt: u32, outcome: &str, code: &str| {
            json!({
                "attempt": attempt, "outcome": outcome, "started_at": "2026-01-01T00:00:01Z",
                "ended_at": "2026-01-01T00:00:01.250Z", "error": {"code": code, "message": "as it said"},
            })
        };
        let mut charge = step(0, "charge", "forward", Some("ok"), 12);
        charge["attempts"] = json!(6);
        let (lost, mut verified) = (past(4, "unknown", "timeout"), past(5, "unknown", "not_yet_known"));
        verified["verification"] = json!(true);
        charge["attempt_log"] =
            json!([past(1, "failed", "busy"), past(2, "failed", "busy"), past(3, "failed", "busy"), lost, verified]);
        let mut declined = step(1, "confirm", "forward", Some("failed"), 12);
        declined["error"] = json!({"code": "declined", "message": "as it said"});
        declined["attempt_log"] = json!([past(1, "failed", "declined")]);
        let run = json!({
            "id": "01998877-6655-7443-8221-100000000000", "workflow": "order", "version": 1, "queue": "default",
            "key": null, "status": "failed", "waiting_on": null, "created_at": "2026-01-01T00:00:00Z",
            "steps": [charge, declined],
        });
        let run: Run = samples::with(samples::waiting_run_json(), run);
        let text =
            render(&run, Out { format: Format::Table, colour: false }, "2026-01-01T00:01:00Z".parse().expect("a time"));
        insta::assert_snapshot!(text, @r"
        run 01998877-6655-7443-8221-100000000000  failed
          workflow   order v1
          created    1m00s ago

            STEP                          TOOK TRIES    UNDO
          0 ✓ charge                      12ms     6
              tries 1 to 3: failed, busy: as it said
              try 4: unknown after 250ms, timeout: as it said
              verification 5: could not tell after 250ms, not_yet_known: as it said
          1 ✗ confirm                     12ms     1
              declined: as it said
        ");
    }

    #[test]
    fn a_word_that_is_longer_than_a_line_is_cut() {
        let lines = wrapped(&"x".repeat(200), "  ");
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:?}");
    }
}
