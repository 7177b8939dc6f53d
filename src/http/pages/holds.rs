//! Forms that hold a queue, a workflow or an activity, and release it.

use axum::{
    Form, Router,
    extract::{Path, Query},
    http::Uri,
    response::Response,
    routing::get,
};

use super::{
    confirmation::{self, Confirmation},
    context::Context,
    forms::Fields,
    notices::with_notice,
};
use crate::{
    engine::HoldKind,
    http::{App, problem::Problem},
};

/// The routes.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/fleet/{verb}", get(show).post(submit))
}

/// What a form is about.
struct HoldRequest {
    kind: HoldKind,
    name: String,
    hold: bool,
}

impl HoldRequest {
    fn parse(verb: &str, fields: &Fields) -> Result<Self, Problem> {
        let hold = match verb {
            "hold" => true,
            "release" => false,
            _ => return Err(Problem::new("unknown_route", "no page has this address")),
        };
        let kind = fields.text("kind").parse().map_err(|_| Problem::invalid("kind is workflow, activity or queue"))?;
        Ok(Self { kind, name: fields.text("name").to_owned(), hold })
    }

    const fn means(&self) -> &'static str {
        match (self.hold, self.kind) {
            (true, HoldKind::Activity) => {
                "Starts none of its attempts, verifications and undos, in any workflow. Attempts under way finish."
            }
            (true, HoldKind::Queue) => "Starts nothing more of this queue. Attempts under way finish; timers go on.",
            (true, HoldKind::Workflow) => {
                "Lets no run of it go on, in any version. Attempts under way finish; timers go on."
            }
            (false, _) => "Work that waits for the release goes on at once.",
        }
    }

    fn confirmation(&self) -> Confirmation {
        let (kind, name) = (self.kind.word(), &self.name);
        let (label, verb) = if self.hold { ("Hold back", "hold") } else { ("Release", "release") };
        Confirmation {
            section: "fleet",
            parent: ("/fleet".to_owned(), "Fleet".to_owned()),
            title: format!("{label} the {kind} {name}"),
            means: self.means(),
            action: format!("/fleet/{verb}"),
            hidden: vec![("kind".to_owned(), kind.to_owned()), ("name".to_owned(), name.clone())],
            needs_reason: self.hold,
            label,
            grave: self.hold,
            ..Confirmation::default()
        }
    }

    async fn perform(&self, context: &Context, fields: &Fields) -> Result<String, Problem> {
        let by = context.operator(fields)?;
        let engine = &context.app.engine;
        if self.hold {
            engine.hold(self.kind, &self.name, &by).await?;
            Ok(with_notice("/fleet", "hold"))
        } else {
            engine.release(self.kind, &self.name, &by).await?;
            Ok(with_notice("/fleet", "release"))
        }
    }
}

async fn show(context: Context, Path(verb): Path<String>, uri: Uri) -> Response {
    let fields = Query::<Fields>::try_from_uri(&uri).map(|query| query.0).unwrap_or_default();
    confirmation::show(&context, HoldRequest::parse(&verb, &fields).map(|request| request.confirmation()))
}

async fn submit(context: Context, Path(verb): Path<String>, Form(fields): Form<Fields>) -> Response {
    let request = match context.check_form(&fields).and_then(|()| HoldRequest::parse(&verb, &fields)) {
        Ok(request) => request,
        Err(problem) => return context.show_problem(&problem),
    };
    let perform = request.perform(&context, &fields);
    confirmation::submit(&context, &fields, Ok(request.confirmation()), perform).await
}
