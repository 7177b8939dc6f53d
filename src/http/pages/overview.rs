//! `/`: what needs attention, how many runs stand where, and the latest of them.

use askama::Template;

use super::{
    format,
    runs::RunRow,
    view::Fragment,
};
use crate::{
    engine::{Run, RunFilter},
    http::{App, problem::Problem},
};

/// Of each list.
const SHOWN: u32 = 10;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    attention: Vec<RunRow>,
    latest: Vec<RunRow>,
}

/// The overview.
pub(super) async fn fragment(app: &App) -> Result<Fragment, Problem> {
    let limited = RunFilter { limit: Some(SHOWN), ..RunFilter::default() };
    let latest = app.engine.list(&limited).await?.items;
    let attention = app.engine.list(&RunFilter { attention: true, ..limited }).await?.items;
    let rows = |runs: Vec<Run>| runs.into_iter().map(RunRow::of).collect();
    Fragment::of("Overview", "overview", &Overview { attention: rows(attention), latest: rows(latest) })
}
