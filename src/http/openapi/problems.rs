//! Problems in the document: their schema, and the answers that an operation's codes make.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::Ref;

use crate::http::problem::{Code, MEDIA_TYPE};

/// Where a problem stands inside another answer.
pub(in crate::http) fn problem_reference() -> Ref {
    Ref::from_schema_name("Problem")
}

/// RFC 9457, with our members.
pub(super) fn schema(codes: &[Code]) -> Value {
    let codes: Vec<&str> = codes.iter().map(|code| code.code).collect();
    json!({
        "type": "object",
        "description": "An error (RFC 9457). Some codes have further members, as docs/errors.md says.",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": {"type": "string", "description": "`urn:backstitch:problem:` and the code."},
            "title": {"type": "string", "description": "What this code means, always the same."},
            "status": {"type": "integer", "description": "The HTTP status."},
            "code": {"type": "string", "enum": codes, "description": "Stable: what programs look at."},
            "detail": {"type": "string", "description": "What is the matter in this case, for people."},
            "field": {"type": "string", "description": "Which value of the request it is about, as `items[0].sku`; where that is known."},
            "request_id": {"type": "string", "description": "Finds the request in the server's log."}
        },
        "additionalProperties": true
    })
}

/// Statuses whose answer is the same wherever it is given, by the name that operations refer to it with.
const SHARED: &[(&str, &[&str])] = &[
    ("Unauthorized", &["unauthorized"]),
    ("Forbidden", &["forbidden"]),
    ("RequestTimeout", &["request_timeout"]),
    ("PayloadTooLarge", &["payload_too_large"]),
    ("RateLimited", &["rate_limited"]),
    ("UnsupportedMediaType", &["unsupported_media_type"]),
    ("ServerError", &["internal_error", "database_error"]),
    ("Unavailable", &["database_unavailable", "outcome_unknown", "too_many_bodies"]),
];

/// Those answers.
pub(super) fn shared_answers(known: &[Code]) -> Value {
    let answer = |(name, codes): &(&str, &[&str])| {
        let (_, answer) = by_status(known, codes).into_iter().map(answer).next().unwrap_or_default();
        ((*name).to_owned(), answer)
    };
    Value::Object(SHARED.iter().map(answer).collect())
}

/// The answers of an operation that can give these codes of its own, and these that it shares with others, by status.
/// A code that is not listed is left out: a test looks for those.
pub(super) fn answers(known: &[Code], own: &[&str], shared: &[&str]) -> Vec<(String, Value)> {
    let (common, mut single): (Vec<&str>, Vec<&str>) =
        own.iter().chain(shared).partition(|code| SHARED.iter().any(|(_, codes)| codes.contains(code)));
    // A status that an operation has codes of its own for is described as a whole, there.
    let own_statuses: Vec<u16> = by_status(known, &single).into_keys().collect();
    let is_own = |code: &&str| known.iter().any(|known| known.code == *code && own_statuses.contains(&known.status));
    let (beside, common): (Vec<&str>, Vec<&str>) = common.into_iter().partition(is_own);
    single.extend(beside);
    let referred = SHARED.iter().filter(|(_, codes)| codes.iter().any(|code| common.contains(code)));
    let referred = referred.filter_map(|(name, codes)| {
        let status = by_status(known, codes).into_keys().next()?;
        Some((status.to_string(), json!({"$ref": format!("#/components/responses/{name}")})))
    });
    referred.chain(by_status(known, &single).into_iter().map(answer)).collect()
}

/// Codes with their titles, by status.
fn by_status(known: &[Code], codes: &[&str]) -> BTreeMap<u16, Vec<(&'static str, &'static str)>> {
    let mut by_status: BTreeMap<u16, Vec<_>> = BTreeMap::new();
    for Code { code, status, title } in known.iter().filter(|known| codes.contains(&known.code)) {
        by_status.entry(*status).or_default().push((*code, *title));
    }
    by_status
}

fn answer((status, codes): (u16, Vec<(&str, &str)>)) -> (String, Value) {
    let says: Vec<String> = codes.iter().map(|(code, title)| format!("`{code}`: {title}.")).collect();
    let codes: Vec<&str> = codes.iter().map(|(code, _)| *code).collect();
    let schema = json!({
        "allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": {"code": {"enum": codes}}}]
    });
    let mut headers = json!({"x-request-id": {"$ref": "#/components/headers/RequestId"}});
    if matches!(status, 429 | 503) {
        headers["retry-after"] = json!({"$ref": "#/components/headers/RetryAfter"});
    }
    let content = json!({MEDIA_TYPE: {"schema": schema}});
    (status.to_string(), json!({"description": says.join(" "), "content": content, "headers": headers}))
}

#[cfg(test)]
mod tests {
    use crate::http::problem::CODES;

    #[test]
    fn every_code_that_a_handler_names_is_listed() {
        for (path, item) in super::super::state(&[])["paths"].as_object().expect("paths") {
            for operation in item.as_object().expect("operations").values() {
                for code in operation[super::super::finish::PROBLEMS].as_array().into_iter().flatten() {
                    assert!(CODES.iter().any(|known| code == known.code), "{path}: {code}");
                }
            }
        }
    }
}
