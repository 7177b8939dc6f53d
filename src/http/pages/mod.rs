//! The dashboard at `/`: pages written by the server, which work without a script, and change by themselves with one.
//!
//! A page is a [`view::View`] in a frame. Reading goes through `Engine` and `Orders`, as everywhere in this floor; what
//! operators do goes through forms ([`actions`]) to the same calls as the API's. No page has an inline script or style: the
//! policy that is sent with each forbids them, and anything from elsewhere.

mod actions;
mod ask;
mod assets;
mod attention;
mod audit;
mod axis;
mod filter;
mod fleet;
mod format;
mod holds;
mod layout;
mod live;
mod operations;
mod orders;
mod overview;
mod run;
mod runs;
mod schedules;
mod stretches;
mod verbs;
mod view;
mod waterfall;
mod wish;

use axum::{
    Extension, Router,
    extract::{OriginalUri, Request, State},
    http::{HeaderValue, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};

use self::{layout::Frame, view::View};
use super::{App, auth::Caller, problem::Problem};

/// What a page may load and do: its own style, script and icon, its own server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The routes.
pub(super) fn routes(app: &App) -> Router<App> {
    let hub = live::Hub::new(app.clone());
    Router::new()
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
        .route("/orders", get(show))
        .route("/orders/{id}", get(show))
        .route("/live", get(live::follow))
        .route("/find", get(find))
        .merge(actions::routes())
        .merge(holds::routes())
        .merge(operations::routes())
        .merge(schedules::routes())
        .layer(Extension(hub))
        .merge(assets::routes())
        .layer(from_fn(guarded))
}

/// A whole page: the view that its address names, in the frame.
async fn show(State(app): State<App>, caller: Caller, OriginalUri(uri): OriginalUri) -> Response {
    let done = done(&uri);
    let rendered = async {
        let view = View::of(&uri)?;
        Ok::<_, Problem>((view.render(&app).await?, view))
    };
    match rendered.await {
        Ok((fragment, view)) => {
            let frame = Frame { view: Some(view.address()), ..Frame::new(fragment.title, fragment.section, &caller) };
            layout::page(&layout::Page { frame, notice: done, fragment: fragment.html })
        }
        Err(problem) => layout::problem_page(&problem, &caller),
    }
}

/// What the address says that was done, as a sentence.
fn done(uri: &axum::http::Uri) -> Option<String> {
    let params = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?.0;
    let (_, word) = params.into_iter().find(|(name, _)| name == view::DONE)?;
    verbs::done(&word)
}

/// `/find?q=`: the search of the list: an id leads to its run or order, anything else is taken for a key.
async fn find(State(app): State<App>, OriginalUri(uri): OriginalUri) -> Response {
    let params =
        axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).map(|params| params.0).unwrap_or_default();
    let wanted =
        params.into_iter().find(|(name, _)| name == "q").map(|(_, value)| value.trim().to_owned()).unwrap_or_default();
    let address = match uuid::Uuid::try_parse(&wanted) {
        Ok(id) if app.engine.run(id).await.is_ok() => format!("/runs/{id}"),
        Ok(id) if app.orders.get(id).await.is_ok() => format!("/orders/{id}"),
        _ => format::address("/runs", [("key", wanted.as_str())]),
    };
    Redirect::to(&address).into_response()
}

/// Sends the policy with every answer, and keeps pages out of caches.
async fn guarded(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
