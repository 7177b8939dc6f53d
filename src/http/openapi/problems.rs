//! Problems in the document: their schema, and the answers that an operation's codes make.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::Ref;

use crate::http::problem::{CODES, MEDIA_TYPE};

/// Where a problem stands inside another answer.
pub(in crate::http) fn problem_reference() -> Ref {
    Ref::from_schema_name("Problem")
}

/// RFC 9457, with our members.
pub(super) fn schema() -> Value {
    let codes: Vec<&str> = CODES.iter().map(|(code, _, _)| *code).collect();
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
            "request_id": {"type": "string", "description": "Finds the request in the server's log."}
        },
        "additionalProperties": true
    })
}

/// The answers of an operation that can give these codes, by status. A code that is not listed is left out: a test looks for those.
pub(super) fn answers(codes: &[&str]) -> Vec<(String, Value)> {
    let mut by_status: BTreeMap<u16, Vec<(&str, &str)>> = BTreeMap::new();
    for (code, status, title) in CODES.iter().filter(|(code, _, _)| codes.contains(code)) {
        by_status.entry(*status).or_default().push((code, title));
    }
    by_status.into_iter().map(|(status, codes)| (status.to_string(), answer(status, &codes))).collect()
}

fn answer(status: u16, codes: &[(&str, &str)]) -> Value {
    let says: Vec<String> = codes.iter().map(|(code, title)| format!("`{code}`: {title}.")).collect();
    let codes: Vec<&str> = codes.iter().map(|(code, _)| *code).collect();
    let schema = json!({
        "allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": {"code": {"enum": codes}}}]
    });
    let mut answer = json!({"description": says.join(" "), "content": {MEDIA_TYPE: {"schema": schema}}});
    if status == 503 {
        answer["headers"] = json!({"retry-after": {"$ref": "#/components/headers/RetryAfter"}});
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_that_a_handler_names_is_listed() {
        for (path, item) in super::super::raw()["paths"].as_object().expect("paths") {
            for operation in item.as_object().expect("operations").values() {
                for code in operation[super::super::finish::PROBLEMS].as_array().into_iter().flatten() {
                    assert!(CODES.iter().any(|(known, _, _)| code == known), "{path}: {code}");
                }
            }
        }
    }
}
