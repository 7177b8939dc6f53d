//! `/v1/runs/{id}/{verb}`: the verbs of operators on one run. The engine decides what each does and where it is allowed; here
//! are the routes and statuses, and a malformed id or body is audited like any other refusal.

use std::collections::BTreeMap;

use axum::{
    Json as Answer,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa::IntoResponses;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App,
    auth::Caller,
    extract::{OptionalJson, run_id},
    problem::Problem,
    request::note_run,
    verb_bodies::{Body, ForkBody, ResolveBody, RetryBody, SkipBody},
    wire::{ActionBody, operator},
};
use crate::engine::{ActionPlan, ForkPlan, Operator, RunId, Subject, Verb};

/// The routes of the verbs.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(retry))
        .routes(routes!(cancel))
        .routes(routes!(compensate))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(abandon))
        .routes(routes!(acknowledge))
        .routes(routes!(skip))
        .routes(routes!(resolve))
        .routes(routes!(fork))
}

/// Try again from the step that failed, with the results of those before it; or try the failed undos again.
///
/// A run that waits for a later attempt makes it now.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/retry",
    operation_id = "retry_run",
    tag = "actions",
    params(("id" = Uuid, Path, description = "The run.")),
    request_body = Option<RetryBody>,
    responses(Planned),
    extensions(("x-problems" = json!(["unknown_run", "wrong_state", "held_by_worker"])))
)]
async fn retry(request: VerbRequest<RetryBody>) -> Result<Planned, Problem> {
    request.perform("retry", |body| Ok(Verb::Retry { policy: body.policy })).await
}

/// Stop a run and undo what it did, before its pivot.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/cancel",
    operation_id = "cancel_run",
    tag = "actions",
    params(("id" = Uuid, Path, description = "The run.")),
    request_body = Option<ActionBody>,
    responses(Planned),
    extensions(("x-problems" = json!(["unknown_run", "reason_required", "past_pivot", "wrong_state"])))
)]
async fn cancel(request: VerbRequest<ActionBody>) -> Result<Planned, Problem> {
    request.perform("cancel", |_| Ok(Verb::Cancel)).await
}

/// Undo what a run did, wherever it stands.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/compensate",
    operation_id = "compensate_run",
    tag = "actions",
    params(("id" = Uuid, Path, description = "The run.")),
    request_body = Option<ActionBody>,
    responses(Planned),
    extensions(("x-problems" = json!(["unknown_run", "reason_required", "wrong_state"])))
)]
async fn compensate(request: VerbRequest<ActionBody>) -> Result<Planned, Problem> {
    request.perform("compensate", |_| Ok(Verb::Compensate)).await
}

/// Let nothing of a run begin, and freeze its timers.
///
/// Attempts under way are let to their end.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/pause",
    operation_id = "pause_run",
    tag = "actions",
    params(("id" = Uuid, Path, description = "The run.")),
    request_body = Option<ActionBody>,
    responses(Planned),
    extensions(("x-problems" = json!(["unknown_run", "wrong_state"])))
)]
async fn pause(request: VerbRequest<ActionBody>) -> Result<Planned, Problem> {
    request.perform("pause", |_| Ok(Verb::Pause)).await
}

/// Let a paused run go on; its timers go on with what was left of them.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/resume",
    operation_id = "resume_run",
    tag = "actions",
    params(("id" = Uuid, Path, description = "The run.")),
    request_body = Option<ActionBody>,
    responses(Planned),
    extensions(("x-problems" = json!(["unknown_run", "wrong_state"])))
)]
async fn resume(request: VerbRequest<ActionBody>) -> Result<Planned, Problem> {
    request.perform("resume", |_| Ok(Verb::Resume)).await
}

/// End a run as it stands, without undo.
///
/// The plan lists what stays in force.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/abandon",
    operation_id = "abandon_run",
    tag = "actions",
    params(("id" = Uuid, Path, description = "The run.")),
    request_body = Option<ActionBody>,
    responses(Planned),
    extensions(("x-problems" = json!(["unknown_run", "reason_required", "wrong_state", "held_by_worker"])))
)]
async fn abandon(request: VerbRequest<ActionBody>) -> Result<Planned, Problem> {
    request.perform("abandon", |_| Ok(Verb::Abandon)).await
}

/// Take a run off the list of what needs attention.
///
/// A stuck run stays on it.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/acknowledge",
    operation_id = "acknowledge_run",
    tag = "actions",
    params(("id" = Uuid, Path, description = "The run.")),
    request_body = Option<ActionBody>,
    responses(Planned),
    extensions(("x-problems" = json!(["unknown_run", "wrong_state"])))
)]
async fn acknowledge(request: VerbRequest<ActionBody>) -> Result<Planned, Problem> {
    request.perform("acknowledge", |_| Ok(Verb::Acknowledge)).await
}

/// Pass over a step that has not succeeded, as if it had given this output; or over an undo.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/steps/{seq}/skip",
    operation_id = "skip_step",
    tag = "actions",
    params(("id" = Uuid, Path, description = "The run."),
        ("seq" = u32, Path, description = "The step.")),
    request_body = Option<SkipBody>,
    responses(Planned),
    extensions(("x-problems" = json!(["unknown_run", "unknown_step", "reason_required", "wrong_state", "held_by_worker", "invalid_output"])))
)]
async fn skip(request: VerbRequest<SkipBody>) -> Result<Planned, Problem> {
    let seq = request.seq.clone();
    request
        .perform("skip", |body: SkipBody| {
            Ok(Verb::Skip { seq: parse_step(&seq)?, direction: body.direction, output: body.output })
        })
        .await
}

/// Declare what an unknown step came to.
///
/// Only the record changes where the run has ended.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/steps/{seq}/resolve",
    operation_id = "resolve_step",
    tag = "actions",
    params(("id" = Uuid, Path, description = "The run."),
        ("seq" = u32, Path, description = "The step.")),
    request_body = Option<ResolveBody>,
    responses(Planned),
    extensions(("x-problems" = json!(["unknown_run", "unknown_step", "reason_required", "wrong_state", "held_by_worker", "invalid_output"])))
)]
async fn resolve(request: VerbRequest<ResolveBody>) -> Result<Planned, Problem> {
    let seq = request.seq.clone();
    request
        .perform("resolve", |body: ResolveBody| {
            let outcome = body.outcome.ok_or_else(|| Problem::invalid("`outcome` is missing: \"ok\" or \"failed\""))?;
            let ResolveBody { direction, output, evidence, .. } = body;
            Ok(Verb::Resolve { seq: parse_step(&seq)?, direction, outcome, output, evidence })
        })
        .await
}

/// Begin a new run from a step of this one, with the results of those before it.
///
/// What was done before that step stays the first run's: the new one never undoes it.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/fork",
    operation_id = "fork_run",
    tag = "actions",
    params(("id" = Uuid, Path, description = "The run.")),
    request_body = ForkBody,
    responses(
        (status = 201, description = "The new run has begun: what it kept.", body = ForkPlan,
            headers(("location" = String, description = "The new run's address."))),
        (status = 200, description = "A dry run: what would be kept; nothing was changed.", body = ForkPlan),
    ),
    extensions(("x-problems" = json!([
        "unknown_run", "unknown_step", "reason_required", "wrong_state", "invalid_input", "internal_workflow"
    ])))
)]
async fn fork(request: VerbRequest<ForkBody>) -> Result<Response, Problem> {
    let (app, id) = (request.app.clone(), request.id.clone());
    let (run, by, body) = request.read("fork").await?;
    let Some(from) = body.from_step else {
        let missing = Problem::invalid("`from_step` is missing: the first step that is made again");
        return Err(record_refusal(&app, "fork", &id, &by, missing).await);
    };
    let plan = app.engine.fork(run, from, body.input, &by).await?;
    Ok(match plan.new_run {
        Some(new) => (StatusCode::CREATED, location(new), Answer(plan)).into_response(),
        None => (StatusCode::OK, location(run), Answer(plan)).into_response(),
    })
}

/// What a verb answers.
#[derive(IntoResponses)]
enum Planned {
    /// It is recorded; where a worker is needed, one carries it out: the plan.
    #[response(status = 202)]
    Accepted(ActionPlan),
    /// A dry run: the plan; nothing was changed.
    #[response(status = 200)]
    DryRun(ActionPlan),
}

impl IntoResponse for Planned {
    fn into_response(self) -> Response {
        let (status, plan) = match self {
            Self::Accepted(plan) => (StatusCode::ACCEPTED, plan),
            Self::DryRun(plan) => (StatusCode::OK, plan),
        };
        (status, location(plan.run), Answer(plan)).into_response()
    }
}

/// A request for a verb on a run, as it came. What is wrong with it is recorded in the audit before it is answered.
struct VerbRequest<B> {
    app: App,
    id: String,
    /// The step in the path; empty where there is none.
    seq: String,
    caller: Caller,
    body: Result<OptionalJson<B>, Problem>,
}

impl<B: Body> FromRequest<App> for VerbRequest<B> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let path = Path::<BTreeMap<String, String>>::from_request_parts(&mut parts, app).await;
        let Path(mut path) = path.map_err(|error| Problem::invalid(error.body_text()))?;
        let caller = Caller::from_request_parts(&mut parts, app).await?;
        let body = OptionalJson::from_request(Request::from_parts(parts, body), app).await;
        let mut segment = |name: &str| path.remove(name).unwrap_or_default();
        Ok(Self { app: app.clone(), id: segment("id"), seq: segment("seq"), caller, body })
    }
}

impl<B: Body> VerbRequest<B> {
    /// Carries a verb out: who, why, which run, then the verb itself.
    async fn perform(
        self,
        verb: &'static str,
        parse: impl FnOnce(B) -> Result<Verb, Problem>,
    ) -> Result<Planned, Problem> {
        let (app, id) = (self.app.clone(), self.id.clone());
        let (run, by, body) = self.read(verb).await?;
        let verb = match parse(body) {
            Ok(verb) => verb,
            Err(problem) => return Err(record_refusal(&app, verb, &id, &by, problem).await),
        };
        let plan = app.engine.apply_verb(run, &verb, &by).await?;
        Ok(if plan.dry_run { Planned::DryRun(plan) } else { Planned::Accepted(plan) })
    }

    /// Reads who acts on which run, and with which body.
    async fn read(self, verb: &str) -> Result<(RunId, Operator, B), Problem> {
        let Self { app, id, caller, body, .. } = self;
        let nobody = Operator { actor: caller.actor.clone(), ..Operator::default() };
        let body = match body {
            Ok(OptionalJson(body)) => body.unwrap_or_default(),
            Err(problem) => return Err(record_refusal(&app, verb, &id, &nobody, problem).await),
        };
        let (reason, dry_run) = body.who();
        let by = match operator(caller.actor, reason, dry_run) {
            Ok(by) => by,
            Err(problem) => return Err(record_refusal(&app, verb, &id, &Operator { dry_run, ..nobody }, problem).await),
        };
        let run = require_run_id(&app, verb, &id, &by).await?;
        Ok((run, by, body))
    }
}

/// Reads a run's id; something else is refused, and the refusal recorded in the audit.
pub(super) async fn require_run_id(app: &App, verb: &str, id: &str, by: &Operator) -> Result<RunId, Problem> {
    match run_id(id) {
        Ok(run) => {
            note_run(run);
            Ok(run)
        }
        Err(problem) => Err(record_refusal(app, verb, id, by, problem).await),
    }
}

/// Records a refusal that the engine never saw in the audit.
async fn record_refusal(app: &App, verb: &str, id: &str, by: &Operator, problem: Problem) -> Problem {
    if !by.dry_run {
        let subject: String = id.chars().filter(|c| !c.is_control()).take(LONGEST_SUBJECT).collect();
        let about = run_id(id).map_or(Subject::Named(&subject), Subject::Run);
        app.engine.audit_refusal(verb, about, by, problem.code(), problem.detail()).await;
    }
    problem
}

/// As much of what was taken for an id as the audit keeps.
const LONGEST_SUBJECT: usize = 100;

/// A step's position in a path. Whatever is no number is a step that no run has.
fn parse_step(text: &str) -> Result<u32, Problem> {
    let none = || Problem::new("unknown_step", format!("there is no step {text}"));
    text.parse().ok().filter(|seq| i32::try_from(*seq).is_ok()).ok_or_else(none)
}

fn location(run: RunId) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(location) = format!("/v1/runs/{run}").parse() {
        headers.insert(header::LOCATION, location);
    }
    headers
}
