//! `/v1/runs/{id}/{verb}`: what operators ask of one run. What each verb does and where it is allowed is the engine's to say; here
//! stand the bodies, the statuses, and that a malformed id or body is audited like any refusal.

use std::collections::BTreeMap;

use axum::{
    Json as Answer,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::{IntoResponses, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App,
    auth::Caller,
    extract::{OptionalJson, run_id},
    problem::Problem,
    request::is_about,
    wire::{ActionBody, operator},
};
use crate::engine::{ActionPlan, Declared, ForkPlan, Operator, PolicyOverride, RunId, StepDirection, Subject, Verb};

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

/// What all bodies have.
trait Body: DeserializeOwned + Default {
    fn who(&self) -> (Option<&str>, bool);
}

/// The body of a retry.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct RetryBody {
    /// Why, for the audit.
    reason: Option<String>,
    /// Show the plan and change nothing.
    dry_run: bool,
    /// Other rules for the steps that are attempted again.
    policy: Option<PolicyOverride>,
}

/// The body of a skip.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct SkipBody {
    /// Why, for the audit.
    reason: Option<String>,
    /// Show what would happen and change nothing.
    dry_run: bool,
    /// The step or its undo; the one that is unresolved unless said.
    direction: Option<StepDirection>,
    /// What the workflow is told that the step gave; null unless said.
    output: Option<Value>,
}

/// The body of a resolve.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct ResolveBody {
    /// Why, for the audit.
    reason: Option<String>,
    /// Show what would happen and change nothing.
    dry_run: bool,
    /// What the step came to. Required.
    #[schema(required = true, value_type = Declared)]
    outcome: Option<Declared>,
    /// The step or its undo; the one that is unknown unless said.
    direction: Option<StepDirection>,
    /// What it gave, where it took effect.
    output: Option<Value>,
    /// How you know, for the audit.
    evidence: Option<String>,
}

/// The body of a fork.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct ForkBody {
    /// Why, for the audit.
    reason: Option<String>,
    /// Show what would be kept and change nothing.
    dry_run: bool,
    /// The first step that is made again. Required.
    #[schema(required = true, value_type = u32)]
    from_step: Option<u32>,
    /// Another input; only with `from_step` 0.
    input: Option<Value>,
}

impl Body for ActionBody {
    fn who(&self) -> (Option<&str>, bool) {
        self.who()
    }
}

impl Body for RetryBody {
    fn who(&self) -> (Option<&str>, bool) {
        (self.reason.as_deref(), self.dry_run)
    }
}

impl Body for SkipBody {
    fn who(&self) -> (Option<&str>, bool) {
        (self.reason.as_deref(), self.dry_run)
    }
}

impl Body for ResolveBody {
    fn who(&self) -> (Option<&str>, bool) {
        (self.reason.as_deref(), self.dry_run)
    }
}

impl Body for ForkBody {
    fn who(&self) -> (Option<&str>, bool) {
        (self.reason.as_deref(), self.dry_run)
    }
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
async fn retry(asked: Asked<RetryBody>) -> Result<Planned, Problem> {
    asked.act("retry", |body| Ok(Verb::Retry { policy: body.policy })).await
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
async fn cancel(asked: Asked<ActionBody>) -> Result<Planned, Problem> {
    asked.act("cancel", |_| Ok(Verb::Cancel)).await
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
async fn compensate(asked: Asked<ActionBody>) -> Result<Planned, Problem> {
    asked.act("compensate", |_| Ok(Verb::Compensate)).await
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
async fn pause(asked: Asked<ActionBody>) -> Result<Planned, Problem> {
    asked.act("pause", |_| Ok(Verb::Pause)).await
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
async fn resume(asked: Asked<ActionBody>) -> Result<Planned, Problem> {
    asked.act("resume", |_| Ok(Verb::Resume)).await
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
async fn abandon(asked: Asked<ActionBody>) -> Result<Planned, Problem> {
    asked.act("abandon", |_| Ok(Verb::Abandon)).await
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
async fn acknowledge(asked: Asked<ActionBody>) -> Result<Planned, Problem> {
    asked.act("acknowledge", |_| Ok(Verb::Acknowledge)).await
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
    extensions(("x-problems" = json!(["unknown_run", "unknown_step", "reason_required", "wrong_state", "held_by_worker"])))
)]
async fn skip(asked: Asked<SkipBody>) -> Result<Planned, Problem> {
    let seq = asked.seq.clone();
    asked
        .act("skip", |body: SkipBody| {
            Ok(Verb::Skip { seq: step(&seq)?, direction: body.direction, output: body.output })
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
    extensions(("x-problems" = json!(["unknown_run", "unknown_step", "reason_required", "wrong_state", "held_by_worker"])))
)]
async fn resolve(asked: Asked<ResolveBody>) -> Result<Planned, Problem> {
    let seq = asked.seq.clone();
    asked
        .act("resolve", |body: ResolveBody| {
            let outcome = body.outcome.ok_or_else(|| Problem::invalid("`outcome` is missing: \"ok\" or \"failed\""))?;
            let ResolveBody { direction, output, evidence, .. } = body;
            Ok(Verb::Resolve { seq: step(&seq)?, direction, outcome, output, evidence })
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
    extensions(("x-problems" = json!(["unknown_run", "unknown_step", "reason_required", "wrong_state", "invalid_input"])))
)]
async fn fork(asked: Asked<ForkBody>) -> Result<Response, Problem> {
    let (app, id) = (asked.app.clone(), asked.id.clone());
    let (run, by, body) = asked.read("fork").await?;
    let Some(from) = body.from_step else {
        let missing = Problem::invalid("`from_step` is missing: the first step that is made again");
        return Err(refused(&app, "fork", &id, &by, missing).await);
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

/// A verb asked of a run, as it came: what is wrong with it is put on record before it is told.
struct Asked<B> {
    app: App,
    id: String,
    /// The step in the path; empty where there is none.
    seq: String,
    caller: Caller,
    body: Result<OptionalJson<B>, Problem>,
}

impl<B: Body> FromRequest<App> for Asked<B> {
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

impl<B: Body> Asked<B> {
    /// One way for all verbs: who, why, which run, then the action itself.
    async fn act(
        self,
        verb: &'static str,
        action: impl FnOnce(B) -> Result<Verb, Problem>,
    ) -> Result<Planned, Problem> {
        let (app, id) = (self.app.clone(), self.id.clone());
        let (run, by, body) = self.read(verb).await?;
        let action = match action(body) {
            Ok(action) => action,
            Err(problem) => return Err(refused(&app, verb, &id, &by, problem).await),
        };
        let plan = app.engine.apply_verb(run, &action, &by).await?;
        Ok(if plan.dry_run { Planned::DryRun(plan) } else { Planned::Accepted(plan) })
    }

    /// Who acts on which run, and with which body.
    async fn read(self, verb: &str) -> Result<(RunId, Operator, B), Problem> {
        let Self { app, id, caller, body, .. } = self;
        let nobody = Operator { actor: caller.actor.clone(), ..Operator::default() };
        let body = match body {
            Ok(OptionalJson(body)) => body.unwrap_or_default(),
            Err(problem) => return Err(refused(&app, verb, &id, &nobody, problem).await),
        };
        let (reason, dry_run) = body.who();
        let by = match operator(caller.actor, reason, dry_run) {
            Ok(by) => by,
            Err(problem) => return Err(refused(&app, verb, &id, &Operator { dry_run, ..nobody }, problem).await),
        };
        let run = known_id(&app, verb, &id, &by).await?;
        Ok((run, by, body))
    }
}

/// A run's id; whoever sends something else is told, and it is put on record.
pub(super) async fn known_id(app: &App, verb: &str, id: &str, by: &Operator) -> Result<RunId, Problem> {
    match run_id(id) {
        Ok(run) => {
            is_about(run);
            Ok(run)
        }
        Err(problem) => Err(refused(app, verb, id, by, problem).await),
    }
}

/// Puts on record what never came to the engine.
async fn refused(app: &App, verb: &str, id: &str, by: &Operator, problem: Problem) -> Problem {
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
fn step(text: &str) -> Result<u32, Problem> {
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
