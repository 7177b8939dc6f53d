//! The shop's face: its REST routes and its pages of the dashboard, as a [`Plugin`] of [`crate::http`]. It uses nothing of
//! `http` that another service could not use.

mod orders;
mod pages;
mod problem;
mod webhooks;

use axum::Router;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::{
    engine::{self, Limiter, Rate},
    http::{
        App, Plugin,
        auth::roles::{
            Access::{Least, Open},
            Row,
        },
        base::Base,
        page::{Address, Fragment},
        plugin::{Description, Gauge, PluginFuture, Section},
        problem::Problem,
    },
    orders::{Error, Orders},
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
];

const TAGS: &[(&str, &str)] = &[
    ("orders", "The shop's orders."),
    ("items", "The shop's items and their stock."),
    ("webhooks", "What payment gateways report."),
];

const SECTIONS: &[Section] =
    &[Section { address: "/orders", name: "Orders", word: "orders", routes: &["/orders", "/orders/{id}"] }];

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
    /// Cancelled when the server is to stop: waits end early.
    draining: CancellationToken,
}

fn api() -> OpenApiRouter<State> {
    OpenApiRouter::new().merge(orders::routes()).merge(webhooks::routes())
}

impl Plugin for Shop {
    fn description(&self) -> Description {
        description()
    }

    fn routes(&self, app: &App) -> Router {
        let (routes, _) = api().split_for_parts();
        let (orders, customer_limit) = (self.orders.clone(), self.customer_limit.clone());
        routes.with_state(State { orders, customer_limit, draining: app.draining().clone() })
    }

    fn sections(&self) -> &'static [Section] {
        SECTIONS
    }

    fn render<'a>(&'a self, address: &'a Address, base: &'a Base) -> PluginFuture<'a, Result<Fragment, Problem>> {
        Box::pin(async move {
            match address.segments().as_slice() {
                ["orders", id] => pages::render_one(&self.orders, base, id).await,
                _ => pages::render_list(&self.orders, base, address).await,
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
            let lag = self.orders.outbox_lag().await.map_err(into_engine_error)?;
            let help = "Age of the oldest recorded refund that the gateway has not accepted yet; 0 if there is none";
            Ok(vec![Gauge { name: "backstitch_outbox_lag_seconds", help, value: lag }])
        })
    }
}

/// What reading alone can fail with is the engine's.
fn into_engine_error(error: Error) -> engine::Error {
    match error {
        Error::Engine(error) => error,
        other => engine::Error::InvalidRequest(other.to_string()),
    }
}
