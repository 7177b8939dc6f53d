//! Hiding secret fields in a payload, in its text: what is not hidden keeps its order, its spaces and its digits.
//!
//! Names are compared as they are meant (`"t\u006fken"` is `token`), at any depth. A hidden value is a string, whatever it was
//! before, so that not even its kind or size is told.

use std::sync::Arc;

use serde_json::{Value, value::RawValue};

use super::model::Json;

/// What stands in the place of a hidden value.
pub const HIDDEN: &str = "\"[secret]\"";

/// A payload without the values of these fields. Costs nothing where there are none, and no copy where none occurs.
pub fn redact(json: &Json, secret: &[String]) -> Json {
    if secret.is_empty() {
        return json.clone();
    }
    let Some(text) = redacted(json.get(), secret) else { return json.clone() };
    // Only values were replaced, by a string each: so it parses. If it did not, nothing would be shown rather than all.
    let hidden = || RawValue::from_string(HIDDEN.to_owned());
    RawValue::from_string(text).or_else(|_| hidden()).map_or_else(|_| json.clone(), Arc::from)
}

/// The same for an optional payload, in place.
pub fn hide(json: &mut Option<Json>, secret: &[String]) {
    if let Some(json) = json.as_mut().filter(|_| !secret.is_empty()) {
        *json = redact(json, secret);
    }
}

/// Texts shorter than this are no secrets that could be told from other words.
const SHORTEST_SECRET: usize = 4;

/// The values of these fields in a payload, as they would stand in a sentence.
pub fn secret_values(json: &Json, secret: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(json.get()) {
        collect(&value, secret, false, &mut found);
    }
    found
}

fn collect(value: &Value, secret: &[String], is_secret: bool, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| collect(value, secret, is_secret || secret.contains(name), found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, secret, is_secret, found)),
        Value::String(text) if is_secret && text.len() >= SHORTEST_SECRET => found.push(text.clone()),
        Value::Number(number) if is_secret && number.to_string().len() >= SHORTEST_SECRET => {
            found.push(number.to_string());
        }
        _ => {}
    }
}

/// Takes such values out of a sentence: another system may repeat what it was sent.
pub fn scrub(sentence: &mut String, values: &[String]) {
    for value in values.iter().filter(|value| !value.is_empty()) {
        if sentence.contains(value.as_str()) {
            *sentence = sentence.replace(value.as_str(), "[secret]");
        }
    }
}

/// The text with hidden values; none where nothing has to be hidden. The text is JSON: a [`RawValue`] has seen to it.
fn redacted(text: &str, secret: &[String]) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut out, mut copied, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        if bytes[at] != b'"' {
            at += 1;
            continue;
        }
        let end = string_end(bytes, at);
        let colon = skip_space(bytes, end);
        if bytes.get(colon) == Some(&b':') && is_secret(&text[at..end], secret) {
            let value = skip_space(bytes, colon + 1);
            let after = value_end(bytes, value);
            out.push_str(&text[copied..value]);
            out.push_str(HIDDEN);
            (copied, at) = (after, after);
        } else {
            at = end;
        }
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

/// Whether a field's name, with its quotes, is one of these.
fn is_secret(quoted: &str, secret: &[String]) -> bool {
    let plain = &quoted[1..quoted.len() - 1];
    if !plain.contains('\\') {
        return secret.iter().any(|name| name == plain);
    }
    let name: String = serde_json::from_str(quoted).unwrap_or_default();
    secret.contains(&name)
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Behind the string that begins here.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Behind the value that begins here.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' if depth == 0 => return at,
            byte if depth == 0 && byte.is_ascii_whitespace() => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, secret: &[&str]) -> String {
        let json: Json = Arc::from(RawValue::from_string(text.to_owned()).expect("JSON"));
        let secret: Vec<String> = secret.iter().map(|name| (*name).to_owned()).collect();
        let shown = redact(&json, &secret);
        assert!(serde_json::from_str::<serde_json::Value>(shown.get()).is_ok(), "{shown}");
        shown.get().to_owned()
    }

    #[test]
    fn a_sentence_that_repeats_a_secret_is_scrubbed() {
        let payload = crate::engine::to_json(&serde_json::json!({
            "token": "tok_1234", "card": {"number": 4242_4242, "deep": [{"cvc": "123"}]}, "name": "anna"
        }));
        let secret = ["token", "card"].map(str::to_owned);
        let values = secret_values(&payload.expect("JSON"), &secret);
        let mut sentence = "no method 'tok_1234' of 42424242 for anna, 123".to_owned();
        scrub(&mut sentence, &values);
        assert_eq!(sentence, "no method '[secret]' of [secret] for anna, 123");
    }

    #[test]
    fn secret_values_are_hidden_at_any_depth() {
        let cases = [
            (r#"{"token":"tok_1"}"#, r#"{"token":"[secret]"}"#),
            (
                r#"{ "a" : 1.50, "token" : {"b":["x","}"]} , "c":"d" }"#,
                r#"{ "a" : 1.50, "token" : "[secret]" , "c":"d" }"#,
            ),
            (r#"[{"token":[1,2,{"token":3}]},{"token":null}]"#, r#"[{"token":"[secret]"},{"token":"[secret]"}]"#),
            (r#"{"x":{"y":[{"token":-1.5e3}]},"z":1}"#, r#"{"x":{"y":[{"token":"[secret]"}]},"z":1}"#),
            (r#"{"token":"with \" quote, } and \\","z":"token"}"#, r#"{"token":"[secret]","z":"token"}"#),
            (r#"{"t\u006fken":true}"#, r#"{"t\u006fken":"[secret]"}"#),
            ("{\"token\"\n:\t12\n}", "{\"token\"\n:\t\"[secret]\"\n}"),
            (r#"{"a":{"token":{}},"pin":"1"}"#, r#"{"a":{"token":"[secret]"},"pin":"[secret]"}"#),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text, &["token", "pin"]), expected);
        }
    }

    #[test]
    fn what_is_no_secret_field_stays_as_it_came() {
        for text in [
            r#""token""#,
            r#"["token","x"]"#,
            r#"{"Token":1,"tokens":2,"a":"token"}"#,
            "1.50",
            r#"{"a":"{\"token\":1}"}"#,
        ] {
            assert_eq!(shown(text, &["token"]), text);
        }
        assert_eq!(shown(r#"{"token":1}"#, &[]), r#"{"token":1}"#);
    }

    #[test]
    fn nothing_to_hide_costs_no_copy() {
        let json: Json = Arc::from(RawValue::from_string(r#"{"a":1}"#.to_owned()).expect("JSON"));
        assert!(Arc::ptr_eq(&json, &redact(&json, &[])));
        assert!(Arc::ptr_eq(&json, &redact(&json, &["token".to_owned()])));
    }
}
