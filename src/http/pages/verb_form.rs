//! The form of a verb on one run, read into the request that the API reads from JSON. Empty fields are left out.

use serde_json::{Map, Value, json, value::RawValue};

use super::{
    forms::Fields,
    verbs::{self, Inputs},
};
use crate::{
    engine::{Direction, Json, Outcome, RunStep, StepKind, StepState, Verb},
    http::{problem::Problem, verb_bodies::parse_verb},
};

/// What an operator wants of a run.
#[derive(Clone, Debug)]
pub(super) enum RunRequest {
    /// A verb on it.
    Verb(Verb),
    /// A signal to it: its name and payload.
    Signal(String, Option<Json>),
    /// A new run from one of its steps, with another input if there is one.
    Fork(u32, Option<Value>),
}

/// Reads the form of a verb.
pub(super) fn parse(word: &str, fields: &Fields) -> Result<RunRequest, Problem> {
    let arguments = match verbs::require(verbs::OF_RUNS, word)?.inputs {
        Inputs::Nothing => Map::new(),
        Inputs::Policy => parse_policy(fields)?,
        Inputs::Skip | Inputs::Resolve => parse_step_arguments(fields)?,
        Inputs::Fork => return Ok(RunRequest::Fork(parse_step(fields)?.0, fields.json("input")?)),
        Inputs::Signal => {
            let name = fields.given("name").ok_or_else(|| Problem::invalid("name the signal"))?;
            let payload: Option<Box<RawValue>> = fields.json("payload")?;
            return Ok(RunRequest::Signal(name.to_owned(), payload.map(Json::from)));
        }
    };
    parse_verb(word, arguments).map(RunRequest::Verb)
}

/// The steps that a verb's form offers, as `(value, label)`; the likeliest first.
pub(super) fn list_steps(verb: &str, steps: &[RunStep]) -> Vec<(String, String)> {
    let fits = |step: &&RunStep| match verb {
        "skip" => !matches!(step.outcome, Some(Outcome::Ok | Outcome::Skipped)) && step.kind != StepKind::Pivot,
        "fork" => step.direction == Direction::Forward,
        _ => step.kind == StepKind::Activity && matches!(step.outcome, None | Some(Outcome::Unknown)),
    };
    let label = |step: &RunStep| {
        let undo = if step.direction == Direction::Undo { "undo of " } else { "" };
        format!("{} {undo}{} ({})", step.seq, step.name, StepState::from(step.outcome))
    };
    let value = |step: &RunStep| format!("{}{}", step.seq, if step.direction == Direction::Undo { "u" } else { "f" });
    steps.iter().filter(fits).rev().map(|step| (value(step), label(step))).collect()
}

/// The step that was chosen: its number, and its direction's word.
fn parse_step(fields: &Fields) -> Result<(u32, &'static str), Problem> {
    let none = || Problem::invalid("choose a step: this run has none that fits");
    let text = fields.given("step").ok_or_else(none)?;
    let direction = if text.ends_with('u') { "undo" } else { "forward" };
    let seq = text.trim_end_matches(['u', 'f']).parse().map_err(|_| none())?;
    Ok((seq, direction))
}

fn parse_step_arguments(fields: &Fields) -> Result<Map<String, Value>, Problem> {
    let (seq, direction) = parse_step(fields)?;
    let mut arguments = Map::from_iter([("seq".to_owned(), json!(seq)), ("direction".to_owned(), json!(direction))]);
    if let Some(output) = fields.json("output")? {
        arguments.insert("output".to_owned(), output);
    }
    for name in ["outcome", "evidence"] {
        arguments.extend(fields.given(name).map(|text| (name.to_owned(), json!(text))));
    }
    Ok(arguments)
}

fn parse_policy(fields: &Fields) -> Result<Map<String, Value>, Problem> {
    let mut policy = Map::new();
    policy.extend(fields.number::<u32>("max_attempts")?.map(|count| ("max_attempts".to_owned(), json!(count))));
    for name in ["first", "longest", "attempt_timeout"] {
        let ms = fields.duration(name)?.map(|duration| u64::try_from(duration.as_millis()));
        let ms = ms.transpose().map_err(|_| Problem::invalid(format!("{name} is too long")))?;
        policy.extend(ms.map(|ms| (format!("{name}_ms"), json!(ms))));
    }
    if policy.is_empty() {
        return Ok(policy);
    }
    Ok(Map::from_iter([("policy".to_owned(), Value::Object(policy))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fields_leave_the_policy_unchanged() {
        let plain = parse("retry", &Fields::of(&[("max_attempts", " "), ("first", "")]));
        assert!(matches!(plain, Ok(RunRequest::Verb(Verb::Retry { policy: None }))));
        let Ok(RunRequest::Verb(Verb::Retry { policy: Some(policy) })) =
            parse("retry", &Fields::of(&[("first", "2s")]))
        else {
            panic!("a policy was given")
        };
        assert_eq!(policy.first_ms, Some(2000));
    }

    #[test]
    fn a_step_is_named_with_its_direction() {
        let Ok(RunRequest::Verb(Verb::Skip { seq, direction, .. })) = parse("skip", &Fields::of(&[("step", "4u")]))
        else {
            panic!("it can be read")
        };
        assert_eq!((seq, direction), (4, Some(Direction::Undo)));
    }

    #[test]
    fn a_resolved_step_keeps_output_and_evidence() {
        let fields = Fields::of(&[("step", "1f"), ("outcome", "ok"), ("output", "[1]"), ("evidence", "seen")]);
        let Ok(RunRequest::Verb(Verb::Resolve { output, evidence, .. })) = parse("resolve", &fields) else {
            panic!("it can be read")
        };
        assert_eq!((output, evidence.as_deref()), (Some(json!([1])), Some("seen")));
    }

    #[test]
    fn unreadable_fields_are_refused() {
        let code =
            |verb, pairs: &[(&str, &str)]| parse(verb, &Fields::of(pairs)).map_err(|problem| problem.code()).err();
        assert_eq!(code("skip", &[("step", "x")]), Some("invalid_request"));
        assert_eq!(code("skip", &[("step", "1f"), ("output", "{")]), Some("invalid_request"));
        assert_eq!(code("resolve", &[("step", "1f"), ("outcome", "maybe")]), Some("invalid_request"));
        assert_eq!(code("explode", &[]), Some("unknown_route"));
    }
}
