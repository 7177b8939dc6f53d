//! The HTTP face: the only floor that knows statuses, headers and JSON envelopes. docs/api.md describes it for clients.
//!
//! [`router`] gives the REST API and the dashboard of an engine. It mounts in any axum application, at the root or below a
//! path:
//!
//! ```no_run
//! use axum::Router;
//! use backstitch::{engine::Engine, http};
//!
//! fn routes(engine: Engine) -> Router {
//!     Router::new().nest("/ops/backstitch", http::router(http::App::new(engine)))
//! }
//! ```
//!
//! A request passes `request::observe` (id, log, problems), `auth::guard` (who calls, and may they), `bodies::bounded` (size
//! before anything else is read), then its handler, one file per noun. That of a write goes on to its end (`finish`). Handlers call [`Engine`] and wait for nobody else: a
//! worker in the same process is met only in the database. What a service adds of its own is a [`Plugin`].

pub mod auth;
pub mod base;
mod bodies;
mod events;
mod export;
pub mod extract;
mod feed;
mod finish;
mod health;
mod holds;
mod inbox;
mod keys;
pub mod limits;
mod metrics;
pub mod openapi;
mod operations;
pub mod overload;
mod pages;
mod patience;
pub mod plugin;
pub mod problem;
mod request;
mod retention;
mod run_verbs;
mod runs;
mod schedules;
mod search;
mod serve;
mod verb_bodies;
mod wire;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use self::{
    auth::{Door, roles::Row},
    base::Base,
    bodies::{Bounds, Room},
    openapi::Documents,
    overload::WaitingStarts,
    plugin::{Description, Plugins},
    problem::Problem,
};
use crate::{
    engine::{Engine, Limiter, Rate},
    inbox::Inbox,
    telemetry::Recorder,
};

pub use self::{
    plugin::Plugin,
    request::note_run,
    serve::{serve, serve_health},
    wire::WaitParams,
};

/// What the pages of a plugin are made of.
pub mod page {
    pub use super::pages::{Address, Fragment, Html, link, short, when, when_any};
}

/// How much larger than a payload a batch's body may be.
const BATCH_FACTOR: usize = 16;

/// The memory for all bodies together, unless another is set.
const BODY_MEMORY: usize = 256 << 20;

/// A server's state, which handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    engine: Engine,
    /// The largest body, in bytes.
    max_payload: usize,
    /// The memory for all bodies that are read and handled at a time, in bytes.
    body_memory: usize,
    /// The starts that wait for the database.
    starts: WaitingStarts,
    /// Cancelled when the server is to stop: long waits end early, and `/readyz` says no.
    draining: CancellationToken,
    /// What `/metrics` shows; none: there is no such route.
    scraper: Option<metrics::Scraper>,
    /// The worker in this process whose life `/readyz` vouches for.
    worker: Option<health::OwnWorker>,
    /// How often each key may write.
    key_limit: Option<Limiter>,
    /// Who is let in while there are no keys.
    door: Door,
    /// Where it is mounted.
    base: Base,
    /// The sources of events from outside.
    inbox: Arc<Inbox>,
    plugins: Plugins,
    /// Who may call the plugins' routes.
    access: Arc<Vec<Row>>,
    documents: Arc<Documents>,
}

impl App {
    /// A server over an engine, whose largest payload is also the largest body.
    pub fn new(engine: Engine) -> Self {
        Self {
            max_payload: engine.max_payload(),
            body_memory: BODY_MEMORY,
            engine,
            starts: WaitingStarts::new(overload::MOST_WAITING),
            draining: CancellationToken::new(),
            scraper: None,
            worker: None,
            key_limit: None,
            door: Door::default(),
            base: Base::default(),
            inbox: Arc::default(),
            plugins: Plugins::default(),
            access: Arc::default(),
            documents: Arc::default(),
        }
    }

    /// With what a service adds.
    pub fn with_plugin(mut self, plugin: impl Plugin) -> Self {
        let rows = self.access.iter().chain(plugin.description().access).copied().collect();
        self.access = Arc::new(rows);
        self.plugins.add(Arc::new(plugin));
        self
    }

    /// With so many bytes of memory for all bodies that are read and handled at a time, 256 MiB unless set, and at least one
    /// batch; what is beyond is refused with `too_many_bodies`.
    pub const fn with_body_memory(mut self, bytes: usize) -> Self {
        self.body_memory = bytes;
        self
    }

    /// With so many starts that wait for the database at a time, 1,000 unless set; what is beyond is refused with `overloaded`.
    pub fn with_waiting_starts(mut self, most: usize) -> Self {
        self.starts = WaitingStarts::new(most);
        self
    }

    /// With a limit on how often each API key may write, shared by all servers; beyond it requests are refused with
    /// `rate_limited`.
    pub fn with_key_limit(mut self, rate: Rate) -> Self {
        self.key_limit = Some(self.engine.limiter("key", rate));
        self
    }

    /// With sources of events from outside, at `/v1/inbox/{source}`.
    pub fn with_inbox(mut self, inbox: Inbox) -> Self {
        self.inbox = Arc::new(inbox);
        self
    }

    /// With `/metrics`, which shows what this recorder has got.
    pub fn with_metrics(mut self, recorder: Recorder) -> Self {
        self.scraper = Some(metrics::Scraper::new(recorder));
        self
    }

    /// With a worker of that name in this process: `/readyz` says no when it has been silent for longer than `silent`.
    pub fn with_worker(mut self, name: String, silent: Duration) -> Self {
        self.worker = Some(health::OwnWorker { name, silent });
        self
    }

    /// With links and cookies for this path, where a proxy strips it. A router that is nested ([`Router::nest`]) finds out
    /// by itself.
    pub fn at_base(mut self, path: &str) -> Self {
        self.base = Base::new(path);
        self
    }

    /// Ends long requests when this token is cancelled. [`serve()`] cancels it; a service that serves by itself should.
    pub fn with_draining(mut self, draining: CancellationToken) -> Self {
        self.draining = draining;
        self
    }

    /// Lets everybody in while there are no keys, wherever the server listens.
    pub fn without_keys(mut self, no_auth: bool) -> Self {
        self.door = self.door.without_keys(no_auth);
        self
    }

    /// For a server that listens at this address: on a loopback address no key is asked for while there are none. [`serve()`]
    /// says so itself.
    pub fn listening_at(mut self, address: IpAddr) -> Self {
        self.door = self.door.at(address);
        self
    }

    /// Checks this often whether callers of open event streams may still read. For tests.
    pub fn checking_streams_every(mut self, span: Duration) -> Self {
        self.door = self.door.looking_again_every(span);
        self
    }

    /// The engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The places of starts that wait for the database: a plugin's routes that start runs take theirs here.
    pub const fn waiting_starts(&self) -> &WaitingStarts {
        &self.starts
    }

    /// Cancelled when the server is to stop.
    pub const fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    fn descriptions(&self) -> Vec<Description> {
        self.plugins.iter().map(Plugin::description).collect()
    }
}

/// All routes. The guard comes before the limit of bodies: the body of a caller without access is not read.
pub fn router(app: App) -> Router {
    let room = Room::new(app.body_memory.max(app.max_payload.saturating_mul(BATCH_FACTOR)));
    let bounded = || from_fn_with_state(Bounds { limit: app.max_payload, room: room.clone() }, bodies::bounded);
    let (api, _) = nouns(&room, app.max_payload).split_for_parts();
    let own = api.merge(pages::routes(&app).layer(bounded())).with_state(app.clone());
    app.plugins
        .iter()
        .fold(own, |router, plugin| router.merge(plugin.routes(&app).layer(bounded())))
        .layer(from_fn_with_state(app.clone(), auth::guard))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), pages::show_problems))
        .layer(from_fn_with_state(app.base.clone(), base::add_to_location))
        .layer(from_fn(request::observe))
}

/// Every noun's routes, with what they state for the OpenAPI document. Who may use them stands in [`auth::roles`].
fn nouns(room: &Room, max_payload: usize) -> OpenApiRouter<App> {
    let bounded = |limit: usize| from_fn_with_state(Bounds { limit, room: room.clone() }, bodies::bounded);
    let api = OpenApiRouter::new()
        .merge(auth::routes().into())
        .merge(holds::routes())
        .merge(inbox::routes())
        .merge(keys::routes())
        .merge(operations::routes())
        .merge(export::routes())
        .merge(feed::routes())
        .merge(retention::routes())
        .merge(run_verbs::routes())
        .merge(runs::routes())
        .merge(schedules::routes())
        .merge(search::routes())
        .layer(bounded(max_payload));
    let batch = runs::batch_routes().layer(bounded(max_payload.saturating_mul(BATCH_FACTOR)));
    OpenApiRouter::with_openapi(openapi::begin())
        .merge(api)
        .merge(batch)
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(openapi::routes())
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
