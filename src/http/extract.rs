//! Reading requests: bodies within their limit, JSON, query parameters, keys, ids. Everything wrong becomes a problem.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{HeaderMap, HeaderValue, header, request::Parts},
};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::value::RawValue;
use utoipa::{
    IntoParams,
    openapi::{
        Required,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
    },
};
use uuid::Uuid;

use super::{finish::LONGEST_WAIT, problem::Problem};
use crate::engine::{RunId, Trace};

/// The longest `Idempotency-Key`.
const LONGEST_KEY: usize = 255;

/// A JSON object as body. Its media type has to say so, which also keeps other sites' forms out.
#[derive(Debug)]
pub struct Json<T>(
    /// What it says.
    pub T,
);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        parse_object(&all(request).await).map(Self)
    }
}

/// A JSON array as body.
pub(super) struct JsonList<T>(pub(super) Vec<T>);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for JsonList<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        parse(&all(request).await).map(Self)
    }
}

/// Any JSON as body, kept as it came; it may be missing.
pub(super) struct Payload(pub(super) Option<Box<RawValue>>);

impl<S: Sync> FromRequest<S> for Payload {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        optional(request, parse).await.map(Self)
    }
}

/// A JSON object as body, which may be missing.
#[derive(Debug)]
pub struct OptionalJson<T>(
    /// What it says; none where there is no body.
    pub Option<T>,
);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        optional(request, parse_object).await.map(Self)
    }
}

async fn optional<T>(request: Request, parse: fn(&[u8]) -> Result<T, Problem>) -> Result<Option<T>, Problem> {
    let media_type = require_json(request.headers());
    let bytes = all(request).await;
    if bytes.is_empty() {
        return Ok(None);
    }
    media_type?;
    parse(&bytes).map(Some)
}

/// The body, which [`bounded`](super::bodies::bounded) has read already: this neither blocks nor fails.
async fn all(request: Request) -> Bytes {
    to_bytes(request.into_body(), usize::MAX).await.unwrap_or_default()
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let plain = |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return Err(Problem::new("unsupported_media_type", "send the body as it is, without `content-encoding`"));
    }
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::new("unsupported_media_type", "send `content-type: application/json`"))
}

/// Parses a JSON object. A derived `Deserialize` would also accept an array, by position: that is never meant.
fn parse_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        parse::<IgnoredAny>(bytes)?;
        return Err(Problem::invalid("the body is an array; it has to be an object"));
    }
    parse(bytes)
}

/// Parses JSON: text that is no JSON is `malformed_json`, JSON of another shape `invalid_request`.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        // A shape may be found wrong before the text is found to be no JSON.
        if !error.is_data() || serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
            return Problem::new("malformed_json", error.to_string());
        }
        let field = field_at(bytes, error.line(), error.column());
        let problem = Problem::invalid(match field.as_str() {
            "" => error.to_string(),
            field => format!("{field}: {error}"),
        });
        if field.is_empty() { problem } else { problem.with("field", field) }
    })
}

/// Which field of a JSON text stands at a place of it, as `items[0].sku`. Empty: none, it is the text as a whole.
fn field_at(json: &[u8], line: usize, column: usize) -> String {
    let lines: usize = json.split(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(|line| line.len() + 1).sum();
    let end = (lines + column).min(json.len());
    // For each object and array around the place: where its present key stands, or the number of its present item.
    let (mut around, mut at): (Vec<Result<&[u8], usize>>, usize) = (Vec::new(), 0);
    while at < end {
        match json[at] {
            b'"' => {
                let begin = at + 1;
                at = begin;
                while at < json.len() && json[at] != b'"' {
                    at += if json[at] == b'\\' { 2 } else { 1 };
                }
                let is_key = json[(at + 1).min(json.len())..].trim_ascii_start().first() == Some(&b':');
                if let Some(Ok(key)) = around.last_mut().filter(|_| is_key) {
                    *key = &json[begin..at];
                }
            }
            b'{' => around.push(Ok(&[])),
            b'[' => around.push(Err(0)),
            b'}' | b']' if at + 1 < end => drop(around.pop()),
            b',' => match around.last_mut() {
                Some(Err(item)) if at + 1 < end => *item += 1,
                _ => {}
            },
            _ => {}
        }
        at += 1;
    }
    around.iter().fold(String::new(), |path, part| match part {
        Ok([]) => path,
        Ok(key) if path.is_empty() => String::from_utf8_lossy(key).into_owned(),
        Ok(key) => format!("{path}.{}", String::from_utf8_lossy(key)),
        Err(item) => format!("{path}[{item}]"),
    })
}

/// Query parameters.
#[derive(Debug)]
pub struct Params<T>(
    /// What they say.
    pub T,
);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => Err(Problem::invalid(format!("the query parameters: {}", error.body_text()))),
        }
    }
}

/// Which slice of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SliceParams {
    /// 50 by default.
    #[param(minimum = 1, maximum = 200)]
    pub(super) limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
}

/// The `Idempotency-Key` header; quotes around it, as the draft standard writes it, are not part of it.
#[derive(Debug)]
pub struct IdempotencyKey(
    /// The key.
    pub Option<String>,
);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let text =
            std::str::from_utf8(value.as_bytes()).map_err(|_| Problem::invalid("Idempotency-Key is not UTF-8"))?;
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        Ok(Self(Some(text.to_owned())))
    }
}

/// The caller's `traceparent`; an invalid one is ignored, as W3C has it.
#[derive(Debug)]
pub struct TraceParent(
    /// As it came.
    pub Option<String>,
);

impl<S: Sync> FromRequestParts<S> for TraceParent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(traceparent(&parts.headers).map(|(text, _)| text.to_owned())))
    }
}

impl utoipa::IntoParams for TraceParent {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let trace = ParameterBuilder::new()
            .name("traceparent")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "The caller's W3C trace context: the run belongs to that trace. What is none is ignored.",
            ))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build();
        vec![trace]
    }
}

/// The trace context of a request, as text and read.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<(&str, Trace)> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    Trace::parse(text).map(|trace| (text, trace))
}

impl utoipa::IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let key = ParameterBuilder::new()
            .name("idempotency-key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("Makes the request safe to repeat: a second one with the same key changes nothing."))
            .schema(Some(
                ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(LONGEST_KEY)),
            ))
            .build();
        vec![key]
    }
}

/// One key out of the header and the body: both may be given, if they say the same.
pub(super) fn one_key(header: Option<String>, body: Option<String>) -> Result<Option<String>, Problem> {
    match (header, body) {
        (Some(header), Some(body)) if header != body => {
            Err(Problem::invalid("the Idempotency-Key header and `key` differ: send one, or the same in both"))
        }
        (header, body) => Ok(header.or(body)),
    }
}

/// A run's id in a path. Text that is no id is an unknown run.
pub(super) fn run_id(text: &str) -> Result<RunId, Problem> {
    Uuid::parse_str(text).map_err(|_| Problem::new("unknown_run", format!("there is no run {text}")))
}

/// A `wait` parameter such as `30s`, cut to [`LONGEST_WAIT`]; none is zero.
pub(super) fn wait(text: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = text else { return Ok(Duration::ZERO) };
    let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let per_unit = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    // A number that is too large for us is as good as the longest wait.
    let ms = per_unit
        .filter(|_| !number.is_empty())
        .map(|per_unit| number.parse().unwrap_or(u64::MAX).saturating_mul(per_unit));
    let ms = ms.ok_or_else(|| Problem::invalid(format!("wait is {text:?}; write it as 250ms, 10s or 1m")))?;
    Ok(Duration::from_millis(ms).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_json_differs_from_json_of_another_shape() {
        let code = |text: &str| parse::<u8>(text.as_bytes()).map_err(|problem| problem.code());
        assert_eq!(code("1"), Ok(1));
        assert_eq!(code("{"), Err("malformed_json"));
        assert_eq!(code(""), Err("malformed_json"));
        assert_eq!(code("\"x\""), Err("invalid_request"));
    }

    #[test]
    fn a_wrong_value_is_told_by_its_field() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(dead_code, reason = "only read")]
        struct Outer {
            list: Vec<Inner>,
            #[serde(default)]
            last: u8,
        }
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(dead_code, reason = "only read")]
        struct Inner {
            number: u8,
        }
        for (text, field) in [
            (r#"{"list": [{"number": 1}, {"number": "x"}]}"#, "list[1].number"),
            ("{\"list\":\n [ {\"number\":\n 300}]}", "list[0].number"),
            (r#"{"list":[{"number":1,"other":2}]}"#, "list[0].other"),
            (r#"{"list":[{"number":1}],"last":null}"#, "last"),
            (r#"{"list":{"a":[1,2]},"last":1}"#, "list"),
            (r#"{"last":[]}"#, "last"),
        ] {
            let problem = parse::<Outer>(text.as_bytes()).expect_err("it is wrong");
            assert_eq!(problem.document(None)["field"], field, "{text}: {}", problem.detail());
        }
        let missing = parse::<Outer>(br#"{"last":1}"#).expect_err("it is wrong");
        assert!(missing.detail().contains("`list`"), "{}", missing.detail());
    }

    #[test]
    fn header_and_body_key_have_to_agree() {
        let key = |text: &str| Some(text.to_owned());
        assert_eq!(one_key(key("a"), None).ok(), Some(key("a")));
        assert_eq!(one_key(key("a"), key("a")).ok(), Some(key("a")));
        assert!(one_key(key("a"), key("b")).is_err());
        assert_eq!(one_key(None, key("a")).ok(), Some(key("a")));
    }

    #[test]
    fn a_wait_is_a_duration_and_is_cut() {
        assert_eq!(wait(Some("250ms")).ok(), Some(Duration::from_millis(250)));
        assert_eq!(wait(Some("10h")).ok(), Some(LONGEST_WAIT));
        assert_eq!(wait(None).ok(), Some(Duration::ZERO));
        assert_eq!(wait(Some("99999999999999999999m")).ok(), Some(LONGEST_WAIT));
        for bad in ["soon", "", "s", "1", "-1s", "1.5s", "1m 30s", " 1s", "1\u{663}s"] {
            assert!(wait(Some(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_json_media_types_are_json() {
        let ok = |kind: &str| {
            let value = kind.parse().expect("a header");
            require_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)])).is_ok()
        };
        assert!(ok("application/json; charset=utf-8") && ok("application/merge-patch+json"));
        assert!(!ok("text/plain") && !ok("application/x-www-form-urlencoded"));
        assert!(require_json(&HeaderMap::new()).is_err());
    }
}
