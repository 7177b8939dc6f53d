//! What a browser is shown in place of a problem that no page shows: an address that nothing is at, or a refusal by the guard.
//! Programs, and everybody below `/v1`, get the problem as JSON.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};

use super::{
    POLICY,
    layout::{Frame, ProblemPage},
};
use crate::http::{
    App,
    auth::{browser::wants_page, roles::is_api},
    base::Base,
    problem::Problem,
};

/// A layer around all routes.
pub(in crate::http) async fn show_problems(State(app): State<App>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let wants_page = reads && wants_page(request.headers()) && !is_api(request.uri().path());
    let response = next.run(request).await;
    if wants_page { as_page(&app.base, response) } else { response }
}

fn as_page(base: &Base, response: Response) -> Response {
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None if response.status() == StatusCode::NOT_FOUND
            && !response.headers().contains_key(header::CONTENT_TYPE) =>
        {
            Problem::new("unknown_route", "no page has this address")
        }
        None => return response,
    };
    let page = ProblemPage { frame: Frame::of_nobody(problem.title()), problem: &problem };
    let Ok(text) = base.render(&page) else { return response };
    let (mut parts, _) = response.into_parts();
    parts.extensions.remove::<Problem>();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    parts.headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Response::from_parts(parts, Body::from(text))
}
