//! `/notifications`: what people were told of orders, and by whom; the forms that tell them again, and that open and close the
//! breakers of providers.

use askama::Template;
use uuid::Uuid;

use super::notifications::notification_id;
use crate::{
    engine::{BreakerMode, BreakerStatus, Operator},
    http::{
        base::{Base, filters},
        page::{self, Address, Fragment},
        plugin::Form,
        problem::Problem,
    },
    orders::{
        Error, Notification, NotificationFilter, NotificationState, Orders, ProviderInfo, SetBreakers, state::Word,
    },
};

#[derive(Template)]
#[template(path = "notifications.html")]
struct NotificationsPage {
    state: NotificationState,
    notifications: Vec<Notification>,
    next: Option<String>,
    providers: Vec<ProviderInfo>,
}

/// Notifications of a state; parked ones, unless another is asked for.
pub(super) async fn render(orders: &Orders, base: &Base, address: &Address) -> Result<Fragment, Problem> {
    let wanted = address.param("state").map_or(Some(NotificationState::Parked), NotificationState::from_word);
    let state = wanted.ok_or_else(|| Problem::invalid("state is pending, sent, failed or parked"))?;
    let cursor = address.param("cursor").map(str::to_owned);
    let filter = NotificationFilter { state: Some(state), cursor, ..NotificationFilter::default() };
    let found = orders.notifications(&filter).await?;
    let (providers, next) = (orders.providers().await?, address.next(found.next_cursor));
    let page = NotificationsPage { state, notifications: found.items, next, providers };
    Fragment::render(base, "Notifications", "notifications", &page)
}

/// The channels of a provider.
fn channels(provider: &ProviderInfo) -> String {
    provider.channels.iter().map(|channel| channel.word()).collect::<Vec<_>>().join(", ")
}

fn state(breaker: &BreakerStatus) -> String {
    breaker.state.word().replace('_', " ")
}

/// What a form does.
enum Wanted<'a> {
    /// Sends one again.
    Resend(Uuid),
    /// Sets a provider's breakers.
    Set(&'a str, BreakerMode),
}

impl<'a> Wanted<'a> {
    fn of(address: &'a Address) -> Result<Self, Problem> {
        let unknown = || Problem::new("unknown_route", "no page has this address");
        match address.segments().as_slice() {
            [_, id, "resend"] => Ok(Self::Resend(notification_id(id)?)),
            [_, "providers", name, mode] => Ok(Self::Set(name, mode.parse().map_err(|_| unknown())?)),
            _ => Err(unknown()),
        }
    }
}

/// The form of an address.
pub(super) async fn form(orders: &Orders, address: &Address) -> Result<Form, Problem> {
    let (title, means, plan, label, done) = match Wanted::of(address)? {
        Wanted::Resend(id) => (
            format!("Send notification {id} again"),
            "It keeps its id: who has it already can tell.",
            vec!["A worker sends it, with the order as it is then.".to_owned()],
            "Send it again",
            "begun",
        ),
        Wanted::Set(name, mode) => {
            if !orders.providers().await?.iter().any(|known| known.name == name) {
                return Err(Error::UnknownProvider(name.to_owned()).into());
            }
            let (verb, means, label) = match mode {
                BreakerMode::Open => {
                    ("Hold back", "It gets no message. Its channel's other providers do, or messages wait.", "Open")
                }
                BreakerMode::Closed => ("Let through", "It gets all messages, whatever becomes of them.", "Close"),
                BreakerMode::Auto => {
                    ("Leave to its breakers", "Messages are held back only while most of them fail.", "Auto")
                }
            };
            (format!("{verb}: {name}"), means, Vec::new(), label, "set")
        }
    };
    let (section, parent) = ("notifications", ("/notifications", "Notifications"));
    Ok(Form { section, parent, title, means, plan, label, done, closed: false })
}

/// Does what the form says.
pub(super) async fn submit(orders: &Orders, address: &Address, by: &Operator) -> Result<(), Problem> {
    let orders = orders.acting_as(&by.actor);
    match Wanted::of(address)? {
        Wanted::Resend(id) => drop(orders.resend_notification(id).await?),
        Wanted::Set(name, state) => {
            orders.set_provider(name, &SetBreakers { state, reason: by.reason.clone() }).await?;
        }
    }
    Ok(())
}
