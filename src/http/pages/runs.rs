//! `/runs`: the list of runs, with its filter in the address.

use askama::Template;

use super::{
    address::Address,
    format,
    layout::Fragment,
    links,
    run_filter::{self, is_condition},
    verbs,
};
use crate::{
    engine::{Run, StatusCount},
    http::{App, base::filters, problem::Problem},
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
    address: &'a Address,
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

/// Renders the list.
pub(super) async fn render(app: &App, address: &Address) -> Result<Fragment, Problem> {
    let now = app.engine.now().await?;
    let counts = app.engine.counts().await?;
    // A filter that can't be read is explained beside its fields, above an empty list.
    let listed = match run_filter::parse(address.params(), now) {
        Ok(filter) => app.engine.list(&filter).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    let (page, problem) = match listed {
        Ok(page) => (page, None),
        Err(problem) if problem.status().is_client_error() => {
            (crate::engine::Slice { items: Vec::new(), next_cursor: None }, Some(problem.detail().to_owned()))
        }
        Err(problem) => return Err(problem),
    };
    let set: Vec<&str> = address.params().map(|(name, _)| name).collect();
    let conditions = run_filter::describe(address.params());
    let template = RunsPage {
        address,
        chips: chips(address, &counts),
        rows: page.items.into_iter().map(RunRow::of).collect(),
        filtered: set.iter().any(|name| is_condition(name)),
        detailed: set
            .iter()
            .any(|name| matches!(*name, "version" | "tag" | "error" | "step" | "fingerprint" | "since" | "until")),
        next: address.next(page.next_cursor),
        first: address.param("cursor").map(|_| address.with("cursor", "")),
        bulk: if problem.is_none() { bulk(address) } else { Vec::new() },
        problem,
    };
    let title = if conditions.is_empty() { "Runs".to_owned() } else { format!("Runs: {conditions}") };
    Fragment::render(&app.base, title, "runs", &template)
}

/// What can be done to all runs that match, where there is a condition at all.
fn bulk(address: &Address) -> Vec<(&'static str, String)> {
    let conditions: Vec<(&str, &str)> = address.params().filter(|(name, _)| is_condition(name)).collect();
    if conditions.is_empty() {
        return Vec::new();
    }
    let form = |word: &str| {
        let all = conditions.iter().copied().chain([("action", word)]);
        links::address("/operations/new", all)
    };
    verbs::IN_BULK.iter().filter_map(|word| Some((verbs::find(verbs::OF_RUNS, word)?.label, form(word)))).collect()
}

/// The chips above the list: each sets one condition, and leaves the others as they are.
fn chips(address: &Address, counts: &[StatusCount]) -> Vec<Chip> {
    let status = address.param("status");
    let attention = address.param("attention").is_some();
    let without = address.with("status", "");
    let all = Address::parse(&without).map_or_else(|_| "/runs".to_owned(), |all| all.with("attention", ""));
    let plain = |word: &str, class, address, current| Chip {
        address,
        word: word.to_owned(),
        class,
        count: None,
        zero: false,
        current,
    };
    let toggled = address.with("attention", if attention { "" } else { "true" });
    let mut chips = vec![
        plain("all", "", all, status.is_none() && !attention),
        plain("needs attention", "s-attention", toggled, attention),
    ];
    chips.extend(
        STATUSES.into_iter().map(|word| Chip {
            current: status == Some(word),
            ..of_status(word, address.with("status", word), counts)
        }),
    );
    chips
}

/// Chips that lead to the list, with how many runs there are of each status.
pub(super) fn counted(counts: &[StatusCount]) -> Vec<Chip> {
    STATUSES.into_iter().map(|word| of_status(word, links::link("/runs", &[("status", word)]), counts)).collect()
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
    match waiting.kind.word() {
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
