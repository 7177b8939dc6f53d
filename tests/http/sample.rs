//! Good requests, made from the OpenAPI document: what `hostile` spoils in one place at a time.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::server::Server;

/// What stands where a spoilt value goes.
const HERE: &str = "@here@";

/// As deep as schemas are followed.
const DEEPEST: usize = 6;

/// A request that the document describes.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) header: Option<(String, Vec<u8>)>,
    pub(crate) body: Option<String>,
    pub(crate) template: String,
    pub(crate) operation: &'static Value,
    /// The body with everything that may be in it.
    pub(crate) whole: Value,
    pub(crate) id: String,
}

/// A good request for each operation. `id` gives what an address names.
pub(crate) fn operations(document: &'static Value, id: impl Fn(&str) -> String) -> Vec<Request> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |it| (path, it)));
    all.map(|(template, (method, operation))| {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let (least, whole) = match schema {
            Value::Null => (Value::Null, Value::Null),
            schema => (sample(document, schema), make(document, schema, true, 0)),
        };
        let mut request = Request {
            method: method.to_uppercase().parse().expect("a method"),
            path: String::new(),
            query: String::new(),
            header: None,
            body: (!schema.is_null()).then(|| least.to_string()),
            template: template.clone(),
            operation,
            whole,
            id: id(template),
        };
        request.query = request.required_query();
        request.path = request.path_with("", "");
        request
    })
    .collect()
}

impl Request {
    /// A page.
    pub(crate) fn get(path: &str) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            query: String::new(),
            header: None,
            body: None,
            template: path.to_owned(),
            operation: &Value::Null,
            whole: Value::Null,
            id: String::new(),
        }
    }

    pub(crate) fn is_api(&self) -> bool {
        self.path.starts_with("/v1/")
    }

    /// The names of its parameters of one kind.
    pub(crate) fn params(&self, kind: &str) -> Vec<String> {
        let params = self.operation["parameters"].as_array().into_iter().flatten();
        params
            .filter(|param| param["in"] == kind)
            .filter_map(|param| Some(param["name"].as_str()?.to_owned()))
            .collect()
    }

    fn required_query(&self) -> String {
        let params = self.operation["parameters"].as_array().into_iter().flatten();
        let required = params.filter(|param| param["in"] == "query" && param["required"] == true);
        let pairs: Vec<String> = required.filter_map(|param| Some(format!("{}=c1", param["name"].as_str()?))).collect();
        pairs.join("&")
    }

    /// Its path with another value of one parameter.
    pub(crate) fn path_with(&self, name: &str, value: &str) -> String {
        let kind = |part: &str| match part {
            "id" => self.id.clone(),
            "seq" => "0".to_owned(),
            "kind" => "workflow".to_owned(),
            "workflow" => "echo".to_owned(),
            "sku" => "apple".to_owned(),
            "name" if self.template.contains("/holds/") => "echo".to_owned(),
            "name" if self.template.contains("/signals/") => "go".to_owned(),
            _ => "nightly".to_owned(),
        };
        let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(param) if param == name => value.to_owned(),
            Some(param) => kind(param),
            None => part.to_owned(),
        };
        self.template.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    /// Where its body's values stand: names, and numbers of items. The body as a whole comes first.
    pub(crate) fn fields(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        if self.body.is_some() {
            list(&self.whole, &mut Vec::new(), &mut found);
        }
        found
    }

    /// Its body with another JSON text at a place.
    pub(crate) fn body_with(&self, place: &[String], text: &str) -> String {
        let mut body = self.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
        put(&mut body, &self.whole, place);
        body.to_string().replace(&format!("\"{HERE}\""), text)
    }

    pub(crate) fn on(&self, server: &Server) -> reqwest::RequestBuilder {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        let mut request = server.request(self.method.clone(), &format!("{}{query}", self.path));
        if let Some((name, value)) = &self.header {
            request = request.header(name, value.as_slice());
        }
        match &self.body {
            Some(body) => request.header("content-type", "application/json").body(body.clone()),
            None => request,
        }
    }
}

fn list(value: &Value, place: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    found.push(place.clone());
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().take(1).map(|item| ("0".to_owned(), item)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in inner {
        place.push(name);
        list(value, place, found);
        place.pop();
    }
}

/// Puts the mark at a place, and what it needs around it.
fn put(body: &mut Value, whole: &Value, place: &[String]) {
    let Some((name, rest)) = place.split_first() else {
        *body = HERE.into();
        return;
    };
    let inner = |value: &Value| match value {
        Value::Array(items) => items.first().cloned().unwrap_or_default(),
        value => value[name.as_str()].clone(),
    };
    let inner_whole = inner(whole);
    match body {
        Value::Object(members) => put(members.entry(name).or_insert_with(|| inner_whole.clone()), &inner_whole, rest),
        Value::Array(items) => {
            if items.is_empty() {
                items.push(inner_whole.clone());
            }
            put(&mut items[0], &inner_whole, rest);
        }
        other => {
            *other = whole.clone();
            put(other, whole, place);
        }
    }
}

/// A value that fits a schema, with what is required and nothing else.
pub(crate) fn sample(document: &Value, schema: &Value) -> Value {
    make(document, schema, false, 0)
}

fn make(document: &Value, schema: &Value, whole: bool, depth: usize) -> Value {
    if let Some(to) = schema["$ref"].as_str() {
        let to = document.pointer(to.trim_start_matches('#')).expect("a reference");
        return make(document, to, whole, depth);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().map(|part| make(document, part, whole, depth));
        return parts.fold(json!({}), |mut all, part| {
            let (Some(all_members), Value::Object(members)) = (all.as_object_mut(), part) else { return all };
            all_members.extend(members);
            all
        });
    }
    for choice in ["oneOf", "anyOf"] {
        let not_null = |one: &&Value| one["type"] != "null";
        if let Some(first) = schema[choice].as_array().and_then(|all| all.iter().find(not_null)) {
            return make(document, first, whole, depth);
        }
    }
    if let Some(given) = [&schema["example"], &schema["enum"][0]].into_iter().find(|given| !given.is_null()) {
        return given.clone();
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        Value::Null if schema["properties"].is_object() => vec!["object"],
        name => name.as_str().into_iter().collect(),
    };
    match types.first() {
        Some(&"object") => object(document, schema, whole, depth),
        Some(&"array") => json!([make(document, &schema["items"], whole, depth + 1)]),
        Some(&"string") => match schema["format"].as_str() {
            Some("date-time") => "2030-01-01T00:00:00Z".into(),
            Some("uuid") => "01998877-6655-7443-8221-100000000000".into(),
            _ => "x".into(),
        },
        Some(&"integer" | &"number") => schema["minimum"].as_i64().unwrap_or(1).max(1).into(),
        Some(&"boolean") => false.into(),
        _ => json!({"text": "a"}),
    }
}

fn object(document: &Value, schema: &Value, whole: bool, depth: usize) -> Value {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let wanted = |name: &str| whole && depth < DEEPEST || required.contains(&name);
    let properties = schema["properties"].as_object().into_iter().flatten();
    let own = properties.filter(|(name, _)| wanted(name)).map(|(name, schema)| {
        let value = match name.as_str() {
            "workflow" => "echo".into(),
            "cron" => "0 3 * * *".into(),
            "time_zone" => "Europe/Berlin".into(),
            "filter" if !whole => json!({"workflow": "echo"}),
            "action" => "pause".into(),
            "wait" => "1s".into(),
            "keep" => "90d".into(),
            _ => make(document, schema, whole, depth + 1),
        };
        (name.clone(), value)
    });
    let mut members: Map<String, Value> = own.collect();
    if whole && schema["additionalProperties"].is_object() {
        members.insert("any".to_owned(), make(document, &schema["additionalProperties"], whole, depth + 1));
    }
    Value::Object(members)
}
