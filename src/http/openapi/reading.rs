//! The document as people read it: groups of operations, their parameters, bodies, answers and problems, and the types.

use serde_json::Value;

use super::{
    schema::{self, Row},
    text::{list, marked, text},
};
use crate::http::problem::{Code, MEDIA_TYPE};

/// All that the page shows. Texts that are marked up are HTML already, and safe.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) title: String,
    pub(super) version: String,
    /// Marked up, a paragraph each.
    pub(super) about: Vec<String>,
    pub(super) groups: Vec<Group>,
    pub(super) types: Vec<Type>,
    pub(super) codes: Vec<Code>,
}

/// The operations of a tag.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// Marked up.
    pub(super) says: String,
    pub(super) operations: Vec<Operation>,
}

/// A method at a path.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    /// Marked up.
    pub(super) summary: String,
    /// Marked up; empty where there is none.
    pub(super) says: String,
    /// The least role that a key needs; empty where none is.
    pub(super) role: String,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    pub(super) problems: Vec<(u64, String)>,
    pub(super) example: String,
}

/// Something in the path, the query or a header.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) place: String,
    pub(super) required: bool,
    pub(super) kind: String,
    /// Marked up.
    pub(super) says: String,
    /// The words, where it is one of a known set.
    pub(super) words: Vec<String>,
}

/// What a request carries.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) required: bool,
    pub(super) kind: String,
    /// The type that it is; empty where it has no name.
    pub(super) name: String,
    pub(super) rows: Vec<Row>,
}

/// What comes back when all went well.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: String,
    /// Marked up.
    pub(super) says: String,
    /// The type; empty where it has no name.
    pub(super) name: String,
    pub(super) kind: String,
}

/// A named schema.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) name: String,
    /// Marked up.
    pub(super) says: String,
    pub(super) rows: Vec<Row>,
    /// The words, where it is one of a known set.
    pub(super) words: Vec<String>,
}

impl Reading {
    /// Of a document, with the codes that its problems can have.
    pub(super) fn of(document: &Value, codes: &[Code]) -> Self {
        let info = &document["info"];
        let groups = list(&document["tags"]).iter().map(|tag| group(document, tag));
        let types = document["components"]["schemas"].as_object().into_iter().flatten();
        let mut codes = codes.to_vec();
        codes.sort_by_key(|code| (code.status, code.code));
        Self {
            title: text(&info["title"]),
            version: text(&info["version"]),
            about: text(&info["description"]).split("\n\n").map(marked).collect(),
            groups: groups.filter(|group| !group.operations.is_empty()).collect(),
            types: types.map(|(name, schema)| named(document, name, schema)).collect(),
            codes,
        }
    }
}

fn group(document: &Value, tag: &Value) -> Group {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, stated) in item.as_object().into_iter().flatten() {
            if list(&stated["tags"]).contains(&tag["name"]) {
                operations.push(operation(document, path, method, stated));
            }
        }
    }
    let order = |operation: &Operation| ["GET", "POST", "PUT", "PATCH"].iter().position(|m| *m == operation.method);
    operations.sort_by(|a, b| (&a.path, order(a).unwrap_or(9)).cmp(&(&b.path, order(b).unwrap_or(9))));
    Group { name: text(&tag["name"]), says: marked(&text(&tag["description"])), operations }
}

fn operation(document: &Value, path: &str, method: &str, stated: &Value) -> Operation {
    let parameters = list(&stated["parameters"]).iter().map(|parameter| Parameter {
        name: text(&parameter["name"]),
        place: text(&parameter["in"]),
        required: parameter["required"] == true,
        kind: schema::kind(document, &parameter["schema"]),
        says: marked(&schema::says(document, &[parameter, &parameter["schema"]])),
        words: schema::words(document, &parameter["schema"]),
    });
    let mut answers = Vec::new();
    let mut problems = Vec::new();
    for (status, answer) in stated["responses"].as_object().into_iter().flatten() {
        let answer = schema::resolved(document, answer);
        let codes = &answer["content"][MEDIA_TYPE]["schema"]["allOf"][1]["properties"]["code"]["enum"];
        let number = status.parse().unwrap_or(0);
        problems.extend(list(codes).iter().map(|code| (number, text(code))));
        if codes.is_null() {
            answers.push(success(document, status, answer));
        }
    }
    Operation {
        id: text(&stated["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: marked(&text(&stated["summary"])),
        says: marked(&text(&stated["description"])),
        role: text(&stated["x-required-role"]),
        parameters: parameters.collect(),
        body: stated.get("requestBody").map(|body| self::body(document, body)),
        answers,
        problems,
        example: example(document, path, method, stated),
    }
}

fn body(document: &Value, body: &Value) -> Body {
    let stated = &body["content"]["application/json"]["schema"];
    Body {
        required: body["required"] == true,
        kind: schema::kind(document, stated),
        name: schema::name(stated).unwrap_or_default().to_owned(),
        rows: schema::rows(document, stated),
    }
}

fn success(document: &Value, status: &str, answer: &Value) -> Answer {
    let content = answer["content"].as_object().into_iter().flatten().next();
    let (name, kind) = match content {
        None => (String::new(), "no body".to_owned()),
        Some((media, content)) if media == "application/json" => {
            let stated = &content["schema"];
            (schema::name(stated).unwrap_or_default().to_owned(), schema::kind(document, stated))
        }
        Some((media, _)) => (String::new(), media.clone()),
    };
    Answer { status: status.to_owned(), says: marked(&text(&answer["description"])), name, kind }
}

fn named(document: &Value, name: &str, schema: &Value) -> Type {
    Type {
        name: name.to_owned(),
        says: marked(&text(&schema["description"])),
        rows: schema::fields(document, schema),
        words: list(&schema["enum"]).iter().map(text).collect(),
    }
}

/// A command that can be tried. The address and the key come from the environment variables that the command line knows too.
fn example(document: &Value, path: &str, method: &str, stated: &Value) -> String {
    let mut command = vec!["curl".to_owned()];
    if method != "get" {
        command[0].push_str(&format!(" -X {}", method.to_uppercase()));
    }
    if path.ends_with("/events") {
        command[0].push_str(" -N");
    }
    let mut url = path.to_owned();
    let required = list(&stated["parameters"]).iter().filter(|p| p["required"] == true && p["in"] == "query");
    for (index, parameter) in required.enumerate() {
        let name = text(&parameter["name"]);
        url.push_str(&format!("{}{name}=…", if index == 0 { '?' } else { '&' }));
    }
    command[0].push_str(&format!(" \"$BACKSTITCH_URL{url}\""));
    if stated.get("security").is_none() {
        command.push("-H \"authorization: Bearer $BACKSTITCH_API_KEY\"".to_owned());
    }
    if let Some(body) = stated.get("requestBody") {
        let sample = schema::sample(document, &body["content"]["application/json"]["schema"]);
        command.push("-H 'content-type: application/json'".to_owned());
        command.push(format!("-d '{sample}'"));
    }
    command.join(" \\\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_shown_in_a_group() {
        let document = &super::super::document(&[]);
        let paths = document["paths"].as_object().expect("paths").values();
        let stated: usize = paths.map(|item| item.as_object().expect("operations").len()).sum();
        let reading = Reading::of(document, &[]);
        assert_eq!(reading.groups.iter().map(|group| group.operations.len()).sum::<usize>(), stated);
    }
}
