//! `/audit`: what operators did, and what they were refused.

use askama::Template;
use uuid::Uuid;

use super::{address::Address, format, layout::Fragment, run_filter};
use crate::{
    engine::{AuditEntry, AuditFilter},
    http::{App, base::filters, problem::Problem},
};

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage<'a> {
    address: &'a Address,
    entries: Vec<AuditEntry>,
    outcome: Option<&'a str>,
    filtered: bool,
    next: Option<String>,
}

/// Renders the list.
pub(super) async fn render(app: &App, address: &Address) -> Result<Fragment, Problem> {
    let now = app.engine.now().await?;
    let text = |name: &str| address.param(name).map(str::to_owned);
    let id = |name: &str| {
        let parse =
            |text: &str| Uuid::try_parse(text).map_err(|_| Problem::invalid(format!("{name} is {text}; it is an id")));
        address.param(name).map(parse).transpose()
    };
    let filter = AuditFilter {
        run_id: id("run_id")?,
        operation_id: id("operation_id")?,
        actor: text("actor"),
        action: text("action"),
        outcome: address.param("outcome").map(str::parse).transpose()?,
        since: address.param("since").map(|since| run_filter::parse_time("since", since, now)).transpose()?,
        cursor: text("cursor"),
        ..AuditFilter::default()
    };
    let page = app.engine.audit(&filter).await?;
    let next = address.next(page.next_cursor);
    let filtered = address.params().next().is_some();
    Fragment::render(
        &app.base,
        "Audit",
        "audit",
        &AuditPage { address, entries: page.items, outcome: address.param("outcome"), filtered, next },
    )
}

/// The fields of the filter, with what they take.
const FIELDS: [(&str, &str); 4] =
    [("actor", "who"), ("action", "retry"), ("run_id", "run's id"), ("since", "1h, 2026-01-31")];
