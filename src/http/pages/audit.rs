//! `/audit`: what operators did, and what they were refused.

use askama::Template;
use uuid::Uuid;

use super::{
    filter, format,
    view::{Fragment, View},
};
use crate::{
    engine::{AuditEntry, AuditFilter},
    http::{App, problem::Problem},
};

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage<'a> {
    view: &'a View,
    entries: Vec<AuditEntry>,
    outcome: Option<&'a str>,
    filtered: bool,
    next: Option<String>,
}

/// The list.
pub(super) async fn fragment(app: &App, view: &View) -> Result<Fragment, Problem> {
    let now = app.engine.now().await?;
    let text = |name: &str| view.param(name).map(str::to_owned);
    let id = |name: &str| {
        let parse =
            |text: &str| Uuid::try_parse(text).map_err(|_| Problem::invalid(format!("{name} is {text}; it is an id")));
        view.param(name).map(parse).transpose()
    };
    let filter = AuditFilter {
        run_id: id("run_id")?,
        operation_id: id("operation_id")?,
        actor: text("actor"),
        action: text("action"),
        outcome: text("outcome"),
        since: view.param("since").map(|since| filter::time("since", since, now)).transpose()?,
        cursor: text("cursor"),
        ..AuditFilter::default()
    };
    let page = app.engine.audit(&filter).await?;
    let next = page.next_cursor.map(|cursor| view.with("cursor", &cursor));
    let filtered = view.params().next().is_some();
    Fragment::of(
        "Audit",
        "audit",
        &AuditPage { view, entries: page.items, outcome: view.param("outcome"), filtered, next },
    )
}

/// The fields of the filter, with what they take.
const FIELDS: [(&str, &str); 4] =
    [("actor", "who"), ("action", "retry"), ("run_id", "run's id"), ("since", "1h, 2026-01-31")];
