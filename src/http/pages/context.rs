//! A request for a page: the server, and who asks. Writes pages out, and checks what a form needs.

use askama::Template;
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use super::{
    forms::Fields,
    layout::{Frame, ProblemPage},
};
use crate::{
    engine::Operator,
    http::{
        App,
        auth::{Caller, Role, check_csrf},
        problem::Problem,
        wire::operator,
    },
};

/// The reason of a dry run, where a verb needs one: it is not kept.
const PREVIEW: &str = "a preview";

/// What every handler of a page needs.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) app: App,
    pub(super) caller: Caller,
}

impl FromRequestParts<App> for Context {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self { app: app.clone(), caller: Caller::from_request_parts(parts, app).await? })
    }
}

impl Context {
    /// The frame of a page for this caller.
    pub(super) fn frame(&self, title: impl Into<String>, section: &'static str) -> Frame {
        Frame::new(&self.app, title.into(), section, &self.caller)
    }

    /// Writes a template out as a page.
    pub(super) fn show<T: Template>(&self, status: StatusCode, template: &T) -> Response {
        match self.app.base.render(template) {
            Ok(text) => (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response(),
            Err(error) => Problem::internal("internal_error", &error).into_response(),
        }
    }

    /// Shows a problem as a page.
    pub(super) fn show_problem(&self, problem: &Problem) -> Response {
        let frame = self.frame(problem.title(), "problem");
        self.show(problem.status(), &ProblemPage { frame, problem })
    }

    /// Checks that a form came from a page of ours.
    pub(super) fn check_form(&self, fields: &Fields) -> Result<(), Problem> {
        check_csrf(&self.caller, fields.text("csrf"))
    }

    /// Checks that the caller may act.
    pub(super) fn check_operator(&self) -> Result<(), Problem> {
        if self.caller.role >= Role::Operator {
            return Ok(());
        }
        let detail = format!("your key's role is {}: this needs an operator's key", self.caller.role);
        Err(Problem::new("forbidden", detail))
    }

    /// Why the caller may not act, for the page of a form.
    pub(super) fn lacks_role(&self) -> Option<String> {
        self.check_operator().err().map(|problem| problem.detail().to_owned())
    }

    /// The caller as an operator, with the reason that a form gives.
    pub(super) fn operator(&self, fields: &Fields) -> Result<Operator, Problem> {
        self.check_operator()?;
        operator(self.caller.actor.clone(), fields.given("reason"), false)
    }

    /// The caller as somebody who only wants to see what would happen.
    pub(super) fn previewer(&self) -> Operator {
        let (actor, reason) = (self.caller.actor.clone(), Some(PREVIEW.to_owned()));
        Operator { actor, reason, dry_run: true, ..Operator::default() }
    }
}
