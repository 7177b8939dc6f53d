//! `/runs/{id}/act/{verb}`: the form of each verb on a run. It shows what would happen, asks for a reason, and does it. With
//! a script the same form opens in a dialog.

use askama::Template;
use axum::{
    Form, Router,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};

use super::{
    context::Context,
    format,
    forms::Fields,
    layout::Frame,
    notices::with_notice,
    verb_form::{self, RunRequest},
    verbs::{self, Inputs, VerbButton},
};
use crate::{
    engine::{ActionPlan, ForkPlan, Run},
    http::{App, base::filters, extract::run_id, problem::Problem},
};

/// The routes.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/runs/{id}/act/{verb}", get(show).post(submit))
}

#[derive(Template)]
#[template(path = "run_verb.html")]
struct VerbPage<'a> {
    frame: Frame,
    run: Run,
    verb: &'static VerbButton,
    plan: Option<ActionPlan>,
    refused: Option<&'a str>,
    needs_reason: bool,
    fields: Fields,
    /// The steps to choose from.
    steps: Vec<(String, String)>,
    lacks_role: Option<String>,
}

async fn show(context: Context, Path((id, verb)): Path<(String, String)>) -> Response {
    let form = show_form(&context, &id, &verb, Fields::default(), None).await;
    form.unwrap_or_else(|problem| context.show_problem(&problem))
}

/// Shows the form, with what would happen. `refused`: why the verb was not carried out.
async fn show_form(
    context: &Context,
    id: &str,
    verb: &str,
    mut fields: Fields,
    refused: Option<&Problem>,
) -> Result<Response, Problem> {
    let verb = verbs::require(verbs::OF_RUNS, verb)?;
    let run = context.app.engine.run(run_id(id)?).await?;
    let steps = verb_form::list_steps(verb.word, run.steps.as_deref().unwrap_or_default());
    if let Some((likeliest, _)) = steps.first().filter(|_| verb.inputs.has_step()) {
        fields.set_default("step", likeliest);
    }
    if verb.inputs == Inputs::Resolve {
        fields.set_default("outcome", "ok");
    }
    let (plan, problem) = match preview(context, &run, verb, &fields).await {
        Ok(plan) => (plan, None),
        Err(problem) if problem.status().is_client_error() => (None, Some(problem)),
        Err(problem) => return Err(problem),
    };
    let refused = refused.or(problem.as_ref());
    let page = VerbPage {
        frame: context.frame(format!("{} {}", verb.label, format::short(&run.id)), "runs"),
        needs_reason: needs_reason(verb, &fields),
        refused: refused.map(Problem::detail),
        lacks_role: context.lacks_role(),
        run,
        verb,
        plan,
        fields,
        steps,
    };
    Ok(context.show(refused.map_or(StatusCode::OK, Problem::status), &page))
}

fn needs_reason(verb: &VerbButton, fields: &Fields) -> bool {
    match verb_form::parse(verb.word, fields) {
        Ok(RunRequest::Verb(verb)) => verb.needs_reason(),
        Ok(RunRequest::Signal(..)) => false,
        Ok(RunRequest::Fork(..)) => true,
        Err(_) => verb.grave,
    }
}

/// The plan of a dry run; none for a signal, which has none.
async fn preview(
    context: &Context,
    run: &Run,
    verb: &VerbButton,
    fields: &Fields,
) -> Result<Option<ActionPlan>, Problem> {
    if verb.inputs == Inputs::Signal {
        return Ok(None);
    }
    let (engine, by) = (&context.app.engine, context.previewer());
    Ok(match verb_form::parse(verb.word, fields)? {
        RunRequest::Verb(verb) => Some(engine.apply_verb(run.id, &verb, &by).await?),
        RunRequest::Fork(from, input) => Some(as_plan(engine.fork(run.id, from, input, &by).await?)),
        RunRequest::Signal(..) => None,
    })
}

/// A fork undoes nothing: its sentences say what it keeps and does again.
fn as_plan(fork: ForkPlan) -> ActionPlan {
    let ForkPlan { run, action, dry_run, status, says, .. } = fork;
    ActionPlan { run, action, dry_run, status, undo: Vec::new(), retry: Vec::new(), stays: Vec::new(), says }
}

async fn submit(context: Context, Path((id, verb)): Path<(String, String)>, Form(fields): Form<Fields>) -> Response {
    if let Err(problem) = context.check_form(&fields) {
        return context.show_problem(&problem);
    }
    let answer = if fields.text("go") == "preview" {
        show_form(&context, &id, &verb, fields, None).await
    } else {
        match perform(&context, &id, &verb, &fields).await {
            Ok(address) => Ok(Redirect::to(&address).into_response()),
            Err(problem) if problem.status().is_client_error() => {
                show_form(&context, &id, &verb, fields, Some(&problem)).await
            }
            Err(problem) => Err(problem),
        }
    };
    answer.unwrap_or_else(|problem| context.show_problem(&problem))
}

/// Carries the verb out, and gives the address to go on to.
async fn perform(context: &Context, id: &str, verb: &str, fields: &Fields) -> Result<String, Problem> {
    let by = context.operator(fields)?;
    let (engine, mut id) = (&context.app.engine, run_id(id)?);
    match verb_form::parse(verb, fields)? {
        RunRequest::Verb(verb) => drop(engine.apply_verb(id, &verb, &by).await?),
        RunRequest::Signal(name, payload) => engine.operator_signal(id, &name, payload, None, &by).await?,
        RunRequest::Fork(from, input) => {
            let forked = engine.fork(id, from, input, &by).await?;
            id = forked.new_run.unwrap_or(id);
        }
    }
    Ok(with_notice(&format!("/runs/{id}"), verb))
}
