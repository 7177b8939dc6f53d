//! `/runs`: the list of runs, with its filter in the address.

use askama::Template;

use super::{
    filter, format, verbs,
    view::{Fragment, View},
};
use crate::{
    engine::{Run, StatusCount},
    http::{App, problem::Problem},
};

/// The statuses in the order of their chips.
pub(super) const STATUSES: [&str; 10] = [
    "pending",
    "running",
    "waiting",
    "paused",
    "compensating",
    "stuck",
    "completed",
    "compensated",
    "failed",
    "abandoned",
];

/// A chip: a filter that one click sets.
pub(super) struct Chip {
    pub(super) address: String,
    pub(super) word: String,
    pub(super) class: &'static str,
    pub(super) count: Option<String>,
    /// There is none.
    pub(super) zero: bool,
    pub(super) current: bool,
}

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage<'a> {
    view: &'a View,
    chips: Vec<Chip>,
    rows: Vec<RunRow>,
    filtered: bool,
    detailed: bool,
    next: Option<String>,
    first: Option<String>,
    problem: Option<String>,
    /// Verbs for all that match: label and address.
    bulk: Vec<(&'static str, String)>,
}

/// A run in a list.
pub(super) struct RunRow {
    pub(super) run: Run,
    /// What it waits for or failed of.
    pub(super) why: String,
}

impl RunRow {
    /// A row of a run.
    pub(super) fn of(run: Run) -> Self {
        Self { why: why(&run), run }
    }
}

/// The list.
pub(super) async fn fragment(app: &App, view: &View) -> Result<Fragment, Problem> {
    let now = app.engine.now().await?;
    let counts = app.engine.counts().await?;
    // A filter that can't be read is told where it was written, above an empty list.
    let listed = match filter::read(view.params(), now) {
        Ok(filter) => app.engine.list(&filter).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    let (page, problem) = match listed {
        Ok(page) => (page, None),
        Err(problem) if problem.status().is_client_error() => {
            (crate::engine::Page { items: Vec::new(), next_cursor: None }, Some(super::layout::words(&problem).1))
        }
        Err(problem) => return Err(problem),
    };
    let set: Vec<&str> = view.params().map(|(name, _)| name).collect();
    let told = filter::words(view.params());
    let template = RunsPage {
        view,
        chips: chips(view, &counts),
        rows: page.items.into_iter().map(RunRow::of).collect(),
        filtered: set.iter().any(|name| !matches!(*name, "cursor" | "limit")),
        detailed: set
            .iter()
            .any(|name| matches!(*name, "version" | "tag" | "error" | "step" | "fingerprint" | "since" | "until")),
        next: page.next_cursor.map(|cursor| view.with("cursor", &cursor)),
        first: view.param("cursor").map(|_| view.with("cursor", "")),
        bulk: if problem.is_none() { bulk(view) } else { Vec::new() },
        problem,
    };
    let title = if told.is_empty() { "Runs".to_owned() } else { format!("Runs: {told}") };
    Fragment::of(title, "runs", &template)
}

/// What can be done to all runs that match, where there is a condition at all.
fn bulk(view: &View) -> Vec<(&'static str, String)> {
    let conditions: Vec<(&str, &str)> =
        view.params().filter(|(name, _)| !matches!(*name, "cursor" | "limit")).collect();
    if conditions.is_empty() {
        return Vec::new();
    }
    let form = |word: &str| {
        let all = conditions.iter().copied().chain([("action", word)]);
        format::address("/operations/new", all)
    };
    BULK.iter().filter_map(|word| Some((verbs::find(word)?.label, form(word)))).collect()
}

/// The verbs that make sense for many runs at a time.
const BULK: [&str; 6] = ["retry", "pause", "resume", "acknowledge", "cancel", "compensate"];

/// The chips above the list: each sets one condition, and leaves the others as they are.
fn chips(view: &View, counts: &[StatusCount]) -> Vec<Chip> {
    let status = view.param("status");
    let attention = view.param("attention").is_some();
    let without = view.with("status", "");
    let all = View::parse(&without).map_or_else(|_| "/runs".to_owned(), |all| all.with("attention", ""));
    let plain = |word: &str, class, address, current| Chip {
        address,
        word: word.to_owned(),
        class,
        count: None,
        zero: false,
        current,
    };
    let toggled = view.with("attention", if attention { "" } else { "true" });
    let mut chips = vec![
        plain("all", "", all, status.is_none() && !attention),
        plain("needs attention", "s-attention", toggled, attention),
    ];
    chips.extend(
        STATUSES
            .into_iter()
            .map(|word| Chip { current: status == Some(word), ..of_status(word, view.with("status", word), counts) }),
    );
    chips
}

/// Chips that lead to the list, with how many runs there are of each status.
pub(super) fn counted(counts: &[StatusCount]) -> Vec<Chip> {
    STATUSES.into_iter().map(|word| of_status(word, format::link("/runs", &[("status", word)]), counts)).collect()
}

fn of_status(word: &str, address: String, counts: &[StatusCount]) -> Chip {
    let known = counts.iter().find(|count| count.status == word);
    let about = if word == "completed" { ("~", "") } else { ("", "+") };
    let count = known.map(|known| {
        let (before, after) = if known.exact { ("", "") } else { about };
        format!("{before}{}{after}", format::count(known.count))
    });
    let zero = known.is_none_or(|known| known.count == 0);
    Chip { address, word: word.to_owned(), class: class(word), count, zero, current: false }
}

fn class(status: &str) -> &'static str {
    match status {
        "pending" | "running" => "s-running",
        "completed" => "s-completed",
        "stuck" | "failed" => "s-stuck",
        "compensating" | "compensated" => "s-compensating",
        _ => "s-waiting",
    }
}

/// In a few words: what it waits for, or what it failed of.
fn why(run: &Run) -> String {
    if let Some(failure) = &run.failure {
        return format!("{}: {}", failure.code, failure.message);
    }
    let Some(waiting) = &run.waiting_on else { return String::new() };
    let name = waiting.name.as_deref().unwrap_or_default();
    match waiting.kind.as_str() {
        "timer" => "a timer".to_owned(),
        "retry" => format!("another attempt of {name}"),
        "worker" => format!("a worker that has {name}"),
        "queue" => format!("a worker of the queue {name}"),
        "start" => "its start".to_owned(),
        kind => format!("{kind} {name}").trim().to_owned(),
    }
}

/// The fields of the filter, with what they take.
const FIELDS: [(&str, &str); 9] = [
    ("workflow", "order"),
    ("version", "1"),
    ("key", "exact"),
    ("tag", "name:value"),
    ("error", "code"),
    ("step", "charge"),
    ("fingerprint", "error group"),
    ("since", "1h, 2026-01-31"),
    ("until", "30m, 2026-01-31"),
];
