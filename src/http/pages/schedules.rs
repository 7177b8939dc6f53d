//! `/schedules` and `/schedules/{name}`: what starts by the clock, what became of its slots, and its buttons.

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};

use super::{
    actions::{Fields, check_form, check_operator, reason},
    ask::{Ask, Reason},
    format,
    layout::problem_page,
    verbs,
    view::{Fragment, View},
};
use crate::{
    engine::{Operator, Schedule, ScheduleDetail, Time},
    http::{App, auth::Caller, problem::Problem},
};

/// Slots of a schedule.
const SLOTS: u32 = 50;

#[derive(Template)]
#[template(path = "schedules.html")]
struct SchedulesPage {
    schedules: Vec<Schedule>,
}

#[derive(Template)]
#[template(path = "schedule.html")]
struct SchedulePage {
    detail: ScheduleDetail,
    next: Option<String>,
}

/// The list.
pub(super) async fn list(app: &App) -> Result<Fragment, Problem> {
    let schedules = app.engine.schedules().await?;
    Fragment::of("Schedules", "schedules", &SchedulesPage { schedules })
}

/// One schedule with its slots.
pub(super) async fn one(app: &App, view: &View, name: &str) -> Result<Fragment, Problem> {
    let detail = app.engine.schedule(&format::decode(name), view.param("cursor"), SLOTS).await?;
    let next = detail.slots.next_cursor.as_deref().map(|cursor| view.with("cursor", cursor));
    Fragment::of(format!("Schedule {}", detail.schedule.name), "schedules", &SchedulePage { detail, next })
}

/// The address of a schedule's page or form.
fn path(name: &str, verb: &str) -> String {
    let name = format::encode_segment(name);
    if verb.is_empty() { format!("/schedules/{name}") } else { format!("/schedules/{name}/{verb}") }
}

fn soonest(next: &[Time]) -> Option<Time> {
    next.first().copied()
}

/// What can be done to a schedule: word, label, what it means.
const VERBS: [(&str, &str, &str); 4] = [
    (
        "pause",
        "Pause",
        "Nothing starts until it is resumed. What it misses meanwhile its catch-up policy decides then.",
    ),
    ("resume", "Resume", "Its slots start runs again. Its catch-up policy decides about those it has missed."),
    ("run", "Run now", "Starts a run now, beside its slots and whatever its overlap policy says."),
    ("delete", "Delete", "Removes the schedule and the record of its slots. Its runs stay."),
];

/// The routes of its forms.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/schedules/{name}/{verb}", get(ask).post(act))
}

fn form(name: &str, verb: &str) -> Result<Ask, Problem> {
    let known = VERBS.iter().find(|(word, _, _)| *word == verb);
    let (verb, label, means) =
        known.copied().ok_or_else(|| Problem::new("unknown_route", format!("a schedule has no {verb}")))?;
    Ok(Ask {
        section: "schedules",
        from: (path(name, ""), format!("Schedule {name}")),
        title: format!("{label}: the schedule {name}"),
        means: means.to_owned(),
        plan: Vec::new(),
        action: path(name, verb),
        hidden: Vec::new(),
        inputs: Vec::new(),
        reason: Reason::Optional,
        label,
        grave: verb == "delete",
        closed: false,
    })
}

async fn ask(State(app): State<App>, caller: Caller, Path((name, verb)): Path<(String, String)>) -> Response {
    let known = async {
        app.engine.schedule(&name, None, 1).await?;
        form(&name, &verb)
    };
    match known.await {
        Ok(ask) => ask.page(&caller, &Fields::new(), None),
        Err(problem) => problem_page(&problem, &caller),
    }
}

async fn act(
    State(app): State<App>,
    caller: Caller,
    Path((name, verb)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Response {
    let ask = match check_form(&caller, &fields).and_then(|()| form(&name, &verb)) {
        Ok(ask) => ask,
        Err(problem) => return problem_page(&problem, &caller),
    };
    match done(&app, &caller, &name, &verb, &fields).await {
        Ok(to) => Redirect::to(&to).into_response(),
        Err(problem) => ask.page(&caller, &fields, Some(&problem)),
    }
}

/// Does it, and says where to go on.
async fn done(app: &App, caller: &Caller, name: &str, verb: &str, fields: &Fields) -> Result<String, Problem> {
    check_operator(caller)?;
    let by = Operator { actor: caller.actor.clone(), reason: reason(fields)?, ..Operator::default() };
    match verb {
        "pause" => drop(app.engine.pause_schedule(name, &by).await?),
        "resume" => drop(app.engine.resume_schedule(name, &by).await?),
        "delete" => drop(app.engine.delete_schedule(name, &by).await?),
        _ => {
            let started = app.engine.run_schedule(name, &by).await?;
            return Ok(started.run_id.map_or_else(|| path(name, ""), |run| format!("/runs/{run}")));
        }
    }
    let to = if verb == "delete" { "/schedules".to_owned() } else { path(name, "") };
    Ok(verbs::told(&to, verb))
}
