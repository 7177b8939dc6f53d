//! What holds for every operation is added here, so that no handler repeats it: problems, headers, the rules of bodies.
//!
//! A handler names the codes of its own problems in the extension `x-problems`; those that any request can meet with are
//! added by the operation's shape: one with a body can be malformed, and so on.

use serde_json::{Map, Value, json};

use super::problems;
use crate::http::{
    auth::roles::{self, Access, Row},
    problem::Code,
};

/// What a handler names its problems with. It does not stay in the document.
pub(super) const PROBLEMS: &str = "x-problems";

/// What says that a body is taken as it comes, and judged by the handler.
const RAW_BODY: &str = "x-raw-body";

/// The document, completed: with these codes, and with the rows of plugins about who may call their routes.
pub(super) fn finish(mut document: Value, codes: &[Code], rows: &[Row]) -> Value {
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths.iter_mut() {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                if let Access::Least(role) = roles::access(rows, &method.to_uppercase(), path) {
                    operation["x-required-role"] = role.word().into();
                }
                finish_operation(method, path, operation, codes);
            }
        }
    }
    document["components"]["schemas"]["Problem"] = problems::schema(codes);
    document["components"]["responses"] = problems::shared_answers(codes);
    document["components"]["headers"] = json!({
        "RequestId": {
            "description": "The request's id, as sent or as made here.",
            "schema": {"type": "string"}
        },
        "RetryAfter": {
            "description": "Seconds after which to ask again.",
            "schema": {"type": "integer"}
        }
    });
    plain_any(&mut document);
    document
}

fn finish_operation(method: &str, path: &str, operation: &mut Value, codes: &[Code]) {
    let own = operation.as_object_mut().and_then(|members| members.remove(PROBLEMS));
    let own: Vec<&str> = own.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect();
    let shared = shared(method, path, operation);
    if let Some(members) = operation.as_object_mut() {
        members.remove(RAW_BODY);
    }
    if let Some(body) = operation.get_mut("requestBody") {
        not_null(body);
        if own.contains(&"reason_required") {
            demand_reason(body);
        }
    }
    let answers = operation["responses"].as_object_mut();
    let Some(answers) = answers else { return };
    for answer in answers.values_mut() {
        let headers = answer.as_object_mut().map(|answer| answer.entry("headers").or_insert_with(|| json!({})));
        if let Some(Value::Object(headers)) = headers {
            headers.insert("x-request-id".into(), json!({"$ref": "#/components/headers/RequestId"}));
        }
    }
    for (status, answer) in problems::answers(codes, &own, &shared) {
        answers.entry(status).or_insert(answer);
    }
}

/// The codes that an operation can give because of its shape.
fn shared(method: &str, path: &str, operation: &Value) -> Vec<&'static str> {
    if !path.starts_with("/v1/") {
        return Vec::new();
    }
    let mut codes = vec!["internal_error", "database_error", "database_unavailable", "outcome_unknown"];
    let has_body = operation.get("requestBody").is_some();
    if has_body || operation.get("parameters").is_some() {
        codes.push("invalid_request");
    }
    if has_body {
        codes.extend(["payload_too_large", "request_timeout", "too_many_bodies"]);
        if operation.get(RAW_BODY).is_none() {
            codes.extend(["malformed_json", "unsupported_media_type"]);
        }
    }
    if operation.get("security").is_none() {
        codes.extend(["unauthorized", "forbidden"]);
        if method != "get" {
            codes.push("rate_limited");
        }
    }
    codes
}

/// What can be refused for want of a reason has a body with one. The types leave it open, so that it is the engine that refuses,
/// with that code and on record.
fn demand_reason(body: &mut Value) {
    body["required"] = true.into();
    let schema = &mut body["content"]["application/json"]["schema"];
    let reason = json!({"type": "string", "pattern": r"^[^\x00]*[^\s\x00][^\x00]*$", "example": "why"});
    *schema = json!({"allOf": [schema.take(), {"required": ["reason"], "properties": {"reason": reason}}]});
}

/// A body that may be missing is none that may be null.
fn not_null(body: &mut Value) {
    let contents = body["content"].as_object_mut().into_iter().flat_map(|content| content.values_mut());
    for content in contents {
        let schema = &mut content["schema"];
        let some =
            schema["oneOf"].as_array().and_then(|either| either.iter().find(|one| one["type"] != "null").cloned());
        if let Some(some) = some {
            *schema = some;
        }
    }
}

/// "Null or anything" is anything; said as a choice, null would match both sides, and validators would refuse it.
fn plain_any(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(plain_any),
        Value::Object(members) => {
            if is_null_or_any(members) {
                members.remove("oneOf");
            }
            members.values_mut().for_each(plain_any);
        }
        _ => {}
    }
}

fn is_null_or_any(members: &Map<String, Value>) -> bool {
    let either = members.get("oneOf").and_then(Value::as_array);
    let any = |one: &Value| one.as_object().is_some_and(|one| one.keys().all(|key| key == "description"));
    either.is_some_and(|either| either.iter().any(any))
}
