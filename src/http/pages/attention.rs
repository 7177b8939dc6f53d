//! `/attention`: runs that need an operator, grouped by error, with one button for a whole group.

use askama::Template;

use super::{address::Address, format, layout::Fragment, links};
use crate::{
    engine::{AttentionFilter, AttentionGroup, AttentionKind},
    http::{App, base::filters, problem::Problem},
};

#[derive(Template)]
#[template(path = "attention.html")]
struct AttentionPage<'a> {
    address: &'a Address,
    kinds: &'static [&'static str],
    kind: Option<&'a str>,
    groups: Vec<AttentionGroup>,
    runs: i64,
    next: Option<String>,
}

/// Renders the groups.
pub(super) async fn render(app: &App, address: &Address) -> Result<Fragment, Problem> {
    let text = |name: &str| address.param(name).map(str::to_owned);
    let kind = address.param("kind").map(str::parse).transpose()?;
    let filter = AttentionFilter { workflow: text("workflow"), kind, limit: None, cursor: text("cursor") };
    let page = app.engine.attention(&filter).await?;
    let next = address.next(page.next_cursor);
    let runs = page.items.iter().map(|group| group.count).sum();
    let template = AttentionPage {
        address,
        kinds: AttentionKind::WORDS,
        kind: address.param("kind"),
        groups: page.items,
        runs,
        next,
    };
    Fragment::render(&app.base, "Needs attention", "attention", &template)
}

/// What a kind of attention means, in a few words.
pub(super) fn means(kind: &AttentionKind) -> &'static str {
    match kind {
        AttentionKind::Stuck => "can't go on by themselves",
        AttentionKind::Poison => "ended their workers again and again",
        AttentionKind::Unknown => "nobody could tell whether a step took effect",
        AttentionKind::UndoFailed => "an undo failed for good",
        AttentionKind::BestEffort => "a step that may fail did; the run went on",
        AttentionKind::Retrying => "have been trying for long",
        AttentionKind::Overdue => "are due, and no worker comes",
    }
}

/// The address of a bulk form over a group.
fn bulk(action: &str, group: &AttentionGroup) -> String {
    let fingerprint = group.fingerprint.as_deref().unwrap_or_default();
    links::address("/operations/new", [("action", action), ("fingerprint", fingerprint)])
}

/// The runs of a group.
pub(super) fn runs_of(group: &AttentionGroup) -> String {
    match &group.fingerprint {
        Some(fingerprint) => links::address("/runs", [("fingerprint", fingerprint.as_str())]),
        None => links::address(
            "/runs",
            [("workflow", group.workflow.as_deref().unwrap_or_default()), ("status", "pending")],
        ),
    }
}

fn is(set: &Option<&str>, one: &str) -> bool {
    *set == Some(one)
}
