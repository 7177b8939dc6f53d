//! The shop's face: its REST routes and its pages of the dashboard, as a [`Plugin`] of [`crate::http`]. It uses nothing of
//! `http` that another service could not use.

mod books_page;
mod differences;
mod notices_page;
mod notifications;
mod orders;
mod pages;
mod problem;
mod providers;
mod vendors;
mod vendors_page;
mod webhooks;

use axum::Router;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::{
    engine::{self, BreakerMode, BreakerScope, BreakerState, BreakerStatus, Limiter, Rate},
    http::{
        App, Plugin,
        auth::roles::{
            Access::{Least, Open},
            Row,
        },
        base::Base,
        overload::WaitingStarts,
        page::{Address, Fragment},
        plugin::{Description, Form, Gauge, PluginFuture, Section},
        problem::Problem,
    },
    orders::{Error, NotificationState, Orders, VendorInfo, difference::DifferenceKind, state::Word},
    payments::pool::OPERATIONS,
};
use engine::Role::{Operator, Starter};

/// Who may call the shop's routes. Webhooks authenticate by their signature, over the raw bytes.
const ACCESS: &[Row] = &[
    ("POST", "/v1/webhooks/*", Open),
    ("POST", "/v1/orders", Least(Starter)),
    ("PATCH", "/v1/orders/{id}", Least(Starter)),
    ("POST", "/v1/orders/{id}/cancel", Least(Starter)),
    ("POST", "/v1/orders/{id}/fulfilment", Least(Starter)),
    ("PUT", "/v1/items/{sku}", Least(Operator)),
    ("POST", "/v1/reconciliation", Least(Operator)),
    ("POST", "/v1/differences/{id}/mend", Least(Operator)),
    ("PUT", "/v1/vendors/{name}", Least(Operator)),
    ("PUT", "/v1/providers/{name}", Least(Operator)),
    ("POST", "/v1/notifications", Least(Operator)),
    ("POST", "/v1/notifications/{id}/resend", Least(Operator)),
];

const TAGS: &[(&str, &str)] = &[
    ("orders", "The shop's orders."),
    ("items", "The shop's items and their stock."),
    ("books", "What our books and the gateway's disagree about."),
    ("notifications", "What people were told of orders."),
    ("vendors", "Where orders are paid."),
    ("webhooks", "What payment vendors report."),
];

const SECTIONS: &[Section] = &[
    Section { address: "/orders", name: "Orders", word: "orders", routes: &["/orders", "/orders/{id}"] },
    Section { address: "/differences", name: "Differences", word: "differences", routes: &["/differences"] },
    Section { address: "/notifications", name: "Notifications", word: "notifications", routes: &["/notifications"] },
    Section { address: "/vendors", name: "Vendors", word: "vendors", routes: &["/vendors"] },
];

/// The forms of a difference: what mends its kind, or nothing; a notification once more; those of a vendor's and a provider's
/// breakers.
const FORMS: &[&str] = &[
    "/differences/{id}/mend",
    "/differences/{id}/write-off",
    "/notifications/{id}/resend",
    "/notifications/providers/{name}/auto",
    "/notifications/providers/{name}/open",
    "/notifications/providers/{name}/closed",
    "/vendors/{name}/auto",
    "/vendors/{name}/open",
    "/vendors/{name}/closed",
];

/// The shop as a part of a server.
#[derive(Clone, Debug)]
pub struct Shop {
    orders: Orders,
    customer_limit: Option<Limiter>,
}

impl Shop {
    /// The face of an order service.
    pub const fn new(orders: Orders) -> Self {
        Self { orders, customer_limit: None }
    }

    /// With a limit on how often each customer may place, change and cancel orders, shared by all servers.
    pub fn with_customer_limit(mut self, rate: Rate) -> Self {
        self.customer_limit = Some(self.orders.engine().limiter("customer", rate));
        self
    }
}

/// A server with the shop.
pub fn app(orders: Orders) -> App {
    App::new(orders.engine().clone()).with_plugin(Shop::new(orders))
}

/// The shop's part of the API's description.
pub fn description() -> Description {
    let (_, openapi) = api().split_for_parts();
    Description { openapi, tags: TAGS, codes: problem::CODES, access: ACCESS }
}

/// What the shop's handlers share.
#[derive(Clone, Debug)]
struct State {
    orders: Orders,
    customer_limit: Option<Limiter>,
    starts: WaitingStarts,
    /// Cancelled when the server is to stop: waits end early.
    draining: CancellationToken,
}

fn api() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .merge(orders::routes())
        .merge(differences::routes())
        .merge(vendors::routes())
        .merge(providers::routes())
        .merge(notifications::routes())
        .merge(webhooks::routes())
}

impl Plugin for Shop {
    fn description(&self) -> Description {
        description()
    }

    fn routes(&self, app: &App) -> Router {
        let (routes, _) = api().split_for_parts();
        let (orders, customer_limit) = (self.orders.clone(), self.customer_limit.clone());
        let (starts, draining) = (app.waiting_starts().clone(), app.draining().clone());
        routes.with_state(State { orders, customer_limit, starts, draining })
    }

    fn sections(&self) -> &'static [Section] {
        SECTIONS
    }

    fn render<'a>(&'a self, address: &'a Address, base: &'a Base) -> PluginFuture<'a, Result<Fragment, Problem>> {
        Box::pin(async move {
            match address.segments().as_slice() {
                ["notifications"] => notices_page::render(&self.orders, base, address).await,
                ["differences"] => books_page::render(&self.orders, base, address).await,
                ["vendors"] => vendors_page::render(&self.orders, base).await,
                ["orders", id] => pages::render_one(&self.orders, base, id).await,
                _ => pages::render_list(&self.orders, base, address).await,
            }
        })
    }

    fn forms(&self) -> &'static [&'static str] {
        FORMS
    }

    fn form<'a>(&'a self, address: &'a Address) -> PluginFuture<'a, Result<Form, Problem>> {
        Box::pin(async move {
            match address.segments().first() {
                Some(&"vendors") => vendors_page::form(&self.orders, address).await,
                Some(&"notifications") => notices_page::form(&self.orders, address).await,
                _ => books_page::form(&self.orders, address).await,
            }
        })
    }

    fn submit<'a>(&'a self, address: &'a Address, by: &'a engine::Operator) -> PluginFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            match address.segments().first() {
                Some(&"vendors") => vendors_page::submit(&self.orders, address, by).await,
                Some(&"notifications") => notices_page::submit(&self.orders, address, by).await,
                _ => books_page::submit(&self.orders, address, by).await,
            }
        })
    }

    fn find(&self, id: Uuid) -> PluginFuture<'_, Option<String>> {
        Box::pin(async move { self.orders.get(id).await.is_ok().then(|| format!("/orders/{id}")) })
    }

    fn is_migrated(&self) -> PluginFuture<'_, Result<bool, engine::Error>> {
        Box::pin(async move {
            self.orders.missing_migrations().await.map(|missing| missing.is_empty()).map_err(into_engine_error)
        })
    }

    fn gauges(&self) -> PluginFuture<'_, Result<Vec<Gauge>, engine::Error>> {
        Box::pin(async move {
            let waiting = self.orders.refunds_waiting().await.map_err(into_engine_error)?;
            let help = "Age of the oldest recorded refund that the gateway has not accepted yet; 0 if there is none";
            let waiting =
                Gauge { name: "backstitch_refunds_waiting_seconds", help, values: vec![(String::new(), waiting)] };
            let open = self.orders.open_differences().await.map_err(into_engine_error)?;
            let count = |(kind, word): &(DifferenceKind, &str)| {
                let found = open.iter().find(|open| open.kind == *kind).map_or(0, |open| open.count);
                (format!("kind=\"{word}\""), found as f64)
            };
            let differences = Gauge {
                name: "backstitch_shop_differences",
                help: "Open differences between our books and the gateway's, by kind",
                values: DifferenceKind::WORDS.iter().map(count).collect(),
            };
            let unsent = self.orders.unsent_notifications().await.map_err(into_engine_error)?;
            let count = |(state, word): &(NotificationState, &str)| {
                let found = unsent.iter().find(|unsent| unsent.state == *state).map_or(0, |unsent| unsent.count);
                (format!("state=\"{word}\""), found as f64)
            };
            let of_unsent = NotificationState::WORDS.iter().filter(|(state, _)| *state != NotificationState::Sent);
            let notifications = Gauge {
                name: "backstitch_shop_notifications",
                help: "Notifications that are not sent, by state; parked ones wait for an operator",
                values: of_unsent.map(count).collect(),
            };
            let unsent = self.orders.unsent_alerts().await.map_err(into_engine_error)?;
            let alerts = Gauge {
                name: "backstitch_shop_alerts_unsent",
                help: "Alerts to operators that no mail server or webhook has taken yet",
                values: vec![(String::new(), unsent as f64)],
            };
            let vendors = self.orders.vendors().await.map_err(into_engine_error)?;
            let providers = self.orders.notice_breakers().await.map_err(into_engine_error)?;
            Ok(vec![waiting, differences, notifications, alerts, breakers_gauge(&vendors, &providers)])
        })
    }
}

/// How the breakers of vendors stand, and those of providers of notices that have had a failure: an operator's word counts,
/// otherwise their own.
fn breakers_gauge(vendors: &[VendorInfo], providers: &[BreakerScope]) -> Gauge {
    let severity = |mode: BreakerMode, own: Option<BreakerState>| match mode {
        BreakerMode::Open => BreakerState::Open.severity(),
        BreakerMode::Closed => BreakerState::Closed.severity(),
        BreakerMode::Auto => own.map_or(0, BreakerState::severity),
    };
    let label = |vendor: &str, operation: &str| format!("vendor=\"{vendor}\",operation=\"{operation}\"");
    let of_vendor = |vendor: &VendorInfo, operation: &str| {
        let known = vendor.breakers.iter().find(|breaker| breaker.operation == operation);
        let severity = severity(vendor.state, known.map(|breaker| breaker.state));
        (label(&vendor.name, operation), f64::from(severity))
    };
    let of_vendors = vendors.iter().flat_map(|vendor| OPERATIONS.iter().map(move |name| of_vendor(vendor, name)));
    let of_providers = providers.iter().flat_map(|known| {
        let of = |breaker: &BreakerStatus| {
            (label(&known.scope, &breaker.operation), f64::from(severity(known.mode, Some(breaker.state))))
        };
        known.operations.iter().map(of).collect::<Vec<_>>()
    });
    Gauge {
        name: "backstitch_shop_breaker_state",
        help: "A breaker of a vendor, or of a provider of notices: 0 closed, 1 half open, 2 open",
        values: of_vendors.chain(of_providers).collect(),
    }
}

/// What reading alone can fail with is the engine's.
fn into_engine_error(error: Error) -> engine::Error {
    match error {
        Error::Engine(error) => error,
        other => engine::Error::InvalidRequest(other.to_string()),
    }
}
