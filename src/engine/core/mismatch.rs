//! Whether a JSON value is what a schema says: for inputs of workflows that this process has not got the code of.
//!
//! It knows what schemas of types say: kinds, members, items, alternatives, bounds of numbers. What it does not know it lets
//! pass: the code has the last word when the run begins. A validator of the whole standard would bring the engine many
//! crates for what types don't say.

use serde_json::{Map, Value};

/// Parts of schemas that are looked at, at most, and how many within each other: a schema may refer to itself.
const MOST_LOOKS: u32 = 1_000_000;
const DEEPEST: u32 = 500;

/// What is wrong with `value`, as `items[0].sku: it is missing`; none where it is what the schema says.
pub(crate) fn find_mismatch(schema: &Value, value: &Value) -> Option<String> {
    let found = Look { whole: schema, looks: 0, depth: 0 }.at(schema, value, "")?;
    Some(if found.path.is_empty() { found.what } else { format!("{}: {}", found.path, found.what) })
}

/// The same of a JSON text.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_text(schema: &Value, text: &str) -> Result<(), String> {
    let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    find_mismatch(schema, &value).map_or(Ok(()), Err)
}

struct Mismatch {
    path: String,
    what: String,
}

struct Look<'a> {
    whole: &'a Value,
    looks: u32,
    depth: u32,
}

impl<'a> Look<'a> {
    fn at(&mut self, schema: &'a Value, value: &Value, path: &str) -> Option<Mismatch> {
        self.looks = self.looks.saturating_add(1);
        let Value::Object(says) = schema else { return None };
        if self.looks > MOST_LOOKS || self.depth > DEEPEST {
            return None;
        }
        self.depth = self.depth.saturating_add(1);
        let found = self.within(says, value, path);
        self.depth = self.depth.saturating_sub(1);
        found
    }

    fn within(&mut self, says: &'a Map<String, Value>, value: &Value, path: &str) -> Option<Mismatch> {
        let own = wrong_kind(says, value).or_else(|| wrong_number(says, value));
        if let Some(what) = own {
            return Some(Mismatch { path: path.to_owned(), what });
        }
        let referred =
            says.get("$ref").and_then(Value::as_str).and_then(|to| self.whole.pointer(to.strip_prefix('#')?));
        let mut found = referred.and_then(|schema| self.at(schema, value, path));
        for part in says.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            found = found.or_else(|| self.at(part, value, path));
        }
        for alternatives in ["oneOf", "anyOf"] {
            found = found.or_else(|| self.none_of(says.get(alternatives)?.as_array()?, value, path));
        }
        found.or_else(|| match value {
            Value::Object(members) => self.members(says, members, path),
            Value::Array(items) => {
                let of = says.get("items")?;
                items.iter().enumerate().find_map(|(at, item)| self.at(of, item, &format!("{path}[{at}]")))
            }
            _ => None,
        })
    }

    /// None of the alternatives: what is told is of the one that goes furthest.
    fn none_of(&mut self, alternatives: &'a [Value], value: &Value, path: &str) -> Option<Mismatch> {
        let mut nearest: Option<Mismatch> = None;
        for alternative in alternatives {
            let found = self.at(alternative, value, path)?;
            if nearest.as_ref().is_none_or(|known| found.path.len() >= known.path.len()) {
                nearest = Some(found);
            }
        }
        nearest
    }

    fn members(&mut self, says: &'a Map<String, Value>, members: &Map<String, Value>, path: &str) -> Option<Mismatch> {
        let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let mut required =
            says.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        if let Some(name) = required.find(|name| !members.contains_key(*name)) {
            return Some(Mismatch { path: at(name), what: "it is missing".to_owned() });
        }
        let properties = says.get("properties").and_then(Value::as_object);
        members.iter().find_map(|(name, value)| match properties.and_then(|known| known.get(name)) {
            Some(schema) => self.at(schema, value, &at(name)),
            None => match says.get("additionalProperties")? {
                Value::Bool(false) => Some(Mismatch { path: at(name), what: "there is no such field".to_owned() }),
                schema => self.at(schema, value, &at(name)),
            },
        })
    }
}

fn wrong_kind(says: &Map<String, Value>, value: &Value) -> Option<String> {
    if let Some(Value::Array(words)) = says.get("enum")
        && !words.contains(value)
    {
        let words: Vec<_> = words.iter().take(20).map(Value::to_string).collect();
        return Some(format!("it is none of {}", words.join(", ")));
    }
    if says.get("const").is_some_and(|only| only != value) {
        return Some(format!("it is not {}", says["const"]));
    }
    let kinds: Vec<&str> = match says.get("type")? {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let is = |kind: &&str| match *kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    if kinds.iter().any(is) { None } else { Some(format!("it has to be of type {}", kinds.join(" or "))) }
}

fn wrong_number(says: &Map<String, Value>, value: &Value) -> Option<String> {
    let number = value.as_f64()?;
    let bound = |name: &str| says.get(name).and_then(Value::as_f64);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), _) if number < least => Some(format!("it is less than {least}")),
        (_, Some(most)) if number > most => Some(format!("it is more than {most}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_of_another_shape_is_told_by_its_field() {
        let line = json!({"type": "object", "required": ["sku", "quantity"], "additionalProperties": false,
            "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer", "minimum": 1},
                "colour": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/Colour"}]}}});
        let schema = json!({"type": "object", "required": ["items"],
            "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
                "tags": {"type": ["object", "null"], "additionalProperties": {"type": "string"}}},
            "$defs": {"Line": line, "Colour": {"type": "string", "enum": ["red", "blue"]}}});
        let of = |items: Value| find_mismatch(&schema, &json!({"items": items}));
        assert_eq!(of(json!([{"sku": "a", "quantity": 1}, {"sku": "b", "quantity": 2, "colour": "red"}])), None);
        assert_eq!(find_mismatch(&schema, &json!({"items": [], "more": 1, "tags": {"a": "b"}})), None);
        for (items, said) in [
            (json!(1), "items: it has to be of type array"),
            (json!([{"sku": "a"}]), "items[0].quantity: it is missing"),
            (
                json!([{"sku": "a", "quantity": 1}, {"sku": 1, "quantity": 1}]),
                "items[1].sku: it has to be of type string",
            ),
            (json!([{"sku": "a", "quantity": 1.5}]), "items[0].quantity: it has to be of type integer"),
            (json!([{"sku": "a", "quantity": 0}]), "items[0].quantity: it is less than 1"),
            (json!([{"sku": "a", "quantity": 1, "x": 1}]), "items[0].x: there is no such field"),
            (json!([{"sku": "a", "quantity": 1, "colour": "grey"}]), r#"items[0].colour: it is none of "red", "blue""#),
        ] {
            assert_eq!(of(items).as_deref(), Some(said));
        }
        assert_eq!(find_mismatch(&schema, &json!({})).as_deref(), Some("items: it is missing"));
        assert_eq!(find_mismatch(&schema, &json!(7)).as_deref(), Some("it has to be of type object"));
        let tags = json!({"items": [], "tags": {"a": 1}});
        assert_eq!(find_mismatch(&schema, &tags).as_deref(), Some("tags.a: it has to be of type string"));
    }

    #[test]
    fn a_schema_that_refers_to_itself_comes_to_an_end() {
        let circle = json!({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}});
        assert_eq!(find_mismatch(&circle, &json!(1)), None);
        let tree = json!({"$ref": "#/$defs/T", "$defs": {"T": {"anyOf": [{"type": "null"}, {"type": "array",
            "items": {"$ref": "#/$defs/T"}}]}}});
        assert_eq!(find_mismatch(&tree, &json!([[null, []], null])), None);
        assert!(find_mismatch(&tree, &json!([[null, [1]], null])).is_some());
        assert_eq!(find_mismatch(&json!(true), &json!(1)), None);
    }
}
