//! The OpenAPI document says what the server does: it is the one that the repository shows, it names the routes that
//! docs/api.md names, and nothing in it points nowhere.

use std::{collections::BTreeSet, fs, path::Path, sync::OnceLock};

use backstitch::{http::openapi, shop};
use serde_json::Value;

use crate::server::Server;

/// The document of a server with the shop.
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| openapi::document(&[shop::description()]))
}

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Asserts that the document states this answer: its status and, of a problem, its code. `Answer::to` asks it of each
/// answer that any test here gets.
pub(crate) fn assert_stated(method: &str, path: &str, status: u16, code: Option<&str>) {
    let paths = document()["paths"].as_object().expect("paths");
    let Some((template, item)) =
        paths.iter().filter(|(template, _)| fits(template, path)).min_by_key(|(t, _)| t.matches('{').count())
    else {
        return assert_eq!(status, 404, "{method} {path} is not in the document");
    };
    let operation = &item[method.to_lowercase()];
    if operation.is_null() {
        return assert_eq!(status, 405, "{method} {template} is not in the document");
    }
    let stated = resolved(&operation["responses"][status.to_string()]);
    assert!(stated.is_object(), "{method} {template} does not state {status} {code:?}");
    let codes = &stated["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"];
    if let (Some(code), Some(codes)) = (code, codes.as_array()) {
        assert!(codes.iter().any(|stated| stated == code), "{method} {template} does not state {code}");
    }
}

/// What a value refers to, or itself.
fn resolved(value: &'static Value) -> &'static Value {
    let to = value["$ref"].as_str().and_then(|to| document().pointer(to.trim_start_matches('#')));
    to.unwrap_or(value)
}

/// Whether a path is one of a template: `/v1/runs/{id}`.
fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(&path).all(|(part, given)| part.starts_with('{') || part == given)
}

/// `METHOD /path` of every operation.
fn operations() -> BTreeSet<String> {
    let paths = document()["paths"].as_object().expect("paths");
    let methods = |(path, item): (&String, &Value)| {
        let methods = item.as_object().expect("operations").keys();
        methods.map(|method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(methods).collect()
}

#[test]
fn the_repository_has_the_current_document() {
    let kept: Value = serde_json::from_str(&page("docs/openapi.json")).expect("JSON");
    assert!(
        &kept == document(),
        "the API has changed: look at the difference that `cargo run -- openapi > docs/openapi.json` makes, and commit it"
    );
}

#[test]
fn the_docs_list_every_route() {
    // Each route is the first cell of a table's row: | `METHOD /path` | ... |
    let listed: BTreeSet<String> = page("docs/api.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|cell| cell.split_once('`'))
        .map(|(route, _)| route.to_owned())
        .filter(|route| {
            route.split_once(" /").is_some_and(|(method, _)| method.chars().all(|c| c.is_ascii_uppercase()))
        })
        .collect();
    let missing: Vec<_> = operations().difference(&listed).cloned().collect();
    let gone: Vec<_> = listed.difference(&operations()).cloned().collect();
    assert!(missing.is_empty() && gone.is_empty(), "not in docs/api.md: {missing:#?}\nonly in docs/api.md: {gone:#?}");
}

#[test]
fn every_reference_points_to_something() {
    fn look(value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(look),
            Value::Object(members) => {
                if let Some(Value::String(to)) = members.get("$ref") {
                    let pointer = to.strip_prefix('#').expect("a reference within the document");
                    assert!(document().pointer(pointer).is_some(), "{to}");
                }
                members.values().for_each(look);
            }
            _ => {}
        }
    }
    look(document());
}

#[test]
fn operation_ids_are_unique_and_links_name_one() {
    let paths = document()["paths"].as_object().expect("paths").values();
    let operations: Vec<&Value> = paths.flat_map(|item| item.as_object().expect("operations").values()).collect();
    let mut ids = BTreeSet::new();
    for operation in &operations {
        let id = operation["operationId"].as_str().expect("an id");
        assert!(ids.insert(id), "{id} is there twice");
        assert!(operation["summary"].is_string(), "{id} has no summary");
    }
    let answers =
        operations.iter().flat_map(|operation| operation["responses"].as_object().expect("responses").values());
    for link in answers.filter_map(|answer| answer["links"].as_object()).flat_map(|links| links.values()) {
        let id = link["operationId"].as_str().expect("an id");
        assert!(ids.contains(id), "a link names {id}");
    }
}

#[tokio::test]
async fn the_server_gives_its_document() {
    let server = Server::idle().await;
    let answer = server.get("/openapi.json").await;
    assert_eq!(answer.status, 200);
    assert_eq!(&answer.json, document());
    assert_eq!(answer.json["openapi"], "3.1.0");
}
