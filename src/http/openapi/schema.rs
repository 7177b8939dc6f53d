//! Reading JSON schemas: what kind of thing one describes, its fields as lines, and a sample of it.

use serde_json::{Map, Value, json};

use super::text::{list, marked, text};

/// How deep fields within fields are shown where they stand; what is deeper is a link to its type.
const DEEPEST: usize = 3;

/// A field, or one within a field.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// 0 for the schema's own fields.
    pub(super) depth: usize,
    pub(super) required: bool,
    pub(super) kind: String,
    /// The type's name, where it has one.
    pub(super) link: String,
    /// Marked up.
    pub(super) says: String,
    /// The words, where it is one of a known set.
    pub(super) words: Vec<String>,
}

/// What a reference refers to, or the value itself.
pub(super) fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let to = value["$ref"].as_str().and_then(|to| document.pointer(to.trim_start_matches('#')));
    to.unwrap_or(value)
}

/// The name of the type that a schema refers to: itself, its items or its one choice that is not null.
pub(super) fn name(schema: &Value) -> Option<&str> {
    if let Some(to) = schema["$ref"].as_str() {
        return to.rsplit('/').next();
    }
    if schema.get("items").is_some() {
        return name(&schema["items"]);
    }
    choices(schema).into_iter().chain(list(&schema["allOf"])).next().and_then(name)
}

/// What kind of thing a schema describes, in a few words.
pub(super) fn kind(document: &Value, schema: &Value) -> String {
    if let Some(to) = schema["$ref"].as_str() {
        let known = resolved(document, schema);
        let name = last(to);
        return match name.strip_prefix("Page_") {
            _ if !list(&known["enum"]).is_empty() => "string".to_owned(),
            Some(of) => format!("page of {of}"),
            None => name.to_owned(),
        };
    }
    if let Some(first) = list(&schema["allOf"]).first() {
        return kind(document, first);
    }
    let among = choices(schema);
    if !among.is_empty() {
        let kinds: Vec<String> = among.iter().map(|one| kind(document, one)).collect();
        return or_null(kinds.join(" or "), has_null(schema));
    }
    let (word, null) = match &schema["type"] {
        Value::String(word) => (word.clone(), false),
        Value::Array(words) => {
            let some: Vec<&str> = words.iter().filter_map(Value::as_str).filter(|word| *word != "null").collect();
            (some.join(" or "), words.iter().any(|word| word == "null"))
        }
        _ => return "any JSON".to_owned(),
    };
    let word = match (word.as_str(), schema["format"].as_str()) {
        ("array", _) => format!("list of {}", kind(document, &schema["items"])),
        ("string", Some(format)) => format.to_owned(),
        ("object", _) if schema["additionalProperties"].is_object() => {
            format!("map to {}", kind(document, &schema["additionalProperties"]))
        }
        _ => word,
    };
    or_null(format!("{word}{}", range(schema)), null)
}

fn or_null(kind: String, null: bool) -> String {
    if null { format!("{kind} or null") } else { kind }
}

/// `, 1 to 200` and the like.
fn range(schema: &Value) -> String {
    let bound = |name: &str| schema.get(name).map(ToString::to_string);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", at least {least}"),
        _ => String::new(),
    }
}

/// The choices of a schema that are not null.
fn choices(schema: &Value) -> Vec<&Value> {
    let either = ["oneOf", "anyOf"].iter().flat_map(|word| list(&schema[*word]));
    either.filter(|one| one["type"] != "null").collect()
}

fn has_null(schema: &Value) -> bool {
    ["oneOf", "anyOf"].iter().flat_map(|word| list(&schema[*word])).any(|one| one["type"] == "null")
}

/// The fields of a schema with those within them.
pub(super) fn rows(document: &Value, schema: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    add(document, schema, 0, true, &mut rows);
    rows
}

/// The fields of a schema; those within them are found under their types.
pub(super) fn fields(document: &Value, schema: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    add(document, schema, 0, false, &mut rows);
    rows
}

fn add(document: &Value, schema: &Value, depth: usize, nested: bool, rows: &mut Vec<Row>) {
    let schema = resolved(document, schema);
    if schema.get("items").is_some() {
        return add(document, &schema["items"], depth, nested, rows);
    }
    for one in choices(schema).into_iter().chain(list(&schema["allOf"])) {
        add(document, one, depth, nested, rows);
    }
    if depth == 0 {
        merge(rows);
    }
    let required = list(&schema["required"]);
    for (field, stated) in in_order(schema) {
        rows.push(Row {
            name: field.to_owned(),
            depth,
            required: required.iter().any(|name| name == field),
            kind: kind(document, stated),
            link: name(stated).unwrap_or_default().to_owned(),
            says: marked(&says(document, &[stated])),
            words: words(document, stated),
        });
        if nested && depth + 1 < DEEPEST {
            add(document, stated, depth + 1, nested, rows);
        }
    }
}

/// A field that several parts of a schema name is one: the last of them only adds that it is required.
fn merge(rows: &mut Vec<Row>) {
    let again: Vec<Row> = rows.extract_if(.., |row| row.says.is_empty() && row.required && row.depth == 0).collect();
    for row in again {
        match rows.iter_mut().find(|known| known.depth == 0 && known.name == row.name) {
            Some(known) => known.required = true,
            None => rows.push(row),
        }
    }
}

/// What is said of a field: there, at its one choice, or of its type.
pub(super) fn says(document: &Value, places: &[&Value]) -> String {
    let of = |stated: &&Value| {
        let choice = choices(stated).first().copied().unwrap_or(stated);
        [*stated, choice, resolved(document, choice)].map(|one| text(&one["description"]))
    };
    places.iter().flat_map(of).find(|says| !says.is_empty()).unwrap_or_default()
}

/// The words that a field can be, where they are a known set.
pub(super) fn words(document: &Value, stated: &Value) -> Vec<String> {
    let known = resolved(document, choices(stated).first().copied().unwrap_or(stated));
    list(&known["enum"]).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The fields of a schema: required ones first, in the order in which they are stated as such.
fn in_order(schema: &Value) -> Vec<(&str, &Value)> {
    let Some(all) = schema["properties"].as_object() else { return Vec::new() };
    let required: Vec<&str> = list(&schema["required"]).iter().filter_map(Value::as_str).collect();
    let first = required.iter().filter_map(|name| all.get_key_value(*name));
    let rest = all.iter().filter(|(name, _)| !required.contains(&name.as_str()));
    first.chain(rest).map(|(name, stated)| (name.as_str(), stated)).collect()
}

/// Something that fits a schema: the required fields, or all where none is.
pub(super) fn sample(document: &Value, schema: &Value) -> Value {
    let stated = schema;
    let schema = resolved(document, schema);
    if let Some(example) = stated.get("example").or_else(|| schema.get("example")) {
        return example.clone();
    }
    if let Some(word) = list(&schema["enum"]).first() {
        return word.clone();
    }
    if let Some(one) = choices(schema).first() {
        return sample(document, one);
    }
    let parts = list(&schema["allOf"]);
    if !parts.is_empty() {
        let parts = parts.iter().filter_map(|part| sample(document, part).as_object().cloned());
        return Value::Object(parts.flatten().collect());
    }
    let kind = schema["type"].as_str().or_else(|| list(&schema["type"]).first().and_then(Value::as_str));
    match (kind, schema["format"].as_str()) {
        (Some("object"), _) | (None, _) if schema["properties"].is_object() => {
            let required = list(&schema["required"]);
            let wanted = |name: &str| required.is_empty() || required.iter().any(|one| one == name);
            let fields = in_order(schema).into_iter().filter(|(name, _)| wanted(name));
            let fields: Map<String, Value> =
                fields.map(|(name, stated)| (name.to_owned(), sample(document, stated))).collect();
            Value::Object(fields)
        }
        (Some("array"), _) => json!([sample(document, &schema["items"])]),
        (Some("integer" | "number"), _) => schema.get("minimum").cloned().unwrap_or(json!(1)),
        (Some("boolean"), _) => json!(false),
        (Some("string"), Some("date-time")) => json!("2026-01-31T12:00:00Z"),
        (Some("string"), Some("uuid")) => json!("01998877-6655-7443-8221-100000000000"),
        (Some("string"), _) => json!("…"),
        _ => json!({}),
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        json!({"components": {"schemas": {
            "Word": {"type": "string", "enum": ["a", "b"]},
            "Line": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "word": {"$ref": "#/components/schemas/Word"}}},
            "Order": {"type": "object", "required": ["lines"], "properties": {
                "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
                "at": {"type": ["string", "null"], "format": "date-time"}}}
        }}})
    }

    #[test]
    fn kinds_are_said_in_words() {
        let document = document();
        let kind = |schema: Value| kind(&document, &schema);
        assert_eq!(kind(json!({"$ref": "#/components/schemas/Order"})), "Order");
        assert_eq!(kind(json!({"$ref": "#/components/schemas/Word"})), "string");
        assert_eq!(kind(json!({"type": ["string", "null"], "format": "uuid"})), "uuid or null");
        assert_eq!(kind(json!({"type": "integer", "minimum": 1, "maximum": 200})), "integer, 1 to 200");
        assert_eq!(kind(json!({})), "any JSON");
        let either = json!({"oneOf": [{"$ref": "#/components/schemas/Line"}, {"type": "null"}]});
        assert_eq!(kind(either.clone()), "Line or null");
        assert_eq!(super::kind(&document, &json!({"type": "array", "items": either})), "list of Line or null");
    }

    #[test]
    fn fields_within_fields_stand_below_them() {
        let document = document();
        let rows = rows(&document, &json!({"$ref": "#/components/schemas/Order"}));
        let seen: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.depth, row.required)).collect();
        assert_eq!(seen, [("lines", 0, true), ("n", 1, true), ("word", 1, false), ("at", 0, false)]);
        assert_eq!(rows[2].words, ["a", "b"]);
    }

    #[test]
    fn a_sample_has_what_is_required() {
        let document = document();
        assert_eq!(sample(&document, &json!({"$ref": "#/components/schemas/Order"})), json!({"lines": [{"n": 1}]}));
    }
}
