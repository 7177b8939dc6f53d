//! The dashboard at `/`: pages written by the server, which work without a script, and change by themselves with one.
//!
//! From top to bottom: [`registry`] lists which address shows what; each noun has a file that renders it, and forms that
//! call the same engine functions as the API; [`confirmation`] and [`run_verbs`] are the forms' pages; [`context`] is a
//! request for a page; [`layout`], [`address`], [`links`] and [`mod@format`] are what all of them are made of. No page has an
//! inline script or style: the policy that is sent with each forbids them, and anything from elsewhere.

mod address;
mod assets;
mod attention;
mod audit;
mod axis;
mod confirmation;
mod context;
mod events;
mod fleet;
mod format;
mod forms;
mod holds;
mod inbox;
mod layout;
mod links;
mod live;
mod missing;
mod notices;
mod operations;
mod overview;
mod plugin_forms;
mod registry;
mod run;
mod run_filter;
mod run_verbs;
mod runs;
mod schedules;
mod stretches;
mod verb_form;
mod verbs;
mod waterfall;

use axum::{
    Extension, Router,
    extract::{Query, Request, State},
    http::{HeaderValue, StatusCode, Uri, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};

pub(super) use self::missing::show_problems;
pub use self::{
    address::Address,
    format::{Html, short, when, when_any},
    layout::Fragment,
    links::link,
};
use self::{
    address::DONE,
    context::Context,
    layout::{Frame, Page},
};
use super::{App, problem::Problem};

/// What a page may load and do: its own style, script and icon, its own server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The routes.
pub(super) fn routes(app: &App) -> Router<App> {
    let hub = live::Hub::new(app.clone());
    let own = app.plugins.sections().flat_map(|section| section.routes);
    own.fold(Router::new(), |router, route| router.route(route, get(show)))
        .route("/", get(show))
        .route("/runs", get(show))
        .route("/runs/{id}", get(show))
        .route("/attention", get(show))
        .route("/fleet", get(show))
        .route("/operations", get(show))
        .route("/operations/{id}", get(show))
        .route("/schedules", get(show))
        .route("/schedules/{name}", get(show))
        .route("/audit", get(show))
        .route("/events", get(show))
        .route("/inbox", get(show))
        .route("/inbox/{id}", get(show))
        .route("/live", get(live::follow))
        .route("/find", get(find))
        .merge(run_verbs::routes())
        .merge(holds::routes())
        .merge(operations::routes())
        .merge(schedules::routes())
        .merge(inbox::routes())
        .merge(plugin_forms::routes(app))
        .layer(Extension(hub))
        .merge(assets::routes())
        .layer(from_fn(add_policy))
}

/// Shows a whole page: the fragment of its address, in the frame.
async fn show(context: Context, uri: Uri) -> Response {
    let rendered = async {
        let address = Address::of(&uri)?;
        Ok::<_, Problem>((registry::render(&context.app, &address).await?, address))
    };
    match rendered.await {
        Ok((fragment, address)) => {
            let frame = Frame { live: Some(address.text()), ..context.frame(fragment.title, fragment.section) };
            let notice = param(&uri, DONE).and_then(|word| notices::sentence(&word));
            context.show(StatusCode::OK, &Page { frame, notice, fragment: fragment.html })
        }
        Err(problem) => context.show_problem(&problem),
    }
}

fn param(uri: &Uri, name: &str) -> Option<String> {
    let params = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?.0;
    params.into_iter().find(|(known, _)| known == name).map(|(_, value)| value.trim().to_owned())
}

/// `/find?q=`: the search above the list of runs. An id leads to its run, or to what a plugin knows by it; any other text is
/// searched as a key.
async fn find(State(app): State<App>, uri: Uri) -> Response {
    let text = param(&uri, "q").unwrap_or_default();
    let found = match uuid::Uuid::try_parse(&text) {
        Ok(id) => find_id(&app, id).await,
        Err(_) => None,
    };
    Redirect::to(&found.unwrap_or_else(|| links::link("/runs", &[("key", &text)]))).into_response()
}

async fn find_id(app: &App, id: uuid::Uuid) -> Option<String> {
    if app.engine.run(id).await.is_ok() {
        return Some(format!("/runs/{id}"));
    }
    for plugin in app.plugins.iter() {
        if let Some(address) = plugin.find(id).await {
            return Some(address);
        }
    }
    None
}

/// Adds the policy to every answer, and keeps pages out of caches.
async fn add_policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
