//! `/runs/{id}`: one run: its status and why, its steps as a picture and as a table, its payloads, and its verbs.

use askama::Template;

use super::{
    format::{self, Html},
    layout::Fragment,
    links, stretches, verb_form,
    verbs::{self, VerbButton},
    waterfall::{self, Bar, Chart, ROW},
};
use crate::{
    engine::{Attention, AuditEntry, AuditFilter, Mover, PastAttempt, Run, RunStep, StepState, Why},
    http::{App, base::filters, extract::run_id, problem::Problem},
};

/// Entries of the audit.
const SHOWN: u32 = 50;

/// Steps of a run that its page shows: the latest.
const MOST_STEPS: usize = 500;

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    run: Run,
    steps: Vec<RunStep>,
    why: Why,
    attention: Vec<Attention>,
    audit: Vec<AuditEntry>,
    verbs: Vec<&'static VerbButton>,
    chart: Chart,
    has_undos: bool,
    /// Earlier steps that are not shown.
    left_out: usize,
    /// What is shown of each payload, in bytes.
    room: usize,
}

/// Renders the page.
pub(super) async fn render(app: &App, id: &str) -> Result<Fragment, Problem> {
    let id = run_id(id)?;
    let mut run = app.engine.run(id).await?;
    let why = app.engine.why(id).await?;
    let of_run = AuditFilter { run_id: Some(id), limit: Some(SHOWN), ..AuditFilter::default() };
    let audit = app.engine.audit(&of_run).await?.items;
    let attention = run.attention.take().unwrap_or_default();
    let mut steps = run.steps.take().unwrap_or_default();
    let now = app.engine.now().await?;
    let title = format!("{} {}", run.workflow, format::short(&run.id));
    let has_undos = steps.iter().any(|step| step.direction == "undo");
    let mut words: Vec<&str> = why.actions.iter().map(String::as_str).collect();
    if !run.status.has_ended() && why.who != Mover::Service {
        words.push("signal");
    }
    // A verb that needs a step is offered where there is one that it can mean.
    words.retain(|word| {
        !matches!(*word, "skip" | "resolve" | "fork") || !verb_form::list_steps(word, &steps).is_empty()
    });
    let verbs = verbs::offered(&words);
    let left_out = steps.len().saturating_sub(MOST_STEPS);
    let steps = steps.split_off(left_out);
    let ended = run.finished_at.filter(|_| run.status.has_ended());
    let chart = waterfall::chart(&steps, run.created_at, ended, now);
    let room = format::room(2 * steps.len() + 2);
    let template = RunPage { why, attention, audit, verbs, run, steps, chart, has_undos, left_out, room };
    Fragment::render(&app.base, title, "runs", &template)
}

fn anchor(step: &RunStep) -> String {
    format!("s{}{}", step.seq, if step.direction == "undo" { "u" } else { "f" })
}

/// A bar's place, as the picture's coordinates.
fn bar_class(bar: &Bar, back: &bool) -> String {
    format!("bar {}{}", bar.class(), if *back { " back" } else { "" })
}

fn outcome(step: &RunStep) -> Html {
    format::badge(StepState::from(step.outcome).word())
}

fn lasted(past: &PastAttempt) -> String {
    format::between(&past.started_at, &Some(past.ended_at))
}

fn with_payload(step: &RunStep) -> bool {
    step.input.is_some() || step.output.is_some() || !step.attempt_log.is_empty() || step.idempotency_key.is_some()
}
