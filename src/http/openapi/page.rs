//! `GET /docs`: the document for people, as one page without a script. It is open, as the document is: it holds nothing of anybody's.
//!
//! [`reading`](super::reading) makes of the document what the template shows.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};

use super::reading::Reading;
use crate::http::{App, base::filters, problem::Problem};

const STYLE: &str = include_str!("docs.css");

/// Our own style sheet, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "docs.html")]
struct Page<'a> {
    reading: &'a Reading,
}

/// The routes: none of them belongs to the API.
pub(super) fn routes() -> axum::Router<App> {
    axum::Router::new().route("/docs", axum::routing::get(show)).route("/assets/docs.css", axum::routing::get(style))
}

async fn show(State(app): State<App>) -> Result<Response, Problem> {
    let page = Page { reading: app.reading() };
    let text = app.base.render(&page).map_err(|error| Problem::internal("internal_error", &error))?;
    let mut response = Html(text).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")], STYLE)
}
