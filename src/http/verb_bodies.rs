//! The JSON bodies of the verbs on one run, and how a verb's word and arguments become a [`Verb`]. An unknown field is
//! refused, so that a typing error is not taken for a default.

use std::marker::PhantomData;

use axum::extract::{FromRequest, FromRequestParts, Request};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    App,
    auth::Caller,
    extract::OptionalJson,
    problem::Problem,
    wire::{ActionBody, Reason, operator},
};
use crate::engine::{Declared, Direction, Operator, PolicyOverride, Verb};

/// Reads a verb: its word, and its own fields. Bulk operations and forms send them apart.
pub(super) fn parse_verb(word: &str, arguments: Map<String, Value>) -> Result<Verb, Problem> {
    let mut fields = arguments;
    if fields.insert("action".to_owned(), word.into()).is_some() {
        return Err(Problem::invalid("the action's word stands in `action`, not in `arguments`"));
    }
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| Problem::invalid(format!("the action {word}: {error}")))
}

/// What every body of a verb has: why, and whether it is a dry run.
pub(super) trait Body: DeserializeOwned + Default {
    fn who(&self) -> (Option<&str>, bool);
}

/// The caller as an operator, with the reason of a body that may be missing. For verbs on schedules, holds and bulk
/// operations; [`run_verbs`] also records refusals of malformed requests.
///
/// [`run_verbs`]: super::run_verbs
pub(super) struct ActingAs<B> {
    pub(super) by: Operator,
    body: PhantomData<B>,
}

impl<B: Body> FromRequest<App> for ActingAs<B> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, app).await?;
        let OptionalJson(body) = OptionalJson::<B>::from_request(Request::from_parts(parts, body), app).await?;
        let body = body.unwrap_or_default();
        let (reason, dry_run) = body.who();
        Ok(Self { by: operator(caller.actor, reason, dry_run)?, body: PhantomData })
    }
}

/// The body of a retry.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RetryBody {
    /// Why, for the audit.
    #[schema(max_length = 2000)]
    pub(super) reason: Option<String>,
    /// Show the plan and change nothing.
    pub(super) dry_run: bool,
    /// Other rules for the steps that are attempted again.
    pub(super) policy: Option<PolicyOverride>,
}

/// The body of a skip.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SkipBody {
    /// Why, for the audit.
    #[schema(max_length = 2000)]
    pub(super) reason: Option<String>,
    /// Show what would happen and change nothing.
    pub(super) dry_run: bool,
    /// The step or its undo; the one that is unresolved unless said.
    pub(super) direction: Option<Direction>,
    /// What the workflow is told that the step gave; null unless said.
    pub(super) output: Option<Value>,
}

/// The body of a resolve.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ResolveBody {
    /// Why, for the audit.
    #[schema(max_length = 2000)]
    pub(super) reason: Option<String>,
    /// Show what would happen and change nothing.
    pub(super) dry_run: bool,
    /// What the step came to. Required.
    #[schema(required = true, value_type = Declared)]
    pub(super) outcome: Option<Declared>,
    /// The step or its undo; the one that is unknown unless said.
    pub(super) direction: Option<Direction>,
    /// What it gave, where it took effect.
    pub(super) output: Option<Value>,
    /// How you know, for the audit.
    pub(super) evidence: Option<String>,
}

/// The body of a fork.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ForkBody {
    /// Why, for the audit.
    #[schema(max_length = 2000)]
    pub(super) reason: Option<String>,
    /// Show what would be kept and change nothing.
    pub(super) dry_run: bool,
    /// The first step that is made again. Required.
    #[schema(required = true, value_type = u32)]
    pub(super) from_step: Option<u32>,
    /// Another input; only with `from_step` 0.
    pub(super) input: Option<Value>,
}

impl Body for ActionBody {
    fn who(&self) -> (Option<&str>, bool) {
        self.who()
    }
}

impl Body for Reason {
    fn who(&self) -> (Option<&str>, bool) {
        self.who()
    }
}

impl Body for RetryBody {
    fn who(&self) -> (Option<&str>, bool) {
        (self.reason.as_deref(), self.dry_run)
    }
}

impl Body for SkipBody {
    fn who(&self) -> (Option<&str>, bool) {
        (self.reason.as_deref(), self.dry_run)
    }
}

impl Body for ResolveBody {
    fn who(&self) -> (Option<&str>, bool) {
        (self.reason.as_deref(), self.dry_run)
    }
}

impl Body for ForkBody {
    fn who(&self) -> (Option<&str>, bool) {
        (self.reason.as_deref(), self.dry_run)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(word: &str, arguments: Value) -> Result<Verb, &'static str> {
        let arguments = serde_json::from_value(arguments).expect("an object");
        parse_verb(word, arguments).map_err(|problem| problem.code())
    }

    #[test]
    fn an_action_is_a_word_with_arguments() {
        let retry = parse("retry", json!({"policy": {"max_attempts": 3}}));
        assert!(matches!(retry, Ok(Verb::Retry { policy: Some(policy) }) if policy.max_attempts == Some(3)));
        assert!(matches!(parse("cancel", json!({})), Ok(Verb::Cancel)));
        for (word, wrong) in [
            ("explode", json!({})),
            ("skip", json!({})),
            ("retry", json!({"polizy": {}})),
            ("retry", json!({"action": "cancel"})),
        ] {
            assert_eq!(parse(word, wrong.clone()).err(), Some("invalid_request"), "{word} {wrong}");
        }
    }
}
