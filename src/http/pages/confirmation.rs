//! The page behind every button that is not about one run: it says what would happen, asks for a reason, and has the button
//! that does it. With a script the same form opens in a dialog.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};

use super::{context::Context, forms::Fields, layout::Frame};
use crate::http::{base::filters, problem::Problem};

/// A field to fill in.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) hint: &'static str,
}

/// What the page shows and sends.
#[derive(Clone, Debug, Default)]
pub(super) struct Confirmation {
    pub(super) section: &'static str,
    /// The page that it belongs to: address and name.
    pub(super) parent: (String, String),
    pub(super) title: String,
    pub(super) means: &'static str,
    /// What would happen, in sentences.
    pub(super) plan: Vec<String>,
    /// The address that the form is sent to.
    pub(super) action: String,
    pub(super) hidden: Vec<(String, String)>,
    pub(super) inputs: Vec<Input>,
    pub(super) needs_reason: bool,
    pub(super) label: &'static str,
    pub(super) grave: bool,
    /// Nothing can be done: the button is dim.
    pub(super) closed: bool,
}

#[derive(Template)]
#[template(path = "confirmation.html")]
struct ConfirmationPage<'a> {
    frame: Frame,
    form: &'a Confirmation,
    refused: Option<&'a str>,
    reason: &'a str,
    lacks_role: Option<String>,
}

impl Confirmation {
    /// Shows the page. `refused`: why it was not done, or can't be.
    pub(super) fn show(&self, context: &Context, fields: &Fields, refused: Option<&Problem>) -> Response {
        let page = ConfirmationPage {
            frame: context.frame(&self.title, self.section),
            form: self,
            refused: refused.map(Problem::detail),
            reason: fields.text("reason"),
            lacks_role: context.lacks_role(),
        };
        context.show(refused.map_or(StatusCode::OK, Problem::status), &page)
    }
}

/// Shows the page for the first time.
pub(super) fn show(context: &Context, confirmation: Result<Confirmation, Problem>) -> Response {
    match confirmation {
        Ok(confirmation) => confirmation.show(context, &Fields::default(), None),
        Err(problem) => context.show_problem(&problem),
    }
}

/// Takes a form that was sent: `perform` does it and gives the address to go on to. A refusal shows the form again.
pub(super) async fn submit(
    context: &Context,
    fields: &Fields,
    confirmation: Result<Confirmation, Problem>,
    perform: impl Future<Output = Result<String, Problem>>,
) -> Response {
    let confirmation = match context.check_form(fields).and(confirmation) {
        Ok(confirmation) => confirmation,
        Err(problem) => return context.show_problem(&problem),
    };
    match perform.await {
        Ok(address) => Redirect::to(&address).into_response(),
        Err(problem) => confirmation.show(context, fields, Some(&problem)),
    }
}
