//! What a service adds to the API and the dashboard beside the engine's own: routes, pages, codes, gauges. The shop is one.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use axum::Router;
use utoipa::openapi::OpenApi;
use uuid::Uuid;

use super::{
    App,
    auth::roles::Row,
    base::Base,
    page::{Address, Fragment},
    problem::{Code, Problem},
};
use crate::engine::{Error, Operator};

/// What the calls of a plugin give.
pub type PluginFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a plugin adds to the description of the API. It needs no database.
#[derive(Clone, Default)]
pub struct Description {
    /// Operations and schemas, as `utoipa_axum::router::OpenApiRouter::split_for_parts` gives them. The codes of a handler's
    /// problems stand in its extension `x-problems`.
    pub openapi: OpenApi,
    /// The groups of its operations, each with a sentence.
    pub tags: &'static [(&'static str, &'static str)],
    /// The codes of its problems, beside the engine's.
    pub codes: &'static [Code],
    /// Who may call its routes. Reading under `/v1` needs a viewer unless a row says otherwise; anything else that no row
    /// names needs an admin.
    pub access: &'static [Row],
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Description").field("tags", &self.tags).field("codes", &self.codes).finish_non_exhaustive()
    }
}

/// A part of the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Where it begins: `/tenants`.
    pub address: &'static str,
    /// Its name in the navigation.
    pub name: &'static str,
    /// The word by which its pages name it ([`Fragment::section`]).
    pub word: &'static str,
    /// The routes of its pages: `/tenants`, `/tenants/{id}`.
    pub routes: &'static [&'static str],
}

/// A form of the dashboard that an operator confirms: what would happen, a reason, and a button.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// The section's word.
    pub section: &'static str,
    /// The page that it belongs to: address and name.
    pub parent: (&'static str, &'static str),
    /// Its title.
    pub title: String,
    /// What it means, in a sentence.
    pub means: &'static str,
    /// What would happen, in sentences.
    pub plan: Vec<String>,
    /// What its button says.
    pub label: &'static str,
    /// What its page says then: `begun` where a run does it, `set` where it is done.
    pub done: &'static str,
    /// What can't be done at present: the button is dim.
    pub closed: bool,
}

/// A number for `/metrics`, read from the database when it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Gauge {
    /// The metric's whole name.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// Its values, each with its label, `name="value"`; without one where it is empty.
    pub values: Vec<(String, f64)>,
}

/// What a service adds. Every part may be left out. The guard, the limit on bodies, request ids and the form of errors apply
/// to its routes as to the engine's own.
pub trait Plugin: Send + Sync + 'static {
    /// Its part of the API's description, and who may call it.
    fn description(&self) -> Description {
        Description::default()
    }

    /// Its routes, with their state. `app` has what long requests need: [`App::draining`].
    fn routes(&self, app: &App) -> Router {
        let _ = app;
        Router::new()
    }

    /// Its parts of the dashboard.
    fn sections(&self) -> &'static [Section] {
        &[]
    }

    /// The content of a page of its sections. Live updates render it again, at most every second, for all who look.
    fn render<'a>(&'a self, address: &'a Address, base: &'a Base) -> PluginFuture<'a, Result<Fragment, Problem>> {
        let _ = (address, base);
        Box::pin(async { Err(Problem::new("unknown_route", "no page has this address")) })
    }

    /// The routes of its forms: `/tenants/{id}/close`.
    fn forms(&self) -> &'static [&'static str] {
        &[]
    }

    /// The form of an address, as a dry run: nothing is done.
    fn form<'a>(&'a self, address: &'a Address) -> PluginFuture<'a, Result<Form, Problem>> {
        let _ = address;
        Box::pin(async { Err(Problem::new("unknown_route", "no page has this address")) })
    }

    /// Does what a form says, for an operator who gave a reason. A refusal shows the form again.
    fn submit<'a>(&'a self, address: &'a Address, by: &'a Operator) -> PluginFuture<'a, Result<(), Problem>> {
        let _ = (address, by);
        Box::pin(async { Err(Problem::new("unknown_route", "no page has this address")) })
    }

    /// The address of the page of something with this id, where the plugin knows it: the dashboard's search asks.
    fn find(&self, id: Uuid) -> PluginFuture<'_, Option<String>> {
        let _ = id;
        Box::pin(async { None })
    }

    /// Whether the database has its schema: until then `/readyz` says no.
    fn is_migrated(&self) -> PluginFuture<'_, Result<bool, Error>> {
        Box::pin(async { Ok(true) })
    }

    /// Its gauges; none of them is shown where the database does not answer.
    fn gauges(&self) -> PluginFuture<'_, Result<Vec<Gauge>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// The plugins of a server. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Plugins(Arc<Vec<Arc<dyn Plugin>>>);

impl Plugins {
    pub(super) fn add(&mut self, plugin: Arc<dyn Plugin>) {
        let mut plugins = self.0.as_ref().clone();
        plugins.push(plugin);
        self.0 = Arc::new(plugins);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &dyn Plugin> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// All parts of the dashboard that plugins add.
    pub(super) fn sections(&self) -> impl Iterator<Item = &'static Section> {
        self.iter().flat_map(Plugin::sections)
    }

    /// The plugin that has the page of this path.
    pub(super) fn owner(&self, path: &str) -> Option<&dyn Plugin> {
        let below = |section: &Section| {
            path.strip_prefix(section.address).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.iter().find(|plugin| plugin.sections().iter().any(below))
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugins").field(&self.0.len()).finish()
    }
}
