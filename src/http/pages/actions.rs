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
    verbs::{self, Asks, Verb},
    wish::{self, Wish},
};
use crate::{
    engine::{ActionPlan, ForkPlan, Operator, Run},
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
    /// The steps that may be meant.
    steps: Vec<(String, String)>,
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
    mut fields: Fields,
    refused: Option<&Problem>,
) -> Result<Response, Problem> {
    let verb = verbs::find(verb).ok_or_else(|| Problem::new("unknown_route", format!("there is no verb {verb}")))?;
    let run = app.engine.run(run_id(id)?).await?;
    let steps = wish::steps(verb.word, run.steps.as_deref().unwrap_or_default());
    if let Some((likeliest, _)) = steps.first().filter(|_| matches!(verb.asks, Asks::Skip | Asks::Resolve | Asks::Fork))
    {
        fields.entry("step".to_owned()).or_insert_with(|| likeliest.clone());
    }
    if verb.asks == Asks::Resolve {
        fields.entry("outcome".to_owned()).or_insert_with(|| "ok".to_owned());
    }
    let mut status = refused.map_or(StatusCode::OK, Problem::status);
    let mut told = refused.map(|problem| words(problem).1);
    let needs_reason = needs_reason(verb, &fields);
    let plan = match preview(app, caller, &run, verb, &fields).await {
        Ok(plan) => plan,
        Err(problem) if problem.status().is_client_error() => {
            if told.is_none() {
                (status, told) = (problem.status(), Some(words(&problem).1));
            }
            None
        }
        Err(problem) => return Err(problem),
    };
    let may = check_operator(caller).err().map(|problem| words(&problem).1);
    let frame = Frame::new(format!("{} {}", verb.label, format::short(&run.id)), "runs", caller);
    let page = ActPage { frame, run, verb, plan, refused: told, needs_reason, fields, steps, may };
    Ok(page_with(status, &page))
}

fn needs_reason(verb: &Verb, fields: &Fields) -> bool {
    match wish::read(verb.word, fields) {
        Ok(Wish::Act(action)) => action.needs_reason(),
        Ok(Wish::Signal(..)) => false,
        Ok(Wish::Fork(..)) => true,
        Err(_) => verb.grave,
    }
}

/// What would happen; none where a verb has no dry run.
async fn preview(
    app: &App,
    caller: &Caller,
    run: &Run,
    verb: &Verb,
    fields: &Fields,
) -> Result<Option<ActionPlan>, Problem> {
    if verb.asks == Asks::Signal {
        return Ok(None);
    }
    let reason = Some(PREVIEW.to_owned());
    let by = Operator { actor: caller.actor.clone(), reason, dry_run: true, ..Operator::default() };
    Ok(match wish::read(verb.word, fields)? {
        Wish::Act(action) => Some(app.engine.apply_verb(run.id, &action, &by).await?),
        Wish::Fork(from, input) => Some(as_plan(app.engine.fork(run.id, from, input, &by).await?)),
        Wish::Signal(..) => None,
    })
}

/// A fork undoes nothing: what it keeps and does again stands in its sentences.
fn as_plan(fork: ForkPlan) -> ActionPlan {
    let ForkPlan { run, action, dry_run, status, says, .. } = fork;
    ActionPlan { run, action, dry_run, status, undo: Vec::new(), retry: Vec::new(), stays: Vec::new(), says }
}

async fn act(
    State(app): State<App>,
    caller: Caller,
    Path((id, verb)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Response {
    let forged = check_form(&caller, &fields).err();
    let looks_only = fields.get("go").is_some_and(|go| go == "preview");
    let answer = match forged {
        Some(problem) => return problem_page(&problem, &caller),
        None if looks_only => form(&app, &caller, &id, &verb, fields, None).await,
        None => match done(&app, &caller, &id, &verb, &fields).await {
            Err(problem) if problem.status().is_client_error() => {
                form(&app, &caller, &id, &verb, fields, Some(&problem)).await
            }
            answer => answer,
        },
    };
    answer.unwrap_or_else(|problem| problem_page(&problem, &caller))
}

async fn done(app: &App, caller: &Caller, id: &str, verb: &str, fields: &Fields) -> Result<Response, Problem> {
    check_operator(caller)?;
    let id = run_id(id)?;
    let by = Operator { actor: caller.actor.clone(), reason: reason(fields)?, ..Operator::default() };
    match wish::read(verb, fields)? {
        Wish::Act(action) => drop(app.engine.apply_verb(id, &action, &by).await?),
        Wish::Signal(name, payload) => app.engine.operator_signal(id, &name, payload, None, &by).await?,
        Wish::Fork(from, input) => {
            let forked = app.engine.fork(id, from, input, &by).await?;
            let new = forked.new_run.unwrap_or(id);
            return Ok(Redirect::to(&verbs::told(&format!("/runs/{new}"), verb)).into_response());
        }
    }
    Ok(Redirect::to(&verbs::told(&format!("/runs/{id}"), verb)).into_response())
}

fn field<'a>(name: &str, fields: &'a Fields) -> &'a str {
    fields.get(name).map(String::as_str).unwrap_or_default()
}
