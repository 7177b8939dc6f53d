//! The form behind every button that is not about one run: what it would do, a reason, and the button that does it.

use askama::Template;
use axum::response::Response;

use super::{
    actions::{Fields, check_operator},
    layout::{Frame, page_with, words},
};
use crate::http::{auth::Caller, problem::Problem};

/// A field to fill in.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) hint: &'static str,
}

/// Whether a reason is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Required,
    Optional,
}

/// A form.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) section: &'static str,
    /// Where one comes from: address and name.
    pub(super) from: (String, String),
    pub(super) title: String,
    pub(super) means: String,
    /// What would happen, in sentences.
    pub(super) plan: Vec<String>,
    /// Where it goes.
    pub(super) action: String,
    pub(super) hidden: Vec<(String, String)>,
    pub(super) inputs: Vec<Input>,
    pub(super) reason: Reason,
    pub(super) label: &'static str,
    pub(super) grave: bool,
    /// Nothing can be done: only the refusal is shown.
    pub(super) closed: bool,
}

#[derive(Template)]
#[template(path = "ask.html")]
struct AskPage<'a> {
    frame: Frame,
    ask: &'a Ask,
    refused: Option<String>,
    given: String,
    may: Option<String>,
}

impl Ask {
    /// The page. `refused`: why it was not done, or can't be.
    pub(super) fn page(&self, caller: &Caller, fields: &Fields, refused: Option<&Problem>) -> Response {
        let frame = Frame::new(self.title.clone(), self.section, caller);
        let may = check_operator(caller).err().map(|problem| words(&problem).1);
        let given = fields.get("reason").cloned().unwrap_or_default();
        let status = refused.map_or(axum::http::StatusCode::OK, Problem::status);
        page_with(status, &AskPage { frame, ask: self, refused: refused.map(|problem| words(problem).1), given, may })
    }
}
