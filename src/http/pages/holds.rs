//! Forms that hold a queue, a workflow or an activity back, and let it go.

use axum::{
    Form, Router,
    extract::{OriginalUri, Path, Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};

use super::{
    actions::{Fields, check_form, check_operator, reason},
    ask::{Ask, Reason},
    layout::problem_page,
    verbs,
};
use crate::{
    engine::{HoldKind, Operator},
    http::{App, auth::Caller, problem::Problem},
};

/// The routes.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/fleet/{verb}", get(ask).post(act))
}

/// What a form is about.
struct Held {
    kind: HoldKind,
    name: String,
    hold: bool,
}

impl Held {
    fn of(verb: &str, fields: &Fields) -> Result<Self, Problem> {
        let hold = match verb {
            "hold" => true,
            "release" => false,
            _ => return Err(Problem::new("unknown_route", "no page has this address")),
        };
        let word = fields.get("kind").map(String::as_str).unwrap_or_default();
        let kind = HoldKind::from_word(word).ok_or_else(|| Problem::invalid("kind is workflow, activity or queue"))?;
        Ok(Self { kind, name: fields.get("name").cloned().unwrap_or_default(), hold })
    }

    fn form(&self) -> Ask {
        let (kind, name) = (self.kind.word(), &self.name);
        let means = match (self.hold, self.kind) {
            (true, HoldKind::Activity) => {
                "None of its attempts, verifications and undos begins, in whatever workflow. What is under way ends."
            }
            (true, HoldKind::Queue) => "Nothing more of this queue begins. What is under way ends; timers go on.",
            (true, HoldKind::Workflow) => "No run of it goes on, in any version. What is under way ends; timers go on.",
            (false, _) => "What was put aside goes on at once.",
        };
        Ask {
            section: "fleet",
            from: ("/fleet".to_owned(), "Fleet".to_owned()),
            title: format!("{} the {kind} {name}", if self.hold { "Hold back" } else { "Release" }),
            means: means.to_owned(),
            plan: Vec::new(),
            action: format!("/fleet/{}", if self.hold { "hold" } else { "release" }),
            hidden: vec![("kind".to_owned(), kind.to_owned()), ("name".to_owned(), name.clone())],
            inputs: Vec::new(),
            reason: if self.hold { Reason::Required } else { Reason::Optional },
            label: if self.hold { "Hold back" } else { "Release" },
            grave: self.hold,
            closed: false,
        }
    }
}

async fn ask(
    State(_): State<App>,
    caller: Caller,
    Path(verb): Path<String>,
    OriginalUri(uri): OriginalUri,
) -> Response {
    let fields = Query::<Fields>::try_from_uri(&uri).map(|query| query.0).unwrap_or_default();
    match Held::of(&verb, &fields) {
        Ok(held) => held.form().page(&caller, &Fields::new(), None),
        Err(problem) => problem_page(&problem, &caller),
    }
}

async fn act(State(app): State<App>, caller: Caller, Path(verb): Path<String>, Form(fields): Form<Fields>) -> Response {
    let held = match check_form(&caller, &fields).and_then(|()| Held::of(&verb, &fields)) {
        Ok(held) => held,
        Err(problem) => return problem_page(&problem, &caller),
    };
    match done(&app, &caller, &held, &fields).await {
        Ok(()) => Redirect::to(&verbs::told("/fleet", if held.hold { "hold" } else { "release" })).into_response(),
        Err(problem) => held.form().page(&caller, &fields, Some(&problem)),
    }
}

async fn done(app: &App, caller: &Caller, held: &Held, fields: &Fields) -> Result<(), Problem> {
    check_operator(caller)?;
    let by = Operator { actor: caller.actor.clone(), reason: reason(fields)?, ..Operator::default() };
    if held.hold {
        app.engine.hold(held.kind, &held.name, &by).await?;
    } else {
        app.engine.release(held.kind, &held.name, &by).await?;
    }
    Ok(())
}
