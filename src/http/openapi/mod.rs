//! The OpenAPI document. It is made from the handlers: `routes!` registers a handler under the very path and method that
//! its `#[utoipa::path]` states, so that neither can drift from the other. [`finish`] adds what holds for all of them.
//!
//! A route looks like this:
//!
//! ```ignore
//! pub(super) fn routes() -> OpenApiRouter<App> {
//!     OpenApiRouter::new().routes(routes!(list, put)).routes(routes!(show)) // one `routes!` per path
//! }
//!
//! /// Read a hold.
//! ///
//! /// The first line is the summary, the rest the description.
//! #[utoipa::path(
//!     get,
//!     path = "/v1/holds/{name}",
//!     operation_id = "get_hold",
//!     tag = "holds",
//!     params(("name" = String, Path, description = "Its name."), ListParams, IdempotencyKey),
//!     request_body = Option<HoldBody>,
//!     responses((status = 200, description = "The hold.", body = Hold)),
//!     extensions(("x-problems" = json!(["unknown_hold"])))
//! )]
//! async fn show(/* … */)
//! ```
//!
//! - `x-problems` lists the codes that this handler itself returns. `finish` turns them into answers from `problem::CODES`,
//!   and adds those that any request can get: a malformed body, a body too large, a database that is away.
//! - Response types derive `ToSchema`; query parameters derive `IntoParams` with `#[into_params(parameter_in = Query)]`. A
//!   body is a type, not a `json!`. `Time`, `RunId` and `Json` are known (build.rs). A field with a fixed set of words says
//!   `#[schema(schema_with = words::run_status)]`.
//! - Add a row to docs/api.md, and run `cargo run -- openapi > docs/openapi.json`.

mod finish;
mod page;
mod problems;
mod reading;
mod schema;
mod text;

use std::sync::OnceLock;

use axum::{Json as Answer, extract::State, http::header, response::IntoResponse};
use serde_json::{Value, json};
use utoipa::openapi::{
    Info, License, OpenApi, OpenApiBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    tag::{Tag, TagBuilder},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) use self::problems::problem_reference;
use self::reading::Reading;
use super::{
    App,
    auth::roles::Row,
    bodies::Room,
    plugin::Description,
    problem::{CODES, Code},
};

/// What a client has to know beside the single routes.
const DESCRIPTION: &str = "\
Durable workflows and sagas on plain Postgres.

JSON over HTTP. Times are RFC 3339 in UTC, money is whole minor units beside an ISO currency code, durations in parameters \
are written `250ms`, `10s`, `1m`. Fields and parameters that are not known are refused: a typing error is not taken for a default.

Every error is an RFC 9457 problem with a stable `code`. A request id goes in and out as `x-request-id` and stands in each problem; \
a W3C `traceparent` is honoured. Lists are pages: ask the next one with the `next_cursor` of the one before as `cursor`.";

/// Groups of routes, in the order of reading. Each tag that a handler names stands here.
const TAGS: &[(&str, &str)] = &[
    ("runs", "Start runs, read them, wait for them, send them signals."),
    ("actions", "What operators do to one run."),
    ("operations", "The same action on many runs: durable, rate-limited, with a result per run."),
    ("attention", "What an operator should look at, and why a run stands still."),
    ("holds", "Workflows, activities and queues that are held back."),
    ("inbox", "Events from outside, which start and signal runs."),
    ("events", "Events that leave: a feed, a stream, and the sinks that get them."),
    ("fleet", "Workflows, queues and workers."),
    ("schedules", "Runs that start by the clock."),
    ("retention", "How long ended runs are kept."),
    ("audit", "What operators did."),
    ("keys", "API keys."),
];

/// The last group, after those of plugins.
const HEALTH: (&str, &str) = ("health", "Whether this server lives and can do its work, and what it is.");

/// The name of the security scheme.
const API_KEY: &str = "api_key";

/// The routes of this noun.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show)).merge(page::routes().into())
}

/// What the routes are added to.
pub(super) fn begin() -> OpenApi {
    let info = Info::builder()
        .title("Backstitch")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(
            License::builder().name(env!("CARGO_PKG_LICENSE")).identifier(Some(env!("CARGO_PKG_LICENSE"))).build(),
        ))
        .build();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An API key: `bsk_…`. As long as no key has ever been made, a server on a loopback address asks for none.",
        ))
        .build();
    let mut document =
        OpenApiBuilder::new().info(info).security(Some([SecurityRequirement::new(API_KEY, [""; 0])])).build();
    document.components.get_or_insert_default().add_security_scheme(API_KEY, SecurityScheme::Http(key));
    document
}

fn tag(name: &str, says: &str) -> Tag {
    TagBuilder::new().name(name).description(Some(says)).build()
}

/// The document of a server with these plugins, as its base at the root.
pub fn document(plugins: &[Description]) -> Value {
    let rows: Vec<Row> = plugins.iter().flat_map(|plugin| plugin.access).copied().collect();
    finish::finish(state(plugins), &codes(plugins), &rows)
}

/// The document as the handlers state it.
fn state(plugins: &[Description]) -> Value {
    let (_, mut document) = super::nouns(&Room::new(0), 0).split_for_parts();
    for plugin in plugins {
        document.merge(plugin.openapi.clone());
    }
    let own = plugins.iter().flat_map(|plugin| plugin.tags);
    document.tags = Some(TAGS.iter().chain(own).chain([&HEALTH]).map(|(name, says)| tag(name, says)).collect());
    serde_json::to_value(document).unwrap_or_default()
}

/// All codes that problems can have here, by status.
fn codes(plugins: &[Description]) -> Vec<Code> {
    let own = plugins.iter().flat_map(|plugin| plugin.codes);
    let mut codes: Vec<Code> = CODES.iter().chain(own).copied().collect();
    codes.sort_by_key(|code| code.status);
    codes
}

/// The documents of one server, made when they are first asked for.
#[derive(Debug, Default)]
pub(super) struct Documents {
    document: OnceLock<Value>,
    reading: OnceLock<Reading>,
}

impl App {
    /// The OpenAPI document of this server.
    pub fn openapi(&self) -> &Value {
        self.documents.document.get_or_init(|| {
            let mut document = document(&self.descriptions());
            let base = self.base.as_str();
            if !base.is_empty() {
                document["servers"] = json!([{"url": base}]);
            }
            document
        })
    }

    /// The same as people read it.
    fn reading(&self) -> &Reading {
        self.documents.reading.get_or_init(|| Reading::of(self.openapi(), &codes(&self.descriptions())))
    }
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi",
    tag = "health",
    security(()),
    responses((status = 200, description = "The OpenAPI document of this server.", body = Value))
)]
async fn show(State(app): State<App>) -> impl IntoResponse {
    // Browsers and gateways look at it from elsewhere; it holds nothing of anybody's.
    ([(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], Answer(app.openapi().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema of an enum derives its words from the names of the variants; everything else has them from `words!`.
    #[test]
    fn enums_have_the_words_that_answers_have() {
        use crate::engine::*;
        let schemas = &document(&[])["components"]["schemas"];
        for (name, words) in [
            ("ActionOutcome", ActionOutcome::WORDS),
            ("AttentionKind", AttentionKind::WORDS),
            ("CatchUp", CatchUp::WORDS),
            ("Direction", Direction::WORDS),
            ("HoldKind", HoldKind::WORDS),
            ("KeyState", KeyState::WORDS),
            ("Mover", Mover::WORDS),
            ("OperationStatus", OperationStatus::WORDS),
            ("Outcome", Outcome::WORDS),
            ("Overlap", Overlap::WORDS),
            ("Role", Role::WORDS),
            ("RunStatus", RunStatus::WORDS),
            ("SlotOutcome", SlotOutcome::WORDS),
            ("StepKind", StepKind::WORDS),
            ("StepState", StepState::WORDS),
            ("WaitKind", WaitKind::WORDS),
        ] {
            assert_eq!(schemas[name]["enum"], serde_json::json!(words), "{name}");
        }
    }

    #[test]
    fn every_tag_of_a_handler_is_explained() {
        for (path, item) in state(&[])["paths"].as_object().expect("paths") {
            for operation in item.as_object().expect("operations").values() {
                let tags = operation["tags"].as_array().expect("a tag");
                for tag in tags {
                    assert!(TAGS.iter().chain([&HEALTH]).any(|(name, _)| tag == name), "{path}: {tag}");
                }
            }
        }
    }
}
