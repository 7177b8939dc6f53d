//! The frame around every page: title, navigation, who is signed in. And what goes into it: a fragment, or a problem.

use askama::Template;

use super::assets;
use crate::http::{
    App,
    auth::Caller,
    base::{Base, filters},
    problem::Problem,
};

/// A part of the dashboard in the navigation: address, name, and the word that pages name theirs by.
type Entry = (&'static str, &'static str, &'static str);

/// The engine's own parts of the dashboard; those of plugins come after them.
const SECTIONS: &[Entry] = &[
    ("/", "Overview", "overview"),
    ("/runs", "Runs", "runs"),
    ("/attention", "Attention", "attention"),
    ("/operations", "Operations", "operations"),
    ("/fleet", "Fleet", "fleet"),
    ("/schedules", "Schedules", "schedules"),
    ("/events", "Events", "events"),
    ("/inbox", "Inbox", "inbox"),
];

/// The last one.
const AUDIT: Entry = ("/audit", "Audit", "audit");

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
    /// The navigation.
    pub(super) sections: Vec<Entry>,
}

impl Frame {
    /// A page of the dashboard.
    pub(super) fn new(app: &App, title: String, section: &'static str, caller: &Caller) -> Self {
        let Caller { actor, role, csrf, .. } = caller.clone();
        let own = app.plugins.sections().map(|own| (own.address, own.name, own.word));
        let sections = SECTIONS.iter().copied().chain(own).chain([AUDIT]).collect();
        Self { title, section, live: None, actor, role: role.word(), csrf, sections }
    }

    /// A page without navigation, for a caller who may be anybody.
    pub(super) fn of_nobody(title: impl Into<String>) -> Self {
        let (actor, csrf) = (String::new(), String::new());
        Self { title: title.into(), section: "", live: None, actor, role: "", csrf, sections: Vec::new() }
    }

    /// The version in the assets' addresses.
    pub(super) fn assets_version(&self) -> &'static str {
        assets::version()
    }
}

/// The content of a page that changes by itself. It depends on nobody's role or session, so that one rendering serves all
/// who follow the page.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// Of the document.
    pub title: String,
    /// The part of the dashboard, by its word.
    pub section: &'static str,
    /// HTML.
    pub html: String,
}

impl Fragment {
    /// Renders a template, whose links go through the filter `href` or [`Base::href`].
    ///
    /// # Errors
    /// `internal_error` when the template fails.
    pub fn render<T: Template>(
        base: &Base,
        title: impl Into<String>,
        section: &'static str,
        template: &T,
    ) -> Result<Self, Problem> {
        let html = base.render(template).map_err(|error| Problem::internal("internal_error", &error))?;
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
