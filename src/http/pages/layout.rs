//! The frame around every page: title, navigation, who is signed in. And what goes into it: a fragment, or a problem.

use askama::Template;

use super::assets;
use crate::http::{App, auth::Caller, base::filters, problem::Problem};

/// The parts of the dashboard: address, name, and the word that pages name theirs by.
const SECTIONS: &[(&str, &str, &str)] = &[
    ("/", "Overview", "overview"),
    ("/runs", "Runs", "runs"),
    ("/attention", "Attention", "attention"),
    ("/operations", "Operations", "operations"),
    ("/fleet", "Fleet", "fleet"),
    ("/schedules", "Schedules", "schedules"),
    ("/orders", "Orders", "orders"),
    ("/audit", "Audit", "audit"),
];

/// What `base.html` shows around a page's content.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Of the document.
    pub(super) title: String,
    /// The part of the dashboard that is shown; empty: no navigation.
    pub(super) section: &'static str,
    /// The address that is kept up to date, on pages that change by themselves.
    pub(super) live: Option<String>,
    /// Who is signed in.
    pub(super) actor: String,
    /// Their role, as a word.
    pub(super) role: &'static str,
    /// What forms have to send back.
    pub(super) csrf: String,
}

impl Frame {
    /// A page of the dashboard.
    pub(super) fn new(title: String, section: &'static str, caller: &Caller) -> Self {
        let Caller { actor, role, csrf } = caller.clone();
        Self { title, section, live: None, actor, role: role.word(), csrf }
    }

    /// The navigation.
    pub(super) fn sections(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        SECTIONS
    }

    /// The version in the assets' addresses.
    pub(super) fn assets_version(&self) -> &'static str {
        assets::version()
    }
}

/// The content of a page that changes by itself. It depends on nobody's role or session, so that one rendering serves all
/// who follow the page.
#[derive(Clone, Debug)]
pub(super) struct Fragment {
    /// Of the document.
    pub(super) title: String,
    /// The part of the dashboard.
    pub(super) section: &'static str,
    /// HTML.
    pub(super) html: String,
}

impl Fragment {
    /// Renders a template.
    pub(super) fn render<T: Template>(
        app: &App,
        title: impl Into<String>,
        section: &'static str,
        template: &T,
    ) -> Result<Self, Problem> {
        let html = app.base.render(template).map_err(|error| Problem::internal("internal_error", &error))?;
        Ok(Self { title: title.into(), section, html })
    }
}

/// A fragment in its frame.
#[derive(Template)]
#[template(path = "page.html")]
pub(super) struct Page {
    pub(super) frame: Frame,
    /// What was just done.
    pub(super) notice: Option<String>,
    /// The content, which is HTML.
    pub(super) fragment: String,
}

/// A problem.
#[derive(Template)]
#[template(path = "problem.html")]
pub(super) struct ProblemPage<'a> {
    pub(super) frame: Frame,
    pub(super) problem: &'a Problem,
}
