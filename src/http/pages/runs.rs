//! `/runs`: the list of runs, with its filter in the address.

use askama::Template;

use super::{
    filter,
    format,
    view::{Fragment, View},
};
use crate::{
    engine::Run,
    http::{App, problem::Problem},
};

/// The statuses in the order of their chips.
pub(super) const STATUSES: [&str; 10] = [
    "pending", "running", "waiting", "paused", "compensating", "stuck", "completed", "compensated", "failed", "abandoned",
];

/// A chip: a filter that one click sets.
pub(super) struct Chip {
    address: String,
    word: String,
    class: &'static str,
    count: Option<String>,
    zero: bool,
    current: bool,
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
        chips: chips(view),
        rows: page.items.into_iter().map(RunRow::of).collect(),
        filtered: set.iter().any(|name| !matches!(*name, "cursor" | "limit")),
        detailed: set.iter().any(|name| matches!(*name, "version" | "tag" | "error" | "step" | "fingerprint" | "since" | "until")),
        next: page.next_cursor.map(|cursor| view.with("cursor", &cursor)),
        first: view.param("cursor").map(|_| view.with("cursor", "")),
        problem,
    };
    let title = if told.is_empty() { "Runs".to_owned() } else { format!("Runs: {told}") };
    Fragment::of(title, "runs", &template)
}

fn chips(view: &View) -> Vec<Chip> {
    let status = view.param("status");
    let attention = view.param("attention").is_some();
    let chip = |word: &str, class, address, current| Chip { address, word: word.to_owned(), class, count: None, zero: false, current };
    let mut chips = vec![
        chip("all", "", View::parse(&view.with("status", "")).map_or_else(|_| "/runs".to_owned(), |all| all.with("attention", "")), status.is_none() && !attention),
        chip("needs attention", "s-attention", view.with("attention", if attention { "" } else { "true" }), attention),
    ];
    chips.extend(STATUSES.into_iter().map(|word| chip(word, class(word), view.with("status", word), status == Some(word))));
    chips
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
