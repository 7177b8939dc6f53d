//! Forms: what operators do from a page. Each verb has an address of its own under its run: it shows what would happen,
//! asks for a reason, and does it. With a script the same form opens in a dialog.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};

use super::{
    format,
    layout::{Frame, page_with, problem_page, words},
    verbs::{self, Verb},
};
use crate::{
    engine::{Action, ActionPlan, Operator, Run},
    http::{
        App,
        auth::{Caller, Role, check_csrf},
        extract::run_id,
        problem::Problem,
    },
};

/// A form's fields.
pub(super) type Fields = BTreeMap<String, String>;

const LONGEST_REASON: usize = 2000;

/// What a dry run is given where a reason is needed: it is not kept.
const PREVIEW: &str = "a preview";

/// The routes.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/runs/{id}/act/{verb}", get(ask).post(act))
}

/// That a form came from a page of ours.
pub(super) fn check_form(caller: &Caller, fields: &Fields) -> Result<(), Problem> {
    check_csrf(caller, fields.get("csrf").map(String::as_str).unwrap_or_default())
}

/// That the caller may do what operators do.
pub(super) fn check_operator(caller: &Caller) -> Result<(), Problem> {
    if caller.role >= Role::Operator {
        return Ok(());
    }
    Err(Problem::new("forbidden", format!("your key's role is {}: this needs an operator's key", caller.role)))
}

/// The reason of a form, without the spaces around it.
pub(super) fn reason(fields: &Fields) -> Result<Option<String>, Problem> {
    let reason = fields.get("reason").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if reason.as_deref().is_some_and(|text| text.len() > LONGEST_REASON || text.contains('\0')) {
        return Err(Problem::invalid(format!("a reason has at most {LONGEST_REASON} bytes and no NUL")));
    }
    Ok(reason)
}

#[derive(Template)]
#[template(path = "act.html")]
struct ActPage {
    frame: Frame,
    run: Run,
    verb: &'static Verb,
    plan: Option<ActionPlan>,
    refused: Option<String>,
    needs_reason: bool,
    fields: Fields,
    may: Option<String>,
}

async fn ask(State(app): State<App>, caller: Caller, Path((id, verb)): Path<(String, String)>) -> Response {
    form(&app, &caller, &id, &verb, Fields::new(), None).await.unwrap_or_else(|problem| problem_page(&problem, &caller))
}

/// The form, with what would happen. `refused`: what came of the last try.
async fn form(
    app: &App,
    caller: &Caller,
    id: &str,
    verb: &str,
    fields: Fields,
    refused: Option<&Problem>,
) -> Result<Response, Problem> {
    let verb = verbs::find(verb).ok_or_else(|| Problem::new("unknown_route", format!("there is no verb {verb}")))?;
    let run = app.engine.run(run_id(id)?).await?;
    let mut status = refused.map_or(StatusCode::OK, Problem::status);
    let mut told = refused.map(|problem| words(problem).1);
    let mut plan = None;
    let mut needs_reason = true;
    match action(verb.word, &fields) {
        Ok(action) => {
            needs_reason = action.needs_reason();
            let by = Operator {
                actor: caller.actor.clone(),
                reason: Some(PREVIEW.to_owned()),
                dry_run: true,
                ..Operator::default()
            };
            match app.engine.act(run.id, &action, &by).await.map_err(Problem::from) {
                Ok(would) => plan = Some(would),
                Err(problem) if problem.status().is_client_error() => {
                    if told.is_none() {
                        (status, told) = (problem.status(), Some(words(&problem).1));
                    }
                }
                Err(problem) => return Err(problem),
            }
        }
        Err(problem) => told = told.or_else(|| Some(words(&problem).1)),
    }
    let may = check_operator(caller).err().map(|problem| words(&problem).1);
    let frame = Frame::new(format!("{} {}", verb.label, format::short(&run.id)), "runs", caller);
    Ok(page_with(status, &ActPage { frame, run, verb, plan, refused: told, needs_reason, fields, may }))
}

async fn act(
    State(app): State<App>,
    caller: Caller,
    Path((id, verb)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Response {
    match done(&app, &caller, &id, &verb, &fields).await {
        Ok(response) => response,
        Err(problem) if problem.status() == StatusCode::FORBIDDEN => problem_page(&problem, &caller),
        Err(problem) => match form(&app, &caller, &id, &verb, fields, Some(&problem)).await {
            Ok(page) => page,
            Err(problem) => problem_page(&problem, &caller),
        },
    }
}

async fn done(app: &App, caller: &Caller, id: &str, verb: &str, fields: &Fields) -> Result<Response, Problem> {
    check_form(caller, fields)?;
    check_operator(caller)?;
    let id = run_id(id)?;
    let by = Operator { actor: caller.actor.clone(), reason: reason(fields)?, ..Operator::default() };
    app.engine.act(id, &action(verb, fields)?, &by).await?;
    Ok(Redirect::to(&format!("/runs/{id}?done={}", format::encode(verb))).into_response())
}

/// The action that a form describes.
fn action(verb: &str, _fields: &Fields) -> Result<Action, Problem> {
    Ok(match verb {
        "retry" => Action::Retry { policy: None },
        "cancel" => Action::Cancel,
        "compensate" => Action::Compensate,
        _ => return Err(Problem::new("unknown_route", format!("there is no verb {verb}"))),
    })
}

fn field<'a>(name: &str, fields: &'a Fields) -> &'a str {
    fields.get(name).map(String::as_str).unwrap_or_default()
}
