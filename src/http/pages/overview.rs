//! `/`: what needs attention, how many runs have each status, and the latest runs.

use askama::Template;

use super::{
    attention, format,
    layout::Fragment,
    links,
    runs::{Chip, RunRow, counted},
};
use crate::{
    engine::{AttentionFilter, AttentionGroup, RunFilter, RunStatus, StatusCount},
    http::{App, base::filters, problem::Problem},
};

/// Groups of what needs attention.
const GROUPS: u32 = 6;

/// Runs.
const RUNS: u32 = 12;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    chips: Vec<Chip>,
    groups: Vec<AttentionGroup>,
    more_groups: bool,
    latest: Vec<RunRow>,
    open: String,
    stuck: i64,
    compensating: i64,
    workers: usize,
}

/// Renders the overview.
pub(super) async fn render(app: &App) -> Result<Fragment, Problem> {
    let counts = app.engine.counts().await?;
    let groups = app.engine.attention(&AttentionFilter { limit: Some(GROUPS), ..AttentionFilter::default() }).await?;
    let latest = app.engine.list(&RunFilter { limit: Some(RUNS), ..RunFilter::default() }).await?.items;
    let workers = app.engine.workers().await?.items.iter().filter(|worker| worker.alive).count();
    let template = Overview {
        open: open(&counts),
        stuck: of(&counts, RunStatus::Stuck),
        compensating: of(&counts, RunStatus::Compensating),
        chips: counted(&counts),
        more_groups: groups.next_cursor.is_some(),
        groups: groups.items,
        latest: latest.into_iter().map(RunRow::of).collect(),
        workers,
    };
    Fragment::render(&app.base, "Overview", "overview", &template)
}

fn of(counts: &[StatusCount], status: RunStatus) -> i64 {
    counts.iter().find(|count| count.status == status).map_or(0, |count| count.count)
}

/// Runs that are on their way.
fn open(counts: &[StatusCount]) -> String {
    let on_their_way = |count: &&StatusCount| {
        !count.status.has_ended() && !matches!(count.status, RunStatus::Compensating | RunStatus::Stuck)
    };
    let (sum, exact) = counts
        .iter()
        .filter(on_their_way)
        .fold((0, true), |(sum, exact), count| (sum + count.count, exact && count.exact));
    format!("{}{}", format::count(sum), if exact { "" } else { "+" })
}

fn runs_of(group: &AttentionGroup) -> String {
    attention::runs_of(group)
}
