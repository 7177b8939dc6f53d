//! `/inbox` and `/inbox/{id}`: events from outside, those that are parked first, with the forms that retry and discard them.

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
    engine::{Operator, ReceivedEvent, ReceivedFilter, ReceivedState},
    http::{App, base::filters, inbox::event_id, problem::Problem},
};

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    state: ReceivedState,
    /// Empty: of all.
    source: String,
    events: Vec<ReceivedEvent>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "inbox_event.html")]
struct EventPage {
    event: ReceivedEvent,
}

/// Renders the list of those of a state: parked ones, unless another is asked for.
pub(super) async fn render_list(app: &App, address: &Address) -> Result<Fragment, Problem> {
    let state = address.param("state").map_or(Ok(ReceivedState::Parked), str::parse::<ReceivedState>);
    let state = state.map_err(|error| Problem::invalid(error.to_string()))?;
    let source = address.param("source").unwrap_or_default().to_owned();
    let filter = ReceivedFilter {
        source: Some(source.clone()).filter(|source| !source.is_empty()),
        state: Some(state),
        limit: None,
        cursor: address.param("cursor").map(str::to_owned),
    };
    let found = app.engine.received_events(&filter).await?;
    let next = address.next(found.next_cursor);
    Fragment::render(&app.base, "Inbox", "inbox", &InboxPage { state, source, events: found.items, next })
}

/// Renders one event.
pub(super) async fn render_one(app: &App, id: &str) -> Result<Fragment, Problem> {
    let event = app.engine.received_event(event_id(id)?).await?;
    Fragment::render(&app.base, format!("Event {}", event.event_id), "inbox", &EventPage { event })
}

/// The list of a state, of the same source.
fn of_state(state: &str, source: &str) -> String {
    links::link("/inbox", &[("state", state), ("source", source)])
}

/// The routes of its forms.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/inbox/{id}/{verb}", get(show).post(submit))
}

fn confirmation(id: &str, verb: &str) -> Result<Confirmation, Problem> {
    let (id, verb) = (event_id(id)?, verbs::require(verbs::OF_RECEIVED, verb)?);
    Ok(Confirmation {
        section: "inbox",
        parent: (format!("/inbox/{id}"), "The event".to_owned()),
        title: format!("{}: event {}", verb.label, format::short(&id)),
        means: verb.means,
        action: format!("/inbox/{id}/{}", verb.word),
        needs_reason: verb.grave,
        label: verb.label,
        grave: verb.grave,
        ..Confirmation::default()
    })
}

/// Shows the form. Where a retry would be refused now, it says why.
async fn show(context: Context, Path((id, verb)): Path<(String, String)>) -> Response {
    let confirmation = match confirmation(&id, &verb) {
        Ok(confirmation) => confirmation,
        Err(problem) => return context.show_problem(&problem),
    };
    match perform(&context.app, &id, &verb, &context.previewer()).await {
        Ok(event) => Confirmation { plan: plan(&event), ..confirmation }.show(&context, &Fields::default(), None),
        Err(problem) if problem.code() == "unknown_event" || problem.status().is_server_error() => {
            context.show_problem(&problem)
        }
        Err(problem) => {
            Confirmation { closed: true, ..confirmation }.show(&context, &Fields::default(), Some(&problem))
        }
    }
}

/// What came of an event, or would come, in a sentence.
fn plan(event: &ReceivedEvent) -> Vec<String> {
    let sentence = match event.state {
        ReceivedState::Started => "It starts a run.".to_owned(),
        ReceivedState::Signalled => match &event.run_id {
            Some(run) => format!("It goes to run {}.", format::short(run)),
            None => "It goes to a run.".to_owned(),
        },
        ReceivedState::Ignored => "The rules of its source have no use for it.".to_owned(),
        ReceivedState::Parked | ReceivedState::Discarded => return Vec::new(),
    };
    vec![sentence]
}

async fn submit(context: Context, Path((id, verb)): Path<(String, String)>, Form(fields): Form<Fields>) -> Response {
    let performed = async {
        let event = perform(&context.app, &id, &verb, &context.operator(&fields)?).await?;
        Ok(with_notice(&format!("/inbox/{}", event.id), event.state.word()))
    };
    confirmation::submit(&context, &fields, confirmation(&id, &verb), performed).await
}

async fn perform(app: &App, id: &str, verb: &str, by: &Operator) -> Result<ReceivedEvent, Problem> {
    let id = event_id(id)?;
    Ok(match verb {
        "discard" => app.engine.discard_received(id, by).await?,
        _ => app.engine.retry_received(&app.inbox.mappings(), id, by).await?,
    })
}
