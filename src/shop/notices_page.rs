//! `/notifications`: what people were told of orders, and the form that tells them again.

use askama::Template;
use uuid::Uuid;

use super::notifications::notification_id;
use crate::{
    engine::{BreakerScope, BreakerStatus, Operator},
    http::{
        base::{Base, filters},
        page::{self, Address, Fragment},
        plugin::Form,
        problem::Problem,
    },
    orders::{Notification, NotificationFilter, NotificationState, Orders, state::Word},
};

#[derive(Template)]
#[template(path = "notifications.html")]
struct NotificationsPage {
    state: NotificationState,
    notifications: Vec<Notification>,
    next: Option<String>,
    providers: Vec<BreakerScope>,
}

/// Notifications of a state; parked ones, unless another is asked for.
pub(super) async fn render(orders: &Orders, base: &Base, address: &Address) -> Result<Fragment, Problem> {
    let wanted = address.param("state").map_or(Some(NotificationState::Parked), NotificationState::from_word);
    let state = wanted.ok_or_else(|| Problem::invalid("state is pending, sent, failed or parked"))?;
    let cursor = address.param("cursor").map(str::to_owned);
    let filter = NotificationFilter { state: Some(state), cursor, ..NotificationFilter::default() };
    let found = orders.notifications(&filter).await?;
    let (providers, next) = (orders.notice_breakers().await?, address.next(found.next_cursor));
    let page = NotificationsPage { state, notifications: found.items, next, providers };
    Fragment::render(base, "Notifications", "notifications", &page)
}

/// A provider's name, of the scope of its breakers.
fn provider(scope: &BreakerScope) -> &str {
    scope.scope.split_once('/').map_or(scope.scope.as_str(), |(_, name)| name)
}

fn state(breaker: &BreakerStatus) -> String {
    breaker.state.word().replace('_', " ")
}

/// The form that sends one again.
pub(super) fn form(address: &Address) -> Result<Form, Problem> {
    let id = id_of(address)?;
    Ok(Form {
        section: "notifications",
        parent: ("/notifications", "Notifications"),
        title: format!("Send notification {id} again"),
        means: "It keeps its id: who has it already can tell.",
        plan: vec!["A worker sends it, with the order as it is then.".to_owned()],
        label: "Send it again",
        done: "begun",
        closed: false,
    })
}

/// Sends it again.
pub(super) async fn submit(orders: &Orders, address: &Address, by: &Operator) -> Result<(), Problem> {
    orders.acting_as(&by.actor).resend_notification(id_of(address)?).await?;
    Ok(())
}

fn id_of(address: &Address) -> Result<Uuid, Problem> {
    match address.segments().as_slice() {
        [_, id, "resend"] => notification_id(id),
        _ => Err(Problem::new("unknown_route", "no page has this address")),
    }
}
