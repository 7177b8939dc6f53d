//! `/events`: what has left, newest first, and how far each sink has got.

use askama::Template;

use super::{address::Address, format, layout::Fragment, links};
use crate::{
    engine::outbox::{Event, EventFilter, SinkLag, SinkState},
    http::{App, base::filters, problem::Problem},
};

/// Events on a page.
const SHOWN: i64 = 50;

#[derive(Template)]
#[template(path = "events.html")]
struct EventsPage {
    sinks: Vec<(SinkState, SinkLag)>,
    waiting: usize,
    events: Vec<Event>,
    subject: Option<String>,
    older: Option<String>,
}

/// Renders the page.
pub(super) async fn render(app: &App, address: &Address) -> Result<Fragment, Problem> {
    let mut lag = app.engine.outbox_lag().await?;
    let waiting =
        lag.iter().find(|lag| lag.sink == "feed").map_or(0, |lag| usize::try_from(lag.rows).unwrap_or_default());
    let of_sink = |state: SinkState| {
        let at = lag.iter().position(|lag| lag.sink == state.name)?;
        Some((state, lag.swap_remove(at)))
    };
    let sinks = app.engine.sinks().await?.into_iter().filter_map(of_sink).collect();
    let subject = address.param("subject").map(str::to_owned);
    let (events, older) = match &subject {
        Some(subject) => {
            let filter = EventFilter { subject: Some(subject.clone()), limit: Some(200), ..EventFilter::default() };
            (app.engine.events(&filter).await?.items, None)
        }
        None => newest(app, address).await?,
    };
    let page = EventsPage { sinks, waiting, events: events.into_iter().rev().collect(), subject, older };
    Fragment::render(&app.base, "Events", "events", &page)
}

/// The newest events, or the newest before a number; and the address of those before.
async fn newest(app: &App, address: &Address) -> Result<(Vec<Event>, Option<String>), Problem> {
    let before = match address.param("before") {
        Some(text) => text.parse::<i64>().map_err(|_| Problem::invalid(format!("before is {text}; it is a number")))?,
        None => app.engine.newest_event().await?.saturating_add(1),
    };
    let after = before.saturating_sub(SHOWN + 1).max(0);
    let filter = EventFilter { after: Some(after), limit: Some(SHOWN as u32), ..EventFilter::default() };
    let mut events = app.engine.events(&filter).await?.items;
    events.retain(|event| event.sequence < before);
    let first = events.first().map(|event| event.sequence).filter(|first| *first > 1 && after > 0);
    Ok((events, first.map(|first| links::link("/events", &[("before", &first.to_string())]))))
}

fn of_subject(event: &Event) -> String {
    links::link("/events", &[("subject", &event.subject)])
}

/// A subject in the width of an id's beginning.
fn shortened(subject: &str) -> String {
    match subject.char_indices().nth(13) {
        Some((at, _)) => format!("{}…", &subject[..at]),
        None => subject.to_owned(),
    }
}

fn pretty(event: &Event) -> String {
    serde_json::to_string_pretty(&event.data).unwrap_or_default()
}

fn failures(sink: &SinkState) -> String {
    format::plural(sink.failures.unsigned_abs() as usize, "failure", "failures")
}
