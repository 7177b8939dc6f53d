//! Which address shows what: the one list that pages and live updates render from.

use super::{
    address::Address, attention, audit, events, fleet, inbox, layout::Fragment, operations, overview, run, runs,
    schedules,
};
use crate::http::{App, problem::Problem};

/// Renders the page of an address: at most a few reads of the database.
pub(super) async fn render(app: &App, address: &Address) -> Result<Fragment, Problem> {
    match address.segments().as_slice() {
        [] => overview::render(app).await,
        ["runs"] => runs::render(app, address).await,
        ["runs", id] => run::render(app, id).await,
        ["attention"] => attention::render(app, address).await,
        ["fleet"] => fleet::render(app).await,
        ["operations"] => operations::render_list(app, address).await,
        ["operations", id] => operations::render_one(app, address, id).await,
        ["schedules"] => schedules::render_list(app).await,
        ["schedules", name] => schedules::render_one(app, address, name).await,
        ["events"] => events::render(app, address).await,
        ["inbox"] => inbox::render_list(app, address).await,
        ["inbox", id] => inbox::render_one(app, id).await,
        ["audit"] => audit::render(app, address).await,
        _ => match app.plugins.owner(address.path()) {
            Some(plugin) => plugin.render(address, &app.base).await,
            None => Err(Problem::new("unknown_route", "no page has this address")),
        },
    }
}
