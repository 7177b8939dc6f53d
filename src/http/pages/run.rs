//! `/runs/{id}`: one run: how it stands and why, its steps as a picture and as a table, its payloads, what can be done.

use askama::Template;

use super::{
    format::{self, Html},
    verbs::{self, Verb},
    view::Fragment,
    waterfall::{self, Bar, Chart, ROW},
};
use crate::{
    engine::{Run, StepView},
    http::{App, extract::run_id, problem::Problem},
};

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    run: Run,
    steps: Vec<StepView>,
    sentences: Vec<String>,
    verbs: Vec<&'static Verb>,
    chart: Chart,
    has_undos: bool,
}

/// The page.
pub(super) async fn fragment(app: &App, id: &str) -> Result<Fragment, Problem> {
    let mut run = app.engine.run(run_id(id)?).await?;
    let steps = run.steps.take().unwrap_or_default();
    let now = app.engine.now().await?;
    let ended = run.finished_at.filter(|_| ended(&run.status));
    let chart = waterfall::chart(&steps, run.created_at, ended, now);
    let title = format!("{} {}", run.workflow, format::short(&run.id));
    let has_undos = steps.iter().any(|step| step.direction == "undo");
    let template = RunPage { sentences: sentences(&run), verbs: verbs::offered(&run), run, steps, chart, has_undos };
    Fragment::of(title, "runs", &template)
}

/// Whether nothing more happens to a run by itself.
pub(super) fn ended(status: &str) -> bool {
    matches!(status, "completed" | "compensated" | "failed" | "abandoned")
}

fn sentences(run: &Run) -> Vec<String> {
    let failure = run.failure.as_ref().map(|failure| {
        let step = failure.step.map(|seq| format!(" at step {seq}")).unwrap_or_default();
        format!("{}{step}: {}", failure.code, failure.message)
    });
    [Some(format!("It is {}.", run.status)), failure].into_iter().flatten().collect()
}

fn anchor(step: &StepView) -> String {
    format!("s{}{}", step.seq, if step.direction == "undo" { "u" } else { "f" })
}

/// A bar's place, as the picture's coordinates.
fn bar_class(bar: &Bar, back: &bool) -> String {
    format!("bar {}{}", bar.class(), if *back { " back" } else { "" })
}

fn outcome(step: &StepView) -> Html {
    format::badge(step.outcome.as_deref().unwrap_or("open"))
}

fn with_payload(step: &StepView) -> bool {
    step.input.is_some() || step.output.is_some() || step.error.is_some() || step.idempotency_key.is_some()
}
