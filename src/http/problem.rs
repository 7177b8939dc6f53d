//! Errors as clients see them: RFC 9457 problems with a stable `code`.
//!
//! [`CODES`] is the one table of codes, statuses and titles; docs/errors.md explains each. A handler gives a [`Problem`];
//! `request::observe` writes it out, because only there the request id is known. The cause of a 5xx goes to the log,
//! never to the client: it may name hosts, statements or data.

use std::error::Error as StdError;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

use crate::engine;

/// The media type of every error.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Seconds after which a client should ask again while the database is away.
const RETRY_AFTER_S: u16 = 2;

/// A stable code, with its HTTP status and what it means in a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// What programs look at, `snake_case`.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// For people; the same in every problem with this code.
    pub title: &'static str,
}

impl Code {
    /// A code.
    pub const fn new(code: &'static str, status: u16, title: &'static str) -> Self {
        Self { code, status, title }
    }
}

/// Every code of the engine's own routes. A plugin has codes of its own ([`Problem::coded`]).
pub const CODES: &[Code] = &[
    Code::new("malformed_json", 400, "The body is not JSON"),
    Code::new("invalid_request", 400, "The request is not valid"),
    Code::new("invalid_input", 400, "The workflow can't read the input"),
    Code::new("bad_cursor", 400, "The cursor is not valid"),
    Code::new("reason_required", 400, "A reason is required"),
    Code::new("empty_filter", 400, "The filter is empty"),
    Code::new("signature_malformed", 400, "The webhook's signature can't be read"),
    Code::new("signature_mismatch", 400, "The webhook's signature is wrong"),
    Code::new("signature_stale", 400, "The webhook's signature is too old"),
    Code::new("unauthorized", 401, "An API key is needed"),
    Code::new("forbidden", 403, "The key's role does not allow it"),
    Code::new("internal_workflow", 403, "Callers can't start or feed runs of this workflow"),
    Code::new("unknown_step", 404, "There is no such step"),
    Code::new("unknown_operation", 404, "There is no such bulk operation"),
    Code::new("unknown_schedule", 404, "There is no such schedule"),
    Code::new("unknown_hold", 404, "Nothing of this name is held back"),
    Code::new("unknown_source", 404, "There is no such source of events"),
    Code::new("unknown_event", 404, "There is no such event"),
    Code::new("unknown_sink", 404, "There is no such sink of events"),
    Code::new("unknown_key", 404, "There is no such API key"),
    Code::new("unknown_run", 404, "There is no such run"),
    Code::new("unknown_workflow", 404, "There is no such workflow"),
    Code::new("unknown_route", 404, "There is nothing at this address"),
    Code::new("method_not_allowed", 405, "The method is not allowed here"),
    Code::new("request_timeout", 408, "The request took too long to arrive"),
    Code::new("key_conflict", 409, "The key belongs to another request"),
    Code::new("run_ended", 409, "The run has ended"),
    Code::new("wrong_state", 409, "The state does not allow it"),
    Code::new("held_by_worker", 409, "A worker holds the run"),
    Code::new("past_pivot", 409, "The run is past its pivot"),
    Code::new("payload_too_large", 413, "The payload is too large"),
    Code::new("unsupported_media_type", 415, "The body is not declared as JSON"),
    Code::new("invalid_output", 422, "The output is not what the step's activity gives"),
    Code::new("unknown_version", 422, "The event's version is not understood"),
    Code::new("unmappable", 422, "The event lacks what the rules take from it"),
    Code::new("rate_limited", 429, "Too many requests for now"),
    Code::new("overloaded", 429, "More starts wait than the database takes"),
    Code::new("internal_error", 500, "Something failed on our side"),
    Code::new("database_error", 500, "The database failed"),
    Code::new("database_unavailable", 503, "The database can't do it just now"),
    Code::new("outcome_unknown", 503, "It may have happened"),
    Code::new("too_many_bodies", 503, "Too many bodies are being read"),
    Code::new("too_many_views", 503, "Too many pages are followed live"),
];

/// An error on its way to the client.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    extra: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with a code from [`CODES`] and a sentence about this case. A code that is not listed is a 500.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        let listed = CODES.iter().find(|known| known.code == code);
        Self::coded(listed.unwrap_or(&Code::new("internal_error", 500, "Something failed on our side")), detail)
    }

    /// A problem with a plugin's own code.
    pub fn coded(code: &Code, detail: impl Into<String>) -> Self {
        let Code { code, status, title } = *code;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code, title, detail: detail.into(), extra: Map::new(), headers: Vec::new() }
    }

    /// A request that is well-formed but not valid.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new("invalid_request", detail)
    }

    /// A 5xx: the cause is logged, the client gets the code and a sentence without details.
    pub fn internal(code: &'static str, cause: &(dyn StdError + 'static)) -> Self {
        let problem = Self::new(code, "the request id finds the cause in the server's log");
        tracing::error!(code, cause = chain(cause), "request failed");
        problem
    }

    /// What is left of a plain error answer of the framework: only its status is known.
    pub(super) fn of_status(status: StatusCode, detail: String) -> Self {
        let code = match status.as_u16() {
            404 => "unknown_route",
            405 => "method_not_allowed",
            408 => "request_timeout",
            413 => "payload_too_large",
            415 => "unsupported_media_type",
            400..=499 => "invalid_request",
            _ => "internal_error",
        };
        Self { status, ..Self::new(code, detail) }
    }

    /// With a further member, for programs.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// With further headers of the answer.
    pub fn with_headers(mut self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// What the code means, in a few words.
    pub const fn title(&self) -> &'static str {
        self.title
    }

    /// The sentence about this case.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The stable code.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The HTTP status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The document. `request_id` is left out where a problem is part of another answer.
    pub fn document(&self, request_id: Option<&str>) -> Value {
        let mut document = self.extra.clone();
        document.insert("type".into(), format!("urn:backstitch:problem:{}", self.code).into());
        document.insert("title".into(), self.title.into());
        document.insert("status".into(), self.status.as_u16().into());
        document.insert("code".into(), self.code.into());
        document.insert("detail".into(), self.detail.clone().into());
        if let Some(id) = request_id {
            document.insert("request_id".into(), id.into());
        }
        Value::Object(document)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<engine::UnknownWord> for Problem {
    fn from(error: engine::UnknownWord) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<engine::Error> for Problem {
    fn from(error: engine::Error) -> Self {
        use engine::Error as E;
        let code = error.code();
        match &error {
            E::Unavailable(cause) => {
                tracing::warn!(code, cause = chain(cause), "the database can't do it just now");
                Self::new(code, "nothing has happened; ask again shortly")
            }
            E::OutcomeUnknown(cause) => {
                tracing::warn!(code, cause = chain(cause), "the connection was lost under a write");
                Self::new(code, "it may have happened: the same again, with the same Idempotency-Key, tells")
            }
            E::Database(cause) => Self::internal(code, cause),
            E::Migrate(cause) => Self::internal(code, cause),
            E::InvalidRegistry(_)
            | E::InvalidSchema { .. }
            | E::IncompleteHistory { .. }
            | E::UnsupportedEncoding(_) => Self::internal(code, &error),
            E::InvalidField { field, .. } => Self::new(code, error.to_string()).with("field", field.as_str()),
            E::KeyConflict(run) => Self::new(code, error.to_string()).with("run_id", run.to_string()),
            E::InvalidInput { .. } => Self::new(code, error.to_string()).with("field", "input"),
            E::InvalidOutput { .. } => Self::new(code, error.to_string()).with("field", "output"),
            E::LeaseLost => Self::internal("internal_error", &error),
            _ => Self::new(code, error.to_string()),
        }
    }
}

/// An error with its sources, in one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use engine::Error as E;

    #[test]
    fn every_engine_error_has_a_status() {
        let cases: Vec<(E, u16)> = vec![
            (E::UnknownWorkflow("w".into()), 404),
            (E::InvalidInput { workflow: "w".into(), message: "m".into() }, 400),
            (E::InternalWorkflow("w".into()), 403),
            (E::InvalidRequest("m".into()), 400),
            (E::InvalidOutput { activity: "a".into(), message: "m".into() }, 422),
            (E::InvalidField { field: "f".into(), message: "m".into() }, 400),
            (E::PayloadTooLarge { size: 2, limit: 1 }, 413),
            (E::KeyConflict(Uuid::nil()), 409),
            (E::UnknownRun(Uuid::nil()), 404),
            (E::RunEnded(Uuid::nil()), 409),
            (E::WrongState("m".into()), 409),
            (E::PastPivot(Uuid::nil()), 409),
            (E::ReasonRequired("cancel"), 400),
            (E::HeldByWorker(Uuid::nil()), 409),
            (E::UnknownStep { run: Uuid::nil(), seq: 1 }, 404),
            (E::EmptyFilter, 400),
            (E::UnknownOperation("o".into()), 404),
            (E::UnknownSchedule("s".into()), 404),
            (E::UnknownHold("h".into()), 404),
            (E::UnknownKey("k".into()), 404),
            (E::Unauthorized("u".into()), 401),
            (E::Forbidden("f".into()), 403),
            (E::BadCursor, 400),
            (E::Unavailable(sqlx::Error::PoolTimedOut), 503),
            (E::OutcomeUnknown(sqlx::Error::WorkerCrashed), 503),
            (E::Database(sqlx::Error::RowNotFound), 500),
        ];
        for (error, status) in cases {
            let code = error.code();
            let problem = Problem::from(error);
            assert_eq!((problem.code(), problem.status().as_u16()), (code, status));
        }
    }

    #[test]
    fn a_database_error_tells_the_client_no_cause() {
        let problem = Problem::from(E::Database(sqlx::Error::Protocol("secret statement".into())));
        let text = problem.document(Some("r1")).to_string();
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains(r#""request_id":"r1""#), "{text}");
    }

    #[test]
    fn a_conflict_names_the_other_run() {
        let document = Problem::from(E::KeyConflict(Uuid::nil())).document(None);
        assert_eq!(document["run_id"], Uuid::nil().to_string());
        assert_eq!(document["type"], "urn:backstitch:problem:key_conflict");
    }

    #[test]
    fn an_unlisted_code_is_an_internal_error() {
        let problem = Problem::new("no_such_code", "x");
        assert_eq!((problem.code(), problem.status().as_u16()), ("internal_error", 500));
    }
}
