//! `/differences`: what our books and the gateway's disagree about, and the forms that mend it.

use askama::Template;

use super::differences::difference_id;
use crate::{
    engine::Operator,
    http::{
        base::{Base, filters},
        page::{self, Address, Fragment},
        plugin::Form,
        problem::Problem,
    },
    orders::{
        DifferenceFilter, MendDifference, Orders,
        difference::{Difference, DifferenceState, Mend, Reconciliation, amount},
        state::Word,
    },
};

#[derive(Template)]
#[template(path = "differences.html")]
struct DifferencesPage {
    state: DifferenceState,
    comparison: Option<Reconciliation>,
    differences: Vec<Difference>,
    next: Option<String>,
}

/// Differences of a state; open ones, unless another is asked for.
pub(super) async fn render(orders: &Orders, base: &Base, address: &Address) -> Result<Fragment, Problem> {
    let wanted = address.param("state").map_or(Some(DifferenceState::Open), DifferenceState::from_word);
    let state = wanted.ok_or_else(|| Problem::invalid("state is open, mended or gone"))?;
    let cursor = address.param("cursor").map(str::to_owned);
    let found = orders.differences(&DifferenceFilter { state: Some(state), limit: None, cursor }).await?;
    let comparison = orders.reconciliation(None).await?;
    let next = address.next(found.next_cursor);
    let page = DifferencesPage { state, comparison, differences: found.items, next };
    Fragment::render(base, "Differences", "differences", &page)
}

/// The form of a mend: what the dry run says.
pub(super) async fn form(orders: &Orders, address: &Address) -> Result<Form, Problem> {
    let (id, mend) = parts(address)?;
    let difference = orders.difference(id).await?;
    let request = MendDifference { mend, dry_run: true, ..MendDifference::default() };
    let (plan, closed) = match orders.mend_difference(id, &request).await {
        Ok(mended) => (vec![mended.plan], false),
        Err(error) => (vec![error.to_string()], true),
    };
    let label = match mend.unwrap_or(difference.kind.mend()) {
        Mend::Refund => "Refund it",
        Mend::Void => "Void it",
        Mend::Restock => "Put it back",
        Mend::Recount => "Count again",
        Mend::WriteOff => "Write it off",
    };
    Ok(Form {
        section: "differences",
        parent: ("/differences", "Differences"),
        title: format!("Mend {}", words(&difference)),
        means: "A run looks at both sides again, and does this only where they still differ so.",
        plan,
        label,
        done: "begun",
        closed,
    })
}

/// Starts the mend.
pub(super) async fn submit(orders: &Orders, address: &Address, by: &Operator) -> Result<(), Problem> {
    let (id, mend) = parts(address)?;
    let request = MendDifference { reason: by.reason.clone(), mend, dry_run: false };
    orders.acting_as(&by.actor).mend_difference(id, &request).await?;
    Ok(())
}

/// A difference's id, and the mend where the form says one.
fn parts(address: &Address) -> Result<(uuid::Uuid, Option<Mend>), Problem> {
    match address.segments().as_slice() {
        [_, id, "mend"] => Ok((difference_id(id)?, None)),
        [_, id, "write-off"] => Ok((difference_id(id)?, Some(Mend::WriteOff))),
        _ => Err(Problem::new("unknown_route", "no page has this address")),
    }
}

/// The kind, as people say it.
fn words(difference: &Difference) -> String {
    difference.kind.word().replace('_', " ")
}

/// One of its amounts; templates hand references over.
fn shown(number: &i64, difference: &Difference) -> String {
    amount(*number, difference.currency.as_deref())
}
