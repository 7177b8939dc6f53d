//! Request bodies and parameters of the run routes. An unknown field or parameter is refused, so that a typing error is
//! not taken for a default. What runs look like is `engine`'s read model; only what the client may say is here.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use utoipa::{
    IntoParams, ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};

use super::{
    extract::{one_key, wait},
    openapi::problem_reference,
    problem::Problem,
};
use crate::engine::{Operator, RunId, StartRun, Started, Time};

/// The most runs in one batch.
pub(super) const LARGEST_BATCH: usize = 1000;

/// `POST /v1/runs`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = StartRun)]
#[serde(deny_unknown_fields)]
pub(super) struct StartBody {
    /// The workflow's name.
    #[schema(min_length = 1, max_length = 255, example = "order")]
    workflow: String,
    /// Any JSON; what the workflow takes.
    #[schema(value_type = Value)]
    input: Box<RawValue>,
    /// The same as the `Idempotency-Key` header.
    #[schema(min_length = 1, max_length = 512)]
    key: Option<String>,
    /// `default` unless said.
    #[schema(min_length = 1, max_length = 128)]
    queue: Option<String>,
    /// Not before this moment.
    start_at: Option<Time>,
    /// The caller's labels.
    #[serde(default)]
    #[schema(schema_with = tags)]
    tags: BTreeMap<String, String>,
}

fn tags() -> Object {
    let label = || {
        let label = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
        label.pattern(Some(r"^[^\x00-\x1f\x7f-\x9f]+$"))
    };
    ObjectBuilder::new()
        .description(Some(format!("The caller's labels; at most {}.", StartRun::MOST_TAGS)))
        .property_names(Some(label()))
        .additional_properties(Some(label()))
        .max_properties(Some(StartRun::MOST_TAGS))
        .build()
}

impl StartBody {
    /// The engine's request.
    pub(super) fn request(self, header_key: Option<String>, traceparent: Option<String>) -> Result<StartRun, Problem> {
        Ok(StartRun {
            key: one_key(header_key, self.key)?,
            queue: self.queue,
            start_at: self.start_at,
            tags: self.tags,
            traceparent,
            ..StartRun::named(self.workflow, self.input.into())
        })
    }
}

/// What became of a batch, in the order of its items.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchAnswer {
    /// A result per item.
    pub(super) items: Vec<BatchItem>,
}

/// What became of one item of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchItem {
    /// The status that the item alone would have been answered with.
    status: u16,
    /// The run.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<RunId>,
    /// Whether the run is new; false: its key was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<bool>,
    /// The problem, where the item was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = problem_reference)]
    error: Option<Value>,
}

impl BatchItem {
    /// A run that was started, or found by its key.
    pub(super) const fn taken(status: u16, started: Started) -> Self {
        Self { status, id: Some(started.run), created: Some(started.created), error: None }
    }

    /// An item that was refused.
    pub(super) fn refused(problem: &Problem) -> Self {
        Self { status: problem.status().as_u16(), id: None, created: None, error: Some(problem.document(None)) }
    }
}

/// A signal that is durable.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignalAnswer {
    /// The run.
    pub(super) run_id: RunId,
    /// The signal's name.
    pub(super) signal: String,
}

/// `?wait=`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct WaitParams {
    /// How long to wait for it, as `250ms`, `10s` or `1m`; cut to 60 s. None unless said.
    #[param(example = "5s", pattern = "^[0-9]+(ms|s|m|h)$")]
    wait: Option<String>,
}

impl WaitParams {
    /// How long to wait; not at all unless it is said.
    ///
    /// # Errors
    /// `invalid_request` for what is no duration.
    pub fn duration(&self) -> Result<Duration, Problem> {
        wait(self.wait.as_deref())
    }
}

/// The body of an operator's action.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ActionBody {
    /// Why, for the audit; dangerous actions demand it.
    #[schema(max_length = 2000)]
    reason: Option<String>,
    /// Show the plan and change nothing.
    dry_run: bool,
}

impl ActionBody {
    /// Why, and whether it is only a question.
    pub(super) fn who(&self) -> (Option<&str>, bool) {
        (self.reason.as_deref(), self.dry_run)
    }
}

/// Who acts and why. Which actions demand a reason is the engine's to say.
pub(super) fn operator(actor: String, reason: Option<&str>, dry_run: bool) -> Result<Operator, Problem> {
    Ok(Operator::new(actor, reason, dry_run)?)
}

/// The body of what is done to something that is no run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Reason {
    /// Why, for the audit.
    #[schema(max_length = 2000)]
    reason: Option<String>,
}

impl Reason {
    /// Why; never a dry run.
    pub(super) fn who(&self) -> (Option<&str>, bool) {
        (self.reason.as_deref(), false)
    }

    /// Who acts and why.
    pub(super) fn operator(self, actor: String) -> Result<Operator, Problem> {
        operator(actor, self.reason.as_deref(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::extract::parse, *};

    fn start(body: &str) -> Result<StartRun, Problem> {
        parse::<StartBody>(body.as_bytes())?.request(None, None)
    }

    #[test]
    fn an_input_is_kept_as_it_came() {
        let request = start(r#"{"workflow":"w","input":{"b":1, "a":1.50}}"#).expect("valid");
        assert_eq!(request.input.get(), r#"{"b":1, "a":1.50}"#);
        assert_eq!(start(r#"{"workflow":"w","input":null}"#).expect("valid").input.get(), "null");
    }

    #[test]
    fn a_start_with_a_wrong_field_is_refused() {
        for body in [
            r#"{"workflow":"w","input":1,"worfklow":2}"#,
            r#"{"workflow":"w"}"#,
            r#"{"workflow":"w","input":1,"start_at":"tomorrow"}"#,
            r#"{"workflow":"w","input":1,"tags":{"a":1}}"#,
        ] {
            let code = start(body).map_err(|problem| problem.code());
            assert_eq!(code.err(), Some("invalid_request"), "{body}");
        }
    }
}
