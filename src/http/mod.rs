//! The HTTP face: the only floor that knows statuses, headers and JSON envelopes. docs/api.md describes it for clients.
//!
//! A request passes `request::observe` (id, log, problems), `auth::guard` (who is it, and may they), `extract::bounded` (size before
//! anything else of it is looked at), then its handler, one file per noun. Handlers call [`Engine`] and [`crate::orders`] and
//! wait for nobody else: a worker in the same process is met only in the database.

pub mod auth;
pub mod base;
mod events;
mod export;
mod extract;
mod health;
mod holds;
mod keys;
mod metrics;
pub mod openapi;
mod operations;
mod orders;
mod pages;
pub mod problem;
mod request;
mod retention;
mod run_verbs;
mod runs;
mod schedules;
mod search;
mod verb_bodies;
mod webhooks;
mod wire;

use std::{future::Future, io, time::Duration};

use axum::{Router, middleware::from_fn_with_state};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::{engine::Engine, orders::Orders, telemetry::Recorder};
pub use auth::Door;
use base::Base;
use problem::Problem;

/// How long open requests may take after the server was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// How much larger than a payload a batch's body may be.
const BATCH_FACTOR: usize = 16;

/// What handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    /// Runs.
    pub engine: Engine,
    /// The shop.
    pub orders: Orders,
    /// The largest body, in bytes.
    pub max_payload: usize,
    /// Cancelled when the server is told to stop: long waits end early, and `/readyz` says no.
    pub draining: CancellationToken,
    /// What `/metrics` shows; none: there is no such route.
    scraper: Option<metrics::Scraper>,
    /// The worker in this process whose life `/readyz` vouches for.
    worker: Option<health::OwnWorker>,
    /// Whom it lets in while there are no keys.
    pub door: Door,
    /// Where it is mounted.
    pub base: Base,
}

impl App {
    /// The state of a server over the shop and its engine, whose largest payload is also the largest body.
    pub fn new(orders: Orders) -> Self {
        let engine = orders.engine().clone();
        Self {
            max_payload: engine.max_payload(),
            engine,
            orders,
            draining: CancellationToken::new(),
            door: Door::default(),
            base: Base::default(),
            scraper: None,
            worker: None,
        }
    }

    /// With `/metrics`, which shows what this recorder has got.
    pub fn with_metrics(mut self, recorder: Recorder) -> Self {
        self.scraper = Some(metrics::Scraper::new(recorder));
        self
    }

    /// With a worker of that name in this process: `/readyz` says no when nothing has been heard of it for `silent`.
    pub fn with_worker(mut self, name: String, silent: Duration) -> Self {
        self.worker = Some(health::OwnWorker { name, silent });
        self
    }

    /// For a router that is mounted under this path.
    pub fn at_base(mut self, base: Base) -> Self {
        self.base = base;
        self
    }

    /// Lets everybody in while there are no keys, wherever the server listens.
    pub fn without_keys(mut self, no_auth: bool) -> Self {
        self.door = self.door.without_keys(no_auth);
        self
    }
}

/// All routes. The guard comes before the limit of bodies: the body of a caller without access is not read.
pub fn router(app: App) -> Router {
    let (router, _) = nouns(app.max_payload).split_for_parts();
    let pages = pages::routes(&app).layer(from_fn_with_state(app.max_payload, extract::bounded));
    router
        .merge(pages)
        .layer(from_fn_with_state(app.clone(), auth::guard))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.base.clone(), base::add_to_location))
        .layer(from_fn_with_state(app.base.clone(), request::observe))
        .with_state(app)
}

/// Every noun's routes, with what they state for the OpenAPI document. Who may use them stands in [`auth::roles`].
fn nouns(max_payload: usize) -> OpenApiRouter<App> {
    let bounded = |limit: usize| from_fn_with_state(limit, extract::bounded);
    let api = OpenApiRouter::new()
        .merge(auth::routes().into())
        .merge(holds::routes())
        .merge(keys::routes())
        .merge(operations::routes())
        .merge(orders::routes())
        .merge(export::routes())
        .merge(retention::routes())
        .merge(run_verbs::routes())
        .merge(runs::routes())
        .merge(schedules::routes())
        .merge(search::routes())
        .merge(webhooks::routes())
        .layer(bounded(max_payload));
    let batch = runs::batch_routes().layer(bounded(max_payload.saturating_mul(BATCH_FACTOR)));
    OpenApiRouter::with_openapi(openapi::begin())
        .merge(api)
        .merge(batch)
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(openapi::routes())
}

/// Serves until `shutdown`, then lets open requests end, for ten seconds at most.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let draining = app.draining.clone();
    let mut app = app;
    app.door = app.door.at(listener.local_addr()?.ip());
    until(listener, router(app), draining, shutdown).await
}

/// The same for health and metrics alone: what a worker without an API shows.
///
/// # Errors
/// When the listener fails.
pub async fn serve_health(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let draining = app.draining.clone();
    let (routes, _) = health::routes().merge(metrics::routes()).split_for_parts();
    let router = routes.layer(from_fn_with_state(app.base.clone(), request::observe)).with_state(app);
    until(listener, router, draining, shutdown).await
}

async fn until(
    listener: TcpListener,
    router: Router,
    draining: CancellationToken,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let told = draining.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        told.cancel();
    });
    let too_late = async {
        draining.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = server => served,
        () = too_late => {
            tracing::warn!("requests were still open ten seconds after the server was told to stop");
            Ok(())
        }
    }
}

/// A bug in a handler hurts its own request only.
fn panicked(panic: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("no message"), "a handler panicked");
    axum::response::IntoResponse::into_response(Problem::new(
        "internal_error",
        "a bug; the request id finds it in the log",
    ))
}
