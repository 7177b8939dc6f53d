//! The frame around every page: title, navigation, who is signed in. Other pages of the server (the sign-in page) extend
//! `base.html` with a [`Frame`] of their own.

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::assets;
use crate::http::{auth::Caller, problem::Problem};

/// The parts of the dashboard: address, name, and the word that pages name theirs by.
const SECTIONS: &[(&str, &str, &str)] = &[
    ("/", "Overview", "overview"),
    ("/runs", "Runs", "runs"),
    ("/attention", "Attention", "attention"),
    ("/operations", "Operations", "operations"),
    ("/fleet", "Fleet", "fleet"),
    ("/schedules", "Schedules", "schedules"),
    ("/orders", "Orders", "orders"),
    ("/audit", "Audit", "audit"),
];

/// What `base.html` shows around a page's content.
#[derive(Clone, Debug)]
pub(in crate::http) struct Frame {
    /// Of the document.
    pub(in crate::http) title: String,
    /// The part of the dashboard that is shown; empty: no navigation.
    pub(in crate::http) section: &'static str,
    /// The view that is kept up to date, where there is one.
    pub(in crate::http) view: Option<String>,
    /// Who is signed in.
    pub(in crate::http) actor: String,
    /// What they may, as a word.
    pub(in crate::http) role: &'static str,
    /// What forms have to send back.
    pub(in crate::http) csrf: String,
}

impl Frame {
    /// A page of the dashboard.
    pub(in crate::http) fn new(title: impl Into<String>, section: &'static str, caller: &Caller) -> Self {
        Self {
            title: title.into(),
            section,
            view: None,
            actor: caller.actor.clone(),
            role: caller.role.word(),
            csrf: caller.csrf.clone(),
        }
    }

    /// The navigation.
    pub(in crate::http) fn sections(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        SECTIONS
    }

    /// What stands in the assets' addresses.
    pub(in crate::http) fn assets_version(&self) -> &'static str {
        assets::version()
    }
}

/// A view in its frame.
#[derive(Template)]
#[template(path = "page.html")]
pub(super) struct Page {
    pub(super) frame: Frame,
    /// What was done just now.
    pub(super) notice: Option<String>,
    /// The view's content, which is HTML.
    pub(super) fragment: String,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    title: String,
    detail: String,
    code: &'static str,
    status: u16,
}

/// Writes a template out as a page.
pub(in crate::http) fn page<T: Template>(template: &T) -> Response {
    page_with(StatusCode::OK, template)
}

/// The same with a status.
pub(in crate::http) fn page_with<T: Template>(status: StatusCode, template: &T) -> Response {
    match template.render() {
        Ok(text) => (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response(),
        Err(error) => Problem::internal("internal_error", &error).into_response(),
    }
}

/// A problem as a page.
pub(super) fn problem_page(problem: &Problem, caller: &Caller) -> Response {
    let (title, detail) = words(problem);
    let status = problem.status();
    let frame = Frame::new(title.clone(), "problem", caller);
    page_with(status, &ProblemPage { frame, title, detail, code: problem.code(), status: status.as_u16() })
}

/// A problem's title and its sentence.
pub(super) fn words(problem: &Problem) -> (String, String) {
    let document = problem.document(None);
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    (text("title"), text("detail"))
}
