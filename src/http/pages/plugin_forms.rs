//! Forms of plugins: the same page as for the engine's own, with what the plugin says.

use axum::{Form as Sent, Router, http::Uri, response::Response, routing::get};

use super::{
    address::Address,
    confirmation::{self, Confirmation},
    context::Context,
    forms::Fields,
    notices::with_notice,
};
use crate::http::{
    App,
    plugin::{Form, Plugin},
    problem::Problem,
};

/// The routes.
pub(super) fn routes(app: &App) -> Router<App> {
    let forms = app.plugins.iter().flat_map(Plugin::forms);
    forms.fold(Router::new(), |router, form| router.route(form, get(show).post(submit)))
}

fn owner<'a>(context: &'a Context, address: &Address) -> Result<&'a dyn Plugin, Problem> {
    let none = || Problem::new("unknown_route", "no page has this address");
    context.app.plugins.owner(address.path()).ok_or_else(none)
}

fn confirmation(address: &Address, form: Form) -> Confirmation {
    let Form { section, parent, title, means, plan, label, closed, done: _ } = form;
    Confirmation {
        section,
        parent: (parent.0.to_owned(), parent.1.to_owned()),
        title,
        means,
        plan,
        action: address.path().to_owned(),
        needs_reason: true,
        label,
        grave: true,
        closed,
        ..Confirmation::default()
    }
}

async fn show(context: Context, uri: Uri) -> Response {
    let form = async {
        let address = Address::of(&uri)?;
        Ok(confirmation(&address, owner(&context, &address)?.form(&address).await?))
    };
    confirmation::show(&context, form.await)
}

async fn submit(context: Context, uri: Uri, Sent(fields): Sent<Fields>) -> Response {
    if let Err(problem) = context.check_form(&fields) {
        return context.show_problem(&problem);
    }
    let form = async {
        let address = Address::of(&uri)?;
        let plugin = owner(&context, &address)?;
        let form = plugin.form(&address).await?;
        Ok::<_, Problem>((plugin, address, form))
    };
    let (plugin, address, form) = match form.await {
        Ok(found) => found,
        Err(problem) => return context.show_problem(&problem),
    };
    let (parent, done) = (form.parent.0, form.done);
    let perform = async {
        let by = context.operator(&fields)?;
        if by.reason.is_none() {
            return Err(Problem::new("reason_required", "a reason is needed"));
        }
        plugin.submit(&address, &by).await?;
        Ok(with_notice(parent, done))
    };
    confirmation::submit(&context, &fields, Ok(confirmation(&address, form)), perform).await
}
