//! `/fleet`: queues, workers, workflows and activities.

use askama::Template;

use super::{format, layout::Fragment, links};
use crate::{
    engine::{HoldNote, QueueInfo, WorkerInfo, Workflows},
    http::{App, base::filters, problem::Problem},
};

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    queues: Vec<QueueInfo>,
    workers: Vec<WorkerInfo>,
    workflows: Workflows,
    alive: usize,
    held: usize,
}

/// Renders the page.
pub(super) async fn render(app: &App) -> Result<Fragment, Problem> {
    let queues = app.engine.queues().await?.items;
    let workers = app.engine.workers().await?.items;
    let workflows = app.engine.workflows().await?;
    let alive = workers.iter().filter(|worker| worker.alive).count();
    let holds: [Vec<bool>; 3] = [
        queues.iter().map(|one| one.hold.is_some()).collect(),
        workflows.items.iter().map(|one| one.hold.is_some()).collect(),
        workflows.activities.iter().map(|one| one.hold.is_some()).collect(),
    ];
    let held = holds.iter().flatten().filter(|held| **held).count();
    Fragment::render(&app.base, "Fleet", "fleet", &FleetPage { queues, workers, workflows, alive, held })
}

/// The address of the form that holds something, or releases it.
fn hold_link(kind: &str, name: &str, hold: &Option<HoldNote>) -> String {
    let verb = if hold.is_some() { "release" } else { "hold" };
    links::address(&format!("/fleet/{verb}"), [("kind", kind), ("name", name)])
}

fn milliseconds(ms: &u64) -> String {
    format::span(i64::try_from(*ms).unwrap_or(i64::MAX))
}

/// When a worker last sent a heartbeat. For a live one it is "now": the exact moment changes all the time.
fn last_heartbeat(worker: &WorkerInfo) -> String {
    match worker.last_beat {
        _ if worker.alive => "now".to_owned(),
        Some(at) => format::moment(&at),
        None => "never".to_owned(),
    }
}
