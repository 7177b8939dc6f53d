//! `/operations`: one action over many runs: how far each is, what became of its runs, and the forms that create, pause, resume and
//! cancel one. A new one is shown first: how many runs, how they stand, and what would become of some of them.

use askama::Template;
use axum::{
    Form, Router,
    extract::{OriginalUri, Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use uuid::Uuid;

use super::{
    actions::{Fields, check_form, check_operator, reason},
    ask::{Ask, Input, Reason},
    filter, format,
    layout::problem_page,
    verbs,
    view::{Fragment, View},
    wish::{self, Wish},
};
use crate::{
    engine::{Operation, OperationPreview, OperationRun, Operator, RunFilter, Verb},
    http::{App, auth::Caller, problem::Problem},
};

/// Of an operation's runs.
const RUNS: u32 = 100;

/// What a dry run is given for a reason: it is not kept.
const PREVIEW: &str = "a preview";

#[derive(Template)]
#[template(path = "operations.html")]
struct OperationsPage {
    operations: Vec<Operation>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "operation.html")]
struct OperationPage<'a> {
    view: &'a View,
    operation: Operation,
    outcome: Option<&'a str>,
    runs: Vec<OperationRun>,
    next: Option<String>,
}

/// The list.
pub(super) async fn list(app: &App, view: &View) -> Result<Fragment, Problem> {
    let page = app.engine.operations(None, view.param("cursor")).await?;
    let next = page.next_cursor.map(|cursor| view.with("cursor", &cursor));
    Fragment::of("Operations", "operations", &OperationsPage { operations: page.items, next })
}

/// One of them.
pub(super) async fn one(app: &App, view: &View, id: &str) -> Result<Fragment, Problem> {
    let id = operation_id(id)?;
    let operation = app.engine.operation(id).await?;
    let outcome = view.param("outcome");
    let page = app.engine.operation_runs(id, outcome, Some(RUNS), view.param("cursor")).await?;
    let next = page.next_cursor.map(|cursor| view.with("cursor", &cursor));
    let title = format!("{} in bulk", operation.action);
    Fragment::of(title, "operations", &OperationPage { view, operation, outcome, runs: page.items, next })
}

fn operation_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::parse_str(text).map_err(|_| Problem::new("unknown_operation", format!("there is no operation {text}")))
}

/// What has been seen to, of all.
fn through(operation: &Operation) -> i64 {
    operation.done + operation.refused
}

fn conditions(operation: &Operation) -> String {
    filter::told(&operation.filter)
}

/// The runs that its filter matches now.
fn matching(operation: &Operation) -> String {
    format::address("/runs", filter::pairs(&operation.filter))
}

/// The routes of its forms.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/operations/new", get(ask_new).post(create))
        .route("/operations/{id}/{verb}", get(ask).post(act))
}

/// What a new operation is: an action, and the filter that stands in its form's address.
struct Wanted {
    action: Verb,
    filter: RunFilter,
    /// The filter as it stands in addresses.
    pairs: Vec<(String, String)>,
}

/// What a form says beside the filter.
const OWN: [&str; 6] = ["action", "csrf", "reason", "rate", "go", "done"];

impl Wanted {
    async fn of(app: &App, fields: &Fields) -> Result<Self, Problem> {
        let word = fields.get("action").map(String::as_str).unwrap_or_default();
        let Wish::Act(action) = wish::read(word, &Fields::new())? else {
            return Err(Problem::invalid(format!("{word} can't be done in bulk")));
        };
        let said = fields.iter().filter(|(name, value)| !OWN.contains(&name.as_str()) && !value.is_empty());
        let pairs: Vec<(String, String)> = said.map(|(name, value)| (name.clone(), value.clone())).collect();
        let now = app.engine.now().await?;
        let filter = filter::read(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())), now)?;
        Ok(Self { action, filter, pairs })
    }

    fn form(&self, preview: Option<&OperationPreview>, fields: &Fields) -> Ask {
        let word = self.action.word();
        let verb = verbs::find(word);
        let mut hidden = vec![("action".to_owned(), word.to_owned())];
        hidden.extend(self.pairs.iter().cloned());
        let rate = fields.get("rate").cloned().unwrap_or_default();
        let pairs = self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Ask {
            section: "operations",
            from: (format::address("/runs", self.pairs.iter().cloned()), "The runs that match".to_owned()),
            title: format!("{} every run that matches: {}", verb.map_or(word, |verb| verb.label), filter::words(pairs)),
            means: verb.map_or("", |verb| verb.means).to_owned(),
            plan: preview.map(sentences).unwrap_or_default(),
            action: "/operations/new".to_owned(),
            hidden,
            inputs: vec![Input { name: "rate", label: "Runs a second", value: rate, hint: "50" }],
            reason: Reason::Required,
            label: "Do it",
            grave: verb.is_some_and(|verb| verb.grave),
            closed: preview.is_none_or(|preview| preview.total == 0),
        }
    }
}

/// What would happen, in sentences: how many, how they stand, and the first of them one by one.
fn sentences(preview: &OperationPreview) -> Vec<String> {
    if preview.total == 0 {
        return vec!["No run matches now.".to_owned()];
    }
    let statuses: Vec<String> =
        preview.statuses.iter().map(|one| format!("{} {}", format::count(one.count), one.status)).collect();
    let total = format::count(preview.total);
    let runs = if preview.total == 1 { "run" } else { "runs" };
    let mut told = vec![format!(
        "It is for {total} {runs} that match now ({}). Runs that match later are not part of it.",
        statuses.join(", ")
    )];
    told.extend(preview.sample.iter().map(|one| {
        let what = match (&one.plan, &one.message) {
            (Some(plan), _) if plan.says.is_empty() => "would be accepted".to_owned(),
            (Some(plan), _) => plan.says.join(" "),
            (None, Some(message)) => format!("would refuse: {message}"),
            (None, None) => "would refuse".to_owned(),
        };
        format!("{}: {what}", format::short(&one.run_id))
    }));
    told
}

fn by(caller: &Caller, reason: Option<String>, dry_run: bool) -> Operator {
    Operator { actor: caller.actor.clone(), reason, dry_run, ..Operator::default() }
}

async fn ask_new(State(app): State<App>, caller: Caller, OriginalUri(uri): OriginalUri) -> Response {
    let fields = axum::extract::Query::<Fields>::try_from_uri(&uri).map(|query| query.0).unwrap_or_default();
    new_form(&app, &caller, &fields, None).await.unwrap_or_else(|problem| problem_page(&problem, &caller))
}

async fn new_form(app: &App, caller: &Caller, fields: &Fields, refused: Option<&Problem>) -> Result<Response, Problem> {
    let wanted = Wanted::of(app, fields).await?;
    let previewed =
        app.engine.preview_operation(&wanted.action, &wanted.filter, &by(caller, Some(PREVIEW.to_owned()), true)).await;
    let (preview, problem) = match previewed.map_err(Problem::from) {
        Ok(preview) => (Some(preview), None),
        Err(problem) if problem.status().is_client_error() => (None, Some(problem)),
        Err(problem) => return Err(problem),
    };
    Ok(wanted.form(preview.as_ref(), fields).page(caller, fields, refused.or(problem.as_ref())))
}

async fn create(State(app): State<App>, caller: Caller, Form(fields): Form<Fields>) -> Response {
    if let Err(problem) = check_form(&caller, &fields) {
        return problem_page(&problem, &caller);
    }
    let answer = match created(&app, &caller, &fields).await {
        Err(problem) if problem.status().is_client_error() => new_form(&app, &caller, &fields, Some(&problem)).await,
        answer => answer,
    };
    answer.unwrap_or_else(|problem| problem_page(&problem, &caller))
}

async fn created(app: &App, caller: &Caller, fields: &Fields) -> Result<Response, Problem> {
    check_operator(caller)?;
    let wanted = Wanted::of(app, fields).await?;
    let rate = fields.get("rate").map(|text| text.trim()).filter(|text| !text.is_empty()).map(str::parse::<u32>);
    let rate = rate.transpose().map_err(|_| Problem::invalid("runs a second is a number"))?;
    let operation =
        app.engine.operate_on(&wanted.action, &wanted.filter, &by(caller, reason(fields)?, false), rate).await?;
    Ok(Redirect::to(&verbs::told(&format!("/operations/{}", operation.id), "operation")).into_response())
}

/// What can be done to an operation: word, label, what it means.
const VERBS: [(&str, &str, &str); 3] = [
    ("pause", "Pause", "Stops it for now. None of its runs is in the middle of being acted on then."),
    ("resume", "Resume", "Lets it go on with the runs that are still to come."),
    ("cancel", "Cancel", "Ends it. What was done stays done, the rest is left as it is."),
];

fn form(id: Uuid, verb: &str) -> Result<Ask, Problem> {
    let known = VERBS.iter().find(|(word, _, _)| *word == verb);
    let (verb, label, means) =
        known.copied().ok_or_else(|| Problem::new("unknown_route", format!("an operation has no {verb}")))?;
    Ok(Ask {
        section: "operations",
        from: (format!("/operations/{id}"), "The operation".to_owned()),
        title: format!("{label} the operation {}", format::short(&id)),
        means: means.to_owned(),
        plan: Vec::new(),
        action: format!("/operations/{id}/{verb}"),
        hidden: Vec::new(),
        inputs: Vec::new(),
        reason: Reason::Optional,
        label,
        grave: verb == "cancel",
        closed: false,
    })
}

async fn ask(State(app): State<App>, caller: Caller, Path((id, verb)): Path<(String, String)>) -> Response {
    let known = async {
        let id = operation_id(&id)?;
        app.engine.operation(id).await?;
        form(id, &verb)
    };
    match known.await {
        Ok(ask) => ask.page(&caller, &Fields::new(), None),
        Err(problem) => problem_page(&problem, &caller),
    }
}

async fn act(
    State(app): State<App>,
    caller: Caller,
    Path((id, verb)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Response {
    let checked = check_form(&caller, &fields).and_then(|()| operation_id(&id));
    let (id, ask) = match checked.and_then(|id| Ok((id, form(id, &verb)?))) {
        Ok(known) => known,
        Err(problem) => return problem_page(&problem, &caller),
    };
    match done(&app, &caller, id, &verb, &fields).await {
        Ok(()) => Redirect::to(&verbs::told(&format!("/operations/{id}"), &verb)).into_response(),
        Err(problem) => ask.page(&caller, &fields, Some(&problem)),
    }
}

async fn done(app: &App, caller: &Caller, id: Uuid, verb: &str, fields: &Fields) -> Result<(), Problem> {
    check_operator(caller)?;
    let by = by(caller, reason(fields)?, false);
    let changed = match verb {
        "pause" => app.engine.pause_operation(id, &by).await,
        "resume" => app.engine.resume_operation(id, &by).await,
        _ => app.engine.cancel_operation(id, &by).await,
    };
    changed?;
    Ok(())
}

fn is(set: &Option<&str>, one: &str) -> bool {
    *set == Some(one)
}
