//! `/operations`: one verb over many runs: how far each operation is, the outcome of its runs, and the forms that create,
//! pause, resume and cancel one. A new one is previewed: how many runs, their statuses, and the plans of some of them.

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, Query},
    http::Uri,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use uuid::Uuid;

use super::{
    address::Address,
    confirmation::{self, Confirmation, Input},
    context::Context,
    format,
    forms::Fields,
    layout::Fragment,
    links,
    notices::with_notice,
    run_filter,
    verb_form::{self, RunRequest},
    verbs,
};
use crate::{
    engine::{Operation, OperationPreview, OperationRun, RunFilter, Verb},
    http::{App, base::filters, problem::Problem},
};

/// Of an operation's runs.
const RUNS: u32 = 100;

#[derive(Template)]
#[template(path = "operations.html")]
struct OperationsPage {
    operations: Vec<Operation>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "operation.html")]
struct OperationPage<'a> {
    address: &'a Address,
    operation: Operation,
    outcome: Option<&'a str>,
    runs: Vec<OperationRun>,
    next: Option<String>,
}

/// Renders the list.
pub(super) async fn render_list(app: &App, address: &Address) -> Result<Fragment, Problem> {
    let page = app.engine.operations(None, address.param("cursor")).await?;
    let next = address.next(page.next_cursor);
    Fragment::render(&app.base, "Operations", "operations", &OperationsPage { operations: page.items, next })
}

/// Renders one of them.
pub(super) async fn render_one(app: &App, address: &Address, id: &str) -> Result<Fragment, Problem> {
    let id = parse_id(id)?;
    let operation = app.engine.operation(id).await?;
    let outcome = address.param("outcome");
    let state = outcome.map(str::parse).transpose()?;
    let page = app.engine.operation_runs(id, state, Some(RUNS), address.param("cursor")).await?;
    let next = address.next(page.next_cursor);
    let title = format!("{} in bulk", operation.action);
    let template = OperationPage { address, operation, outcome, runs: page.items, next };
    Fragment::render(&app.base, title, "operations", &template)
}

fn parse_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::parse_str(text).map_err(|_| Problem::new("unknown_operation", format!("there is no operation {text}")))
}

/// How many of its runs have an outcome.
fn finished(operation: &Operation) -> i64 {
    operation.done + operation.refused
}

fn describe_filter(operation: &Operation) -> String {
    run_filter::describe(borrow(&run_filter::pairs(&operation.filter)))
}

/// The runs that its filter matches now.
fn matching(operation: &Operation) -> String {
    links::address("/runs", run_filter::pairs(&operation.filter))
}

/// The routes of its forms.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/operations/new", get(show_new).post(create))
        .route("/operations/{id}/{verb}", get(show).post(submit))
}

/// A new operation: a verb, and the filter in its form's address.
struct NewOperation {
    verb: Verb,
    filter: RunFilter,
    /// The filter as parameters of an address.
    pairs: Vec<(String, String)>,
}

/// The fields of the form that are not part of the filter.
const NOT_FILTER: [&str; 6] = ["action", "csrf", "reason", "rate", "go", "done"];

impl NewOperation {
    async fn parse(app: &App, fields: &Fields) -> Result<Self, Problem> {
        let word = fields.text("action");
        let RunRequest::Verb(verb) = verb_form::parse(word, &Fields::default())? else {
            return Err(Problem::invalid(format!("{word} can't be done in bulk")));
        };
        let filter = fields.iter().filter(|(name, value)| !NOT_FILTER.contains(name) && !value.is_empty());
        let pairs: Vec<(String, String)> = filter.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let filter = run_filter::parse(borrow(&pairs), app.engine.now().await?)?;
        Ok(Self { verb, filter, pairs })
    }

    fn confirmation(&self, preview: Option<&OperationPreview>, fields: &Fields) -> Confirmation {
        let word = self.verb.word();
        let verb = verbs::find(verbs::OF_RUNS, word);
        let mut hidden = vec![("action".to_owned(), word.to_owned())];
        hidden.extend(self.pairs.iter().cloned());
        let (label, filter) = (verb.map_or(word, |verb| verb.label), run_filter::describe(borrow(&self.pairs)));
        let rate = Input { name: "rate", label: "Runs a second", value: fields.text("rate").to_owned(), hint: "50" };
        Confirmation {
            section: "operations",
            parent: (links::address("/runs", borrow(&self.pairs)), "The runs that match".to_owned()),
            title: format!("{label} every run that matches: {filter}"),
            means: verb.map_or("", |verb| verb.means),
            plan: preview.map(describe_preview).unwrap_or_default(),
            action: "/operations/new".to_owned(),
            hidden,
            inputs: vec![rate],
            needs_reason: true,
            label: "Do it",
            grave: verb.is_some_and(|verb| verb.grave),
            closed: preview.is_none_or(|preview| preview.total == 0),
        }
    }
}

fn borrow(pairs: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// What would happen, in sentences: how many runs, their statuses, and the first of them one by one.
fn describe_preview(preview: &OperationPreview) -> Vec<String> {
    if preview.total == 0 {
        return vec!["No run matches now.".to_owned()];
    }
    let statuses: Vec<String> =
        preview.statuses.iter().map(|one| format!("{} {}", format::count(one.count), one.status)).collect();
    let total = format::count(preview.total);
    let runs = if preview.total == 1 { "run" } else { "runs" };
    let mut sentences = vec![format!(
        "It is for {total} {runs} that match now ({}). Runs that match later are not part of it.",
        statuses.join(", ")
    )];
    sentences.extend(preview.sample.iter().map(|one| {
        let what = match (&one.plan, &one.message) {
            (Some(plan), _) if plan.says.is_empty() => "would be accepted".to_owned(),
            (Some(plan), _) => plan.says.join(" "),
            (None, Some(message)) => format!("would refuse: {message}"),
            (None, None) => "would refuse".to_owned(),
        };
        format!("{}: {what}", format::short(&one.run_id))
    }));
    sentences
}

async fn show_new(context: Context, uri: Uri) -> Response {
    let fields = Query::<Fields>::try_from_uri(&uri).map(|query| query.0).unwrap_or_default();
    preview_new(&context, &fields, None).await.unwrap_or_else(|problem| context.show_problem(&problem))
}

async fn preview_new(context: &Context, fields: &Fields, refused: Option<&Problem>) -> Result<Response, Problem> {
    let new = NewOperation::parse(&context.app, fields).await?;
    let previewed = context.app.engine.preview_operation(&new.verb, &new.filter, &context.previewer()).await;
    let (preview, problem) = match previewed.map_err(Problem::from) {
        Ok(preview) => (Some(preview), None),
        Err(problem) if problem.status().is_client_error() => (None, Some(problem)),
        Err(problem) => return Err(problem),
    };
    let confirmation = new.confirmation(preview.as_ref(), fields);
    Ok(confirmation.show(context, fields, refused.or(problem.as_ref())))
}

async fn create(context: Context, Form(fields): Form<Fields>) -> Response {
    if let Err(problem) = context.check_form(&fields) {
        return context.show_problem(&problem);
    }
    let answer = match perform_create(&context, &fields).await {
        Err(problem) if problem.status().is_client_error() => preview_new(&context, &fields, Some(&problem)).await,
        created => created.map(|address| Redirect::to(&address).into_response()),
    };
    answer.unwrap_or_else(|problem| context.show_problem(&problem))
}

async fn perform_create(context: &Context, fields: &Fields) -> Result<String, Problem> {
    let by = context.operator(fields)?;
    let new = NewOperation::parse(&context.app, fields).await?;
    let operation = context.app.engine.operate_on(&new.verb, &new.filter, &by, fields.number("rate")?).await?;
    Ok(with_notice(&format!("/operations/{}", operation.id), "operation"))
}

fn confirmation(id: Uuid, verb: &str) -> Result<Confirmation, Problem> {
    let verb = verbs::require(verbs::OF_OPERATIONS, verb)?;
    Ok(Confirmation {
        section: "operations",
        parent: (format!("/operations/{id}"), "The operation".to_owned()),
        title: format!("{} the operation {}", verb.label, format::short(&id)),
        means: verb.means,
        action: format!("/operations/{id}/{}", verb.word),
        label: verb.label,
        grave: verb.grave,
        ..Confirmation::default()
    })
}

async fn show(context: Context, Path((id, verb)): Path<(String, String)>) -> Response {
    let confirmation = async {
        let id = parse_id(&id)?;
        context.app.engine.operation(id).await?;
        confirmation(id, &verb)
    };
    confirmation::show(&context, confirmation.await)
}

async fn submit(context: Context, Path((id, verb)): Path<(String, String)>, Form(fields): Form<Fields>) -> Response {
    let id = match context.check_form(&fields).and_then(|()| parse_id(&id)) {
        Ok(id) => id,
        Err(problem) => return context.show_problem(&problem),
    };
    let perform = perform(&context, id, &verb, &fields);
    confirmation::submit(&context, &fields, confirmation(id, &verb), perform).await
}

async fn perform(context: &Context, id: Uuid, verb: &str, fields: &Fields) -> Result<String, Problem> {
    let by = context.operator(fields)?;
    let engine = &context.app.engine;
    match verb {
        "pause" => engine.pause_operation(id, &by).await?,
        "resume" => engine.resume_operation(id, &by).await?,
        _ => engine.cancel_operation(id, &by).await?,
    };
    Ok(with_notice(&format!("/operations/{id}"), verb))
}

fn is(set: &Option<&str>, one: &str) -> bool {
    *set == Some(one)
}
