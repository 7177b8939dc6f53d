//! Request bodies and parameters of the run routes. An unknown field or parameter is refused, so that a typing error is
//! not taken for a default. What runs look like is `engine`'s read model; only what the client may say is here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    extract::{check_name, one_key},
    problem::Problem,
};
use crate::engine::{Operator, RunFilter, StartRun, Time};

/// The most runs in one batch.
pub(super) const LARGEST_BATCH: usize = 1000;

const MOST_TAGS: usize = 32;

/// `POST /v1/runs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StartBody {
    /// The workflow's name.
    workflow: String,
    /// Any JSON; what the workflow takes.
    input: Box<RawValue>,
    /// The same as the `Idempotency-Key` header.
    key: Option<String>,
    /// `default` unless said.
    queue: Option<String>,
    /// Not before this moment.
    start_at: Option<Time>,
    /// The caller's labels.
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

impl StartBody {
    /// The engine's request.
    pub(super) fn request(self, header_key: Option<String>) -> Result<StartRun, Problem> {
        if self.tags.len() > MOST_TAGS {
            return Err(Problem::invalid(format!("a run has at most {MOST_TAGS} tags")));
        }
        for (name, value) in &self.tags {
            check_name("a tag's name", name)?;
            check_name("a tag's value", value)?;
        }
        Ok(StartRun {
            key: one_key(header_key, self.key)?,
            queue: self.queue,
            start_at: self.start_at,
            tags: self.tags,
            ..StartRun::named(self.workflow, self.input.into())
        })
    }
}

/// `GET /v1/runs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ListParams {
    workflow: Option<String>,
    status: Option<String>,
    key: Option<String>,
    tag: Option<String>,
    attention: bool,
    since: Option<Time>,
    limit: Option<u32>,
    cursor: Option<String>,
}

impl ListParams {
    /// The engine's filter.
    pub(super) fn filter(self) -> RunFilter {
        RunFilter {
            workflow: self.workflow,
            status: self.status,
            key: self.key,
            tag: self.tag,
            attention: self.attention,
            since: self.since,
            limit: self.limit,
            cursor: self.cursor,
            ..RunFilter::default()
        }
    }
}

/// `?wait=`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WaitParams {
    pub(super) wait: Option<String>,
}

/// The body of an operator's action.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ActionBody {
    reason: Option<String>,
    dry_run: bool,
}

impl ActionBody {
    /// Who acts and why. Which actions demand a reason is the engine's to say.
    pub(super) fn operator(self, actor: String) -> Result<Operator, Problem> {
        let reason = self.reason.map(|reason| reason.trim().to_owned());
        if reason.as_deref().is_some_and(|reason| reason.contains('\0')) {
            return Err(Problem::invalid("reason has a NUL character"));
        }
        Ok(Operator { actor, reason, dry_run: self.dry_run, operation_id: None })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::extract::parse, *};

    fn start(body: &str) -> Result<StartRun, Problem> {
        parse::<StartBody>(body.as_bytes())?.request(None)
    }

    #[test]
    fn an_input_is_kept_as_it_came() {
        let request = start(r#"{"workflow":"w","input":{"b":1, "a":1.50}}"#).expect("valid");
        assert_eq!(request.input.get(), r#"{"b":1, "a":1.50}"#);
        assert_eq!(start(r#"{"workflow":"w","input":null}"#).expect("valid").input.get(), "null");
    }

    #[test]
    fn a_start_with_an_unknown_missing_or_bad_field_is_refused() {
        let many: Vec<String> = (0..33).map(|i| format!(r#""t{i}":"x""#)).collect();
        for body in [
            r#"{"workflow":"w","input":1,"worfklow":2}"#,
            r#"{"workflow":"w"}"#,
            r#"{"workflow":"w","input":1,"tags":{"a":"\u0000"}}"#,
            r#"{"workflow":"w","input":1,"start_at":"tomorrow"}"#,
            r#"{"workflow":"w","input":1,"tags":{"a":1}}"#,
            &format!(r#"{{"workflow":"w","input":1,"tags":{{{}}}}}"#, many.join(",")),
        ] {
            let code = start(body).map_err(|problem| problem.code());
            assert_eq!(code.err(), Some("invalid_request"), "{body}");
        }
    }
}
