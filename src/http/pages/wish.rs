//! What a verb's form says, read into what the engine is asked. Empty fields are not said.

use serde_json::value::RawValue;

use super::actions::Fields;
use crate::{
    engine::{Declared, Json, PolicyOverride, StepDirection, StepView, Verb},
    http::problem::Problem,
};

/// What a form asks for.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// An action on a run.
    Act(Verb),
    /// A signal to it.
    Signal(String, Option<Json>),
    /// A new run from one of its steps, with this input if any is given.
    Fork(u32, Option<serde_json::Value>),
}

/// Reads the form of a verb.
pub(super) fn read(verb: &str, fields: &Fields) -> Result<Wish, Problem> {
    let action = match verb {
        "retry" => Verb::Retry { policy: policy(fields)? },
        "cancel" => Verb::Cancel,
        "compensate" => Verb::Compensate,
        "pause" => Verb::Pause,
        "resume" => Verb::Resume,
        "abandon" => Verb::Abandon,
        "acknowledge" => Verb::Acknowledge,
        "skip" => {
            let (seq, direction) = step(fields)?;
            Verb::Skip { seq, direction: Some(direction), output: json(fields, "output")? }
        }
        "resolve" => {
            let (seq, direction) = step(fields)?;
            let outcome = match said(fields, "outcome") {
                Some("ok") => Declared::Ok,
                Some("failed") => Declared::Failed,
                _ => return Err(Problem::invalid("say what the step came to: ok or failed")),
            };
            let evidence = said(fields, "evidence").map(str::to_owned);
            Verb::Resolve { seq, direction: Some(direction), outcome, output: json(fields, "output")?, evidence }
        }
        "fork" => return Ok(Wish::Fork(step(fields)?.0, json(fields, "input")?)),
        "signal" => {
            let name = said(fields, "name").ok_or_else(|| Problem::invalid("name the signal"))?;
            return Ok(Wish::Signal(name.to_owned(), raw(fields, "payload")?));
        }
        _ => return Err(Problem::new("unknown_route", format!("there is no verb {verb}"))),
    };
    Ok(Wish::Act(action))
}

/// The steps that a verb's form offers, as `(value, label)`; the likeliest first.
pub(super) fn steps(verb: &str, steps: &[StepView]) -> Vec<(String, String)> {
    let open = |step: &&StepView| match verb {
        "skip" => {
            step.outcome.as_deref() != Some("ok") && step.outcome.as_deref() != Some("skipped") && step.kind != "pivot"
        }
        "fork" => step.direction != "undo",
        _ => step.kind == "activity" && (step.outcome.as_deref() == Some("unknown") || step.outcome.is_none()),
    };
    let offered = steps.iter().filter(open);
    let label = |step: &StepView| {
        let undo = if step.direction == "undo" { "undo of " } else { "" };
        format!("{} {undo}{} ({})", step.seq, step.name, step.outcome.as_deref().unwrap_or("open"))
    };
    offered.rev().map(|step| (value(step), label(step))).collect()
}

fn value(step: &StepView) -> String {
    format!("{}{}", step.seq, if step.direction == "undo" { "u" } else { "f" })
}

fn step(fields: &Fields) -> Result<(u32, StepDirection), Problem> {
    let none = || Problem::invalid("choose a step: none of this run's can be meant");
    let text = said(fields, "step").ok_or_else(none)?;
    let direction = if text.ends_with('u') { StepDirection::Undo } else { StepDirection::Forward };
    let seq = text.trim_end_matches(['u', 'f']).parse().map_err(|_| none())?;
    Ok((seq, direction))
}

fn policy(fields: &Fields) -> Result<Option<PolicyOverride>, Problem> {
    let count = said(fields, "max_attempts").map(str::parse::<u32>).transpose();
    let policy = PolicyOverride {
        max_attempts: count.map_err(|_| Problem::invalid("attempts is a number"))?,
        first_ms: span(fields, "first")?,
        longest_ms: span(fields, "longest")?,
        attempt_timeout_ms: span(fields, "attempt_timeout")?,
    };
    Ok(Some(policy).filter(|policy| *policy != PolicyOverride::default()))
}

fn span(fields: &Fields, name: &str) -> Result<Option<u64>, Problem> {
    let read = |text: &str| {
        let span = humantime::parse_duration(text)
            .map_err(|_| Problem::invalid(format!("{name} is {text}; write 500ms, 30s or 10m")))?;
        u64::try_from(span.as_millis()).map_err(|_| Problem::invalid(format!("{name} is too long")))
    };
    said(fields, name).map(read).transpose()
}

fn json(fields: &Fields, name: &str) -> Result<Option<serde_json::Value>, Problem> {
    let read = |text: &str| {
        serde_json::from_str(text).map_err(|error| Problem::invalid(format!("{name} is not JSON: {error}")))
    };
    said(fields, name).map(read).transpose()
}

fn raw(fields: &Fields, name: &str) -> Result<Option<Json>, Problem> {
    let read = |text: &str| {
        let raw = RawValue::from_string(text.to_owned());
        raw.map(Json::from).map_err(|error| Problem::invalid(format!("{name} is not JSON: {error}")))
    };
    said(fields, name).map(read).transpose()
}

fn said<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn empty_fields_leave_the_policy_as_it_is() {
        let plain = read("retry", &fields(&[("max_attempts", " "), ("first", "")]));
        assert!(matches!(plain, Ok(Wish::Act(Verb::Retry { policy: None }))));
        let Ok(Wish::Act(Verb::Retry { policy: Some(policy) })) = read("retry", &fields(&[("first", "2s")])) else {
            panic!("a policy was given")
        };
        assert_eq!(policy.first_ms, Some(2000));
    }

    #[test]
    fn a_step_is_named_with_its_direction() {
        let Ok(Wish::Act(Verb::Skip { seq, direction, .. })) = read("skip", &fields(&[("step", "4u")])) else {
            panic!("it can be read")
        };
        assert_eq!((seq, direction), (4, Some(StepDirection::Undo)));
    }

    #[test]
    fn what_can_not_be_read_is_refused_with_a_sentence() {
        let code = |verb, pairs: &[(&str, &str)]| read(verb, &fields(pairs)).map_err(|problem| problem.code()).err();
        assert_eq!(code("skip", &[("step", "x")]), Some("invalid_request"));
        assert_eq!(code("skip", &[("step", "1f"), ("output", "{")]), Some("invalid_request"));
        assert_eq!(code("resolve", &[("step", "1f"), ("outcome", "maybe")]), Some("invalid_request"));
        assert_eq!(code("explode", &[]), Some("unknown_route"));
    }
}
