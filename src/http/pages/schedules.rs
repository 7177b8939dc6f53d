//! `/schedules` and `/schedules/{name}`: what starts by the clock, what became of its slots, and its buttons.

use askama::Template;
use axum::{Form, Router, extract::Path, response::Response, routing::get};

use super::{
    address::Address,
    confirmation::{self, Confirmation},
    context::Context,
    format,
    forms::Fields,
    layout::Fragment,
    links,
    notices::with_notice,
    verbs,
};
use crate::{
    engine::{Schedule, ScheduleDetail, Time},
    http::{App, base::filters, problem::Problem},
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

/// Renders the list.
pub(super) async fn render_list(app: &App) -> Result<Fragment, Problem> {
    let schedules = app.engine.schedules().await?;
    Fragment::render(&app.base, "Schedules", "schedules", &SchedulesPage { schedules })
}

/// Renders one schedule with its slots.
pub(super) async fn render_one(app: &App, address: &Address, name: &str) -> Result<Fragment, Problem> {
    let mut detail = app.engine.schedule(&links::decode(name), address.param("cursor"), SLOTS).await?;
    let next = address.next(detail.slots.next_cursor.take());
    let title = format!("Schedule {}", detail.schedule.name);
    Fragment::render(&app.base, title, "schedules", &SchedulePage { detail, next })
}

/// The address of a schedule's page, or of a form if there is a verb.
fn path(name: &str, verb: &str) -> String {
    let name = links::encode_segment(name);
    if verb.is_empty() { format!("/schedules/{name}") } else { format!("/schedules/{name}/{verb}") }
}

fn soonest(next: &[Time]) -> Option<Time> {
    next.first().copied()
}

/// The routes of its forms.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/schedules/{name}/{verb}", get(show).post(submit))
}

fn confirmation(name: &str, verb: &str) -> Result<Confirmation, Problem> {
    let verb = verbs::require(verbs::OF_SCHEDULES, verb)?;
    Ok(Confirmation {
        section: "schedules",
        parent: (path(name, ""), format!("Schedule {name}")),
        title: format!("{}: the schedule {name}", verb.label),
        means: verb.means,
        action: path(name, verb.word),
        label: verb.label,
        grave: verb.grave,
        ..Confirmation::default()
    })
}

async fn show(context: Context, Path((name, verb)): Path<(String, String)>) -> Response {
    let confirmation = async {
        context.app.engine.schedule(&name, None, 1).await?;
        confirmation(&name, &verb)
    };
    confirmation::show(&context, confirmation.await)
}

async fn submit(context: Context, Path((name, verb)): Path<(String, String)>, Form(fields): Form<Fields>) -> Response {
    let perform = perform(&context, &name, &verb, &fields);
    confirmation::submit(&context, &fields, confirmation(&name, &verb), perform).await
}

async fn perform(context: &Context, name: &str, verb: &str, fields: &Fields) -> Result<String, Problem> {
    let by = context.operator(fields)?;
    let engine = &context.app.engine;
    let address = match verb {
        "pause" => {
            engine.pause_schedule(name, &by).await?;
            path(name, "")
        }
        "resume" => {
            engine.resume_schedule(name, &by).await?;
            path(name, "")
        }
        "delete" => {
            engine.delete_schedule(name, &by).await?;
            "/schedules".to_owned()
        }
        _ => {
            let started = engine.run_schedule(name, &by).await?;
            return Ok(started.run_id.map_or_else(|| path(name, ""), |run| format!("/runs/{run}")));
        }
    };
    Ok(with_notice(&address, verb))
}
